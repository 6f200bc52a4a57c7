"""`auditor search`: a search beside its random control, several seeds; what both found, trained and tested once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import atomic_write
from auditor.lab.experiment.shell import Experiment, Workplace
from auditor.lab.experiment.verdicts import accuracy_row, page, verdict
from auditor.lab.search.arms import SearchOutcome
from auditor.lab.search.comparison import compare, pool
from auditor.lab.search.data import SearchData, open_search_data
from auditor.lab.search.pictures import architecture_svg
from auditor.lab.search.report import CURVE, SUMMARY, curve_svg
from auditor.lab.search.seeded import SeedSearch, outcome_of
from auditor.lab.search.systems import PUBLISHED, SearchOptions
from auditor.models.genotype import Genotype, parse_genotype, write_genotype
from auditor.models.nasnet import check_auxiliary
from auditor.models.registry import short_name
from auditor.stats.seeds import paired
from auditor.train.base import FitResult, FitTask
from auditor.train.final import PAPER_TRAININGS, FinalNetwork, accuracy
from auditor.train.held_back import HeldBack
from auditor.train.many import fit_entries, fit_many, fit_name, open_rows, ready

LOG = "log.jsonl"
#: Said beside every number.
SPLIT_NOTE = "Validation data come from the training split only."


@dataclass(frozen=True)
class _Chosen:
    """A genotype of one role, which search it comes from, and its file."""

    genotype: Genotype
    seed: int
    path: Path


class SearchExperiment(Experiment):
    """Searches; then the best architecture, the best random one and the start, trained alike.

    The folder also gets ``found.json``, ``control.json`` and, where a search has a start, ``start.json`` (genotypes),
    and ``log.jsonl``. A run that was killed trains no finished child, search or final network again.
    """

    schema = "auditor.search/1"
    expectation = (
        "The later half of the search's children beats its random control, and the found network, trained from "
        "scratch, beats the best random one, by the intervals."
    )
    control = "Random architectures of the same space at equal cost, by the same children's training and final recipe."

    def __init__(self, options: SearchOptions) -> None:
        self.options: SearchOptions = options

    def measure(self, at: Workplace) -> dict[str, Any]:
        options, settings = self.options, self.options.settings()
        at.progress.stage("data", options.data)
        split = open_search_data(options.data, settings.train, settings.validation, at.settings, at.progress)
        if options.budget == "paper" and (training := PAPER_TRAININGS.get(options.system)):
            # Now, and not when the found network is to be trained.
            check_auxiliary(training.recipe.auxiliary > 0, min(split.data.features.shape[1:3]))
        outcomes = self._search(split, at)
        chosen = self._choose(outcomes, at.folder)
        lines = [json.dumps({"seed": k, **row}, sort_keys=True) for k, o in enumerate(outcomes) for row in o.rows]
        with atomic_write(at.folder / LOG) as handle:
            handle.write(("\n".join(lines) + "\n").encode())
        labels, final = self._train(chosen, at)
        return {
            "system": options.system,
            "space": options.space_name,
            "options": asdict(options),
            "settings": settings.as_dict(),
            "published": [{"network": n, "error": error} for n, error in PUBLISHED.get(options.space_name, ())],
            "train_seeds": options.train_seeds,
            "data": {
                "name": options.data,
                "train": len(split.train),
                "validation": len(split.validation),
                "classes": split.data.n_classes,
            },
            "split_note": SPLIT_NOTE,
            "searches": [
                {"seed": k, **compare(o.rows, k), "facts": o.facts, "found": o.found.key(), "control_found": key}
                for k, (o, key) in enumerate((o, o.control.key()) for o in outcomes)
            ],
            "pooled": _pooled(outcomes),
            "chosen": {
                role: {"file": c.path.name, "search_seed": c.seed, "genotype": c.genotype.model_dump(mode="json")}
                for role, c in chosen.items()
            },
            "final": final,
            "test_label_accesses": {"searches": 0, **labels.accesses},
        }

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        texts = {CURVE: curve_svg(document), SUMMARY: page("search", document, curve=CURVE)}
        for role, chosen in document["chosen"].items():
            genotype = parse_genotype(chosen["genotype"], f"the results ({role})")
            title = f"{document['space']}, {role}, budget {document['budget']}: {document['reproduction']}"
            texts[f"{role}.svg"] = architecture_svg(genotype, title)
        return texts

    @classmethod
    def files(cls, document: Mapping[str, Any]) -> list[str]:
        return [LOG, *(chosen["file"] for chosen in document["chosen"].values())]

    def _search(self, split: SearchData, at: Workplace) -> list[SearchOutcome]:
        options, name = self.options, self.options.space_name
        search = SeedSearch(options.system, options.settings(), at.folder, split.ids, options.device)
        tasks = {
            f"search-seed{k}": (name, FitTask(f"search-seed{k}", split.train, split.validation, k))
            for k in range(options.seeds)
        }
        trainers = {name: ready(search, split.data, at.folder)}
        results = fit_many(trainers, tasks, split.data, at.folder / "searches", at.processes, at.progress)
        return [outcome_of(results[task]) for task in tasks]

    def _choose(self, outcomes: Sequence[SearchOutcome], folder: Path) -> dict[str, _Chosen]:
        """What is trained at the end: the best of all searches, and the best of all their controls, by validation
        items; the start; and what noise found in place of the best search. Written as genotype files."""

        def best_seed(arm: str) -> int:
            return max(range(len(outcomes)), key=lambda k: (_best(outcomes[k], arm), -k))

        search, control = best_seed("search"), best_seed("control")
        genotypes = {"found": (outcomes[search].found, search), "control": (outcomes[control].control, control)}
        if (start := outcomes[0].start) is not None:
            genotypes["start"] = (start, 0)
        if (noise := outcomes[search].noise) is not None:
            genotypes["noise"] = (noise, search)
        chosen = {}
        for role, (genotype, seed) in genotypes.items():
            path = folder / f"{role}.json"
            # In this order: the file's hash is in the recipe of the network that is trained from it.
            facts = {"system": self.options.space_name, "role": role, "budget": self.options.budget}
            write_genotype(path, genotype, **facts, search_seed=seed)
            chosen[role] = _Chosen(genotype, seed, path)
        return chosen

    def _train(self, chosen: Mapping[str, _Chosen], at: Workplace) -> tuple[HeldBack, dict[str, Any]]:
        """The networks trained from scratch by the recipe of the budget class, each shown the test split once."""
        options = self.options
        rows = open_rows(options.data, at.settings, at.progress)
        trainers = {}
        for role, choice in chosen.items():
            name = f"{choice.genotype.model_dump()['system']}:{choice.path}"
            trainers[role] = ready(FinalNetwork.of(name, options.budget, options.device), rows.data, at.fits)
        entries = {trainer.name: trainer for trainer in trainers.values()}
        results = fit_entries(entries, options.train_seeds, rows, at.fits, at.processes, at.progress)
        labels = HeldBack(lambda: rows.data.labels[rows.test], "test labels")
        scores = {
            role: [
                accuracy(result.probabilities, labels.take(fit_name(trainer.name, seed)))
                for seed, result in enumerate(results[trainer.name])
            ]
            for role, trainer in trainers.items()
        }
        less = {role: paired(scores["found"], scores[role]) for role in trainers if role != "found"}
        others = {
            "control": "the best random architecture",
            "start": "the network the search started from",
            "noise": "the one that noise in place of the validation images finds",
        }
        return labels, {
            "recipe": trainers["found"].recipe(),
            "networks": [
                _row(role, short_name(trainer.name), results[trainer.name], scores[role])
                for role, trainer in trainers.items()
            ],
            "found_less": less,
            "verdict": [
                verdict("Trained alike, the found network", others[role], difference)
                for role, difference in less.items()
            ],
        }


def _best(outcome: SearchOutcome, arm: str) -> float:
    """Validation accuracy of what an arm chose: the best of its children, the best of those that were trained again, or
    the one the search names."""
    if retrained := outcome.facts.get("retrained", {}).get(arm):
        return max(row["accuracy"] for row in retrained)
    chosen = outcome.found if arm == "search" else outcome.control
    own = [row for row in outcome.rows if row["arm"] == arm]
    return max(row["accuracy"] for row in [r for r in own if r["key"] == chosen.key()] or own)


def _row(role: str, name: str, results: Sequence[FitResult], scores: list[float]) -> dict[str, Any]:
    details = results[0].details
    return {
        "role": role,
        "name": name,
        "parameters": details["parameters"],
        "macs": details["macs_per_image"],
        "image_size": details["image_size"],
        **accuracy_row(scores),
        "validation_accuracy_by_seed": [r.details["validation_accuracy"] for r in results],
        "seconds": round(float(np.mean([r.seconds for r in results])), 1),
        "image_ms": details.get("image_ms"),
        "test_looks": [r.details["test_looks"] for r in results],
        "epochs": details["epochs"],
        "images": details["images"],
        "views": details["views"],
        **{key: details[key] for key in ("reproduction", "paper", "open") if key in details},
    }


def _pooled(outcomes: Sequence[SearchOutcome]) -> dict[str, Any]:
    """All seeds together, and the child each search chose less the best of its control."""
    best = {arm: [_best(o, arm) for o in outcomes] for arm in ("search", "control")}
    return {
        **pool([o.rows for o in outcomes], 0),
        "best_search": best["search"],
        "best_control": best["control"],
        "best_difference": paired(best["search"], best["control"]),
    }
