"""`auditor search`: a search beside its random control, several seeds; what both found, trained and tested once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import atomic_write, read_json
from auditor.lab.experiment.shell import Experiment, Workplace
from auditor.lab.experiment.verdicts import accuracy_row, page, verdict
from auditor.lab.search.arms import SearchOutcome
from auditor.lab.search.comparison import compare, pool
from auditor.lab.search.data import SearchData, open_search_data
from auditor.lab.search.groups import compare_groups, sentence
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

LOG, GROUP_FILES = "log.jsonl", "groups"
#: Said beside every number.
SPLIT_NOTE = "Validation data come from the training split only."


@dataclass(frozen=True)
class _Chosen:
    """A genotype of one role, which search it comes from, and its file."""

    genotype: Genotype
    seed: int
    path: Path


@dataclass(frozen=True)
class _Trained:
    """A network's fits and its accuracies on the test split, by seed."""

    name: str
    results: Sequence[FitResult]
    scores: list[float]

    def row(self, role: str) -> dict[str, Any]:
        """What the report says of it."""
        details = self.results[0].details
        return {
            "role": role,
            "name": self.name,
            "parameters": details["parameters"],
            "macs": details["macs_per_image"],
            "image_size": details["image_size"],
            **accuracy_row(self.scores),
            "validation_accuracy_by_seed": [r.details["validation_accuracy"] for r in self.results],
            "seconds": round(float(np.mean([r.seconds for r in self.results])), 1),
            "image_ms": details.get("image_ms"),
            "test_looks": [r.details["test_looks"] for r in self.results],
            "epochs": details["epochs"],
            "images": details["images"],
            "views": details["views"],
            **{key: details[key] for key in ("reproduction", "paper", "open") if key in details},
        }


class SearchExperiment(Experiment):
    """Searches; then the best architecture, the best random one and the start, trained alike; and groups of networks.

    The folder also gets ``found.json``, ``control.json`` and, where a search has a start, ``start.json`` (genotypes),
    those of the groups beside them (`auditor.lab.search.groups`), and ``log.jsonl``. A run that was killed trains no
    finished child, search or final network again.
    """

    schema = "auditor.search/1"
    expectation = (
        "The later half of the search's children beats its random control, and the found network, trained from "
        "scratch, beats the best random one, by the intervals."
    )
    control = (
        "Random architectures of the same space at equal cost, by the same children's training and final recipe; on "
        "average over several of either, so that no lucky one decides."
    )

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
        groups = self._groups(outcomes, chosen, at.folder)
        labels, final = self._train(chosen, groups, at)
        transfer = {} if options.transfer is None else {"transfer": self._transfer(chosen, at)}
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
            **transfer,
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
        grouped = [row["file"] for group in document["final"].get("groups", ()) for row in group["networks"]]
        return list(dict.fromkeys([LOG, *(chosen["file"] for chosen in document["chosen"].values()), *grouped]))

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

    def _groups(
        self, outcomes: Sequence[SearchOutcome], chosen: Mapping[str, _Chosen], folder: Path
    ) -> list[tuple[int, str, list[Path]]]:
        """Search, group and genotype files of its networks; one that has a file is not written again."""
        files = {choice.genotype.key(): choice.path for choice in reversed(list(chosen.values()))}
        out = []
        for seed, outcome in enumerate(outcomes):
            for name, group in outcome.groups.items():
                for number, genotype in enumerate(group):
                    path = folder / GROUP_FILES / f"{name}-{seed}-{number}.json"
                    if genotype.key() not in files:
                        facts = {"system": self.options.space_name, "role": name, "budget": self.options.budget}
                        write_genotype(path, genotype, **facts, search_seed=seed)
                        files[genotype.key()] = path
                out.append((seed, name, [files[genotype.key()] for genotype in group]))
        return out

    def _fit(
        self, paths: Sequence[Path], reference: str, at: Workplace
    ) -> tuple[dict[Path, _Trained], dict[str, Any], HeldBack]:
        """The networks of genotype files, trained from scratch by the recipe of the budget class and shown the test
        split once each; the recipe."""
        options = self.options
        rows = open_rows(reference, at.settings, at.progress)
        trainers = {}
        for path in dict.fromkeys(paths):
            name = f"{read_json(path)['genotype']['system']}:{path}"
            trainers[path] = ready(FinalNetwork.of(name, options.budget, options.device), rows.data, at.fits)
        entries = {trainer.name: trainer for trainer in trainers.values()}
        results = fit_entries(entries, options.train_seeds, rows, at.fits, at.processes, at.progress)
        labels = HeldBack(lambda: rows.data.labels[rows.test], "test labels")
        trained = {}
        for path, trainer in trainers.items():
            own = results[trainer.name]
            scores = [
                accuracy(result.probabilities, labels.take(fit_name(trainer.name, seed)))
                for seed, result in enumerate(own)
            ]
            trained[path] = _Trained(short_name(trainer.name), own, scores)
        return trained, next(iter(trainers.values())).recipe(), labels

    def _train(
        self, chosen: Mapping[str, _Chosen], groups: Sequence[tuple[int, str, list[Path]]], at: Workplace
    ) -> tuple[HeldBack, dict[str, Any]]:
        """The networks of all roles and groups."""
        roles = {role: choice.path for role, choice in chosen.items()}
        paths = [*roles.values(), *(path for _, _, files in groups for path in files)]
        trained, recipe, labels = self._fit(paths, self.options.data, at)
        less, sentences = _found_less({role: trained[path].scores for role, path in roles.items()})
        final = {
            "recipe": recipe,
            "networks": [trained[path].row(role) for role, path in roles.items()],
            "found_less": less,
            "verdict": sentences,
        }
        if groups:
            searches: list[dict[str, list[list[float]]]] = [{} for _ in range(self.options.seeds)]
            for seed, name, files in groups:
                searches[seed][name] = [trained[path].scores for path in files]
            compared = compare_groups(searches)
            final["groups"] = [
                {
                    "group": name,
                    "search_seed": seed,
                    "networks": [
                        {**trained[path].row(name), "file": path.relative_to(at.folder).as_posix()} for path in files
                    ],
                }
                for seed, name, files in groups
            ]
            final["groups_less"] = compared
            final["verdict"] = [*(sentence(name, row) for name, row in compared.items()), *sentences]
        return labels, final

    def _transfer(self, chosen: Mapping[str, _Chosen], at: Workplace) -> dict[str, Any]:
        """The networks of all roles on another data set."""
        reference = str(self.options.transfer)
        roles = {role: choice.path for role, choice in chosen.items()}
        trained, _, labels = self._fit(list(roles.values()), reference, at)
        less, sentences = _found_less({role: trained[path].scores for role, path in roles.items()})
        rows = [trained[path].row(role) for role, path in roles.items()]
        looks = {"test_label_accesses": labels.accesses}
        return {"data": reference, "networks": rows, "found_less": less, "verdict": sentences, **looks}


def _found_less(scores: Mapping[str, Sequence[float]]) -> tuple[dict[str, Any], list[str]]:
    """The found network less that of every other role, seed by seed, and a sentence on each."""
    less = {role: paired(scores["found"], own) for role, own in scores.items() if role != "found"}
    others = {
        "control": "the best random architecture",
        "start": "the network the search started from",
        "noise": "the one that noise in place of the validation images finds",
    }
    return less, [verdict("Trained alike, the found network", others[role], row) for role, row in less.items()]


def _best(outcome: SearchOutcome, arm: str) -> float:
    """Validation accuracy of what an arm chose: the best of its children, the best of those that were trained again, or
    the one the search names."""
    if retrained := outcome.facts.get("retrained", {}).get(arm):
        return max(row["accuracy"] for row in retrained)
    chosen = outcome.found if arm == "search" else outcome.control
    own = [row for row in outcome.rows if row["arm"] == arm]
    return max(row["accuracy"] for row in [r for r in own if r["key"] == chosen.key()] or own)


def _pooled(outcomes: Sequence[SearchOutcome]) -> dict[str, Any]:
    """All seeds together, and the child each search chose less the best of its control."""
    best = {arm: [_best(o, arm) for o in outcomes] for arm in ("search", "control")}
    return {
        **pool([o.rows for o in outcomes], 0),
        "best_search": best["search"],
        "best_control": best["control"],
        "best_difference": paired(best["search"], best["control"]),
    }
