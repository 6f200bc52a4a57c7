"""`auditor search`: a search beside its random control, several seeds; what both found, trained and tested once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.files import atomic_write, write_json
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.lab.search.data import SearchData, TestLabels, open_search_data
from auditor.lab.search.outcome import Outcome, compare, pool
from auditor.lab.search.seeded import SeedSearch, outcome_of
from auditor.lab.search.systems import PUBLISHED, SearchOptions, SearchSettings
from auditor.models.genotype import Genotype, write_genotype
from auditor.models.registry import short_name
from auditor.stats.seeds import mean_interval, paired
from auditor.train.base import FitResult, FitTask, Trainer
from auditor.train.budget import reproduction_label
from auditor.train.final import FinalNetwork, accuracy, slug
from auditor.train.many import fit_many, open_rows, ready

__all__ = ["FITS", "LOG", "MANIFEST", "RESULTS", "SUMMARY", "run_search"]

RESULTS, SUMMARY, LOG, FITS, MANIFEST = "results.json", "results.md", "log.jsonl", "fits", "manifest.json"
SCHEMA = "auditor.search/1"
#: Said beside every number.
SPLIT_NOTE = "Validation data come from the training split only."


@dataclass(frozen=True)
class _Chosen:
    """A genotype of one role, which search it comes from, and its file."""

    genotype: Genotype
    seed: int
    path: Path


def run_search(
    options: SearchOptions,
    folder: Path,
    settings: Settings,
    progress: Progress,
    workers: int | None = None,
    command: str = "",
    fits: Path | None = None,
) -> dict[str, Any]:
    """Search, compare with the random control, train and test what was found.

    Writes into `folder`: ``found.json``, ``control.json`` and, where a search has a start, ``start.json`` (genotypes),
    ``log.jsonl``, pictures, ``results.json``, ``results.md``, and ``manifest.json`` last. A run that was killed trains
    no finished child, search or final network again.

    Parameters
    ----------
    options : SearchOptions
    folder : Path
    settings : Settings
    progress : Progress
    workers : int, optional
        Searches and final trainings side by side; never changes a result.
    command : str
        For the record.
    fits : Path, optional
        Stored final trainings; ``fits/`` in `folder` by default.

    Returns
    -------
    dict
        The document of ``results.json``.
    """
    from auditor.lab.search.figure import write_figures
    from auditor.lab.search.markdown import results_markdown

    folder = Path(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    asked = options.settings()
    workers = workers or cpu_count()
    progress.stage("data", options.data)
    found = open_search_data(options.data, asked.train, asked.validation, settings, progress)
    outcomes = _search(options, asked, found, folder, workers, progress)
    chosen = _choose(options, outcomes, folder)
    _write_log(folder / LOG, outcomes)
    labels, final = _train(options, chosen, folder / FITS if fits is None else fits, settings, workers, progress)
    document = {
        **_conditions(options, asked, found, command),
        "searches": [
            {
                "seed": k,
                **compare(o.rows, k),
                "facts": o.facts,
                "found": o.found.key(),
                "control_found": o.control.key(),
            }
            for k, o in enumerate(outcomes)
        ],
        "pooled": _pooled(outcomes),
        "chosen": {
            role: {"file": c.path.name, "search_seed": c.seed, "genotype": c.genotype.model_dump(mode="json")}
            for role, c in chosen.items()
        },
        "final": final,
        "test_label_accesses": {"searches": 0, **labels.accesses},
    }
    write_json(folder / RESULTS, document)
    pictures = write_figures(folder, document, {role: c.genotype for role, c in chosen.items()})
    with atomic_write(folder / SUMMARY) as handle:
        handle.write(results_markdown(document, pictures).encode())
    files = [RESULTS, SUMMARY, LOG, *pictures.values(), *(c.path.name for c in chosen.values())]
    digests = {name: "sha256:" + hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    write_json(folder / MANIFEST, {"schema": "auditor.search-folder/1", "result": SCHEMA, "files": digests})
    return document


def _search(
    options: SearchOptions, asked: SearchSettings, found: SearchData, folder: Path, workers: int, progress: Progress
) -> list[Outcome]:
    trainer = ready(SeedSearch(options.system, asked, folder, found.ids, options.device), found.data, folder)
    tasks = {
        f"search-seed{k}": (options.place, FitTask(f"search-seed{k}", found.train, found.validation, k))
        for k in range(options.seeds)
    }
    results = fit_many({options.place: trainer}, tasks, found.data, folder / "searches", workers, progress)
    return [outcome_of(results[name]) for name in tasks]


def _best(outcome: Outcome, arm: str) -> float:
    """Validation accuracy of what an arm chose: the best of its children, or the one the search names."""
    chosen = outcome.found if arm == "search" else outcome.control
    own = [row for row in outcome.rows if row["arm"] == arm]
    return max(row["accuracy"] for row in [r for r in own if r["key"] == chosen.key()] or own)


def _choose(options: SearchOptions, outcomes: Sequence[Outcome], folder: Path) -> dict[str, _Chosen]:
    """What is trained at the end: the best of all searches, and the best of all their controls, by validation items;
    and the start. Written as genotype files."""
    seeds = {
        arm: max(range(len(outcomes)), key=lambda k: (_best(outcomes[k], arm), -k)) for arm in ("search", "control")
    }
    genotypes: dict[str, tuple[Genotype, int]] = {
        "found": (outcomes[seeds["search"]].found, seeds["search"]),
        "control": (outcomes[seeds["control"]].control, seeds["control"]),
    }
    if (start := outcomes[0].start) is not None:
        genotypes["start"] = (start, 0)
    chosen = {}
    for role, (genotype, seed) in genotypes.items():
        path = folder / f"{role}.json"
        write_genotype(path, genotype, system=options.place, role=role, budget=options.budget, search_seed=seed)
        chosen[role] = _Chosen(genotype, seed, path)
    return chosen


def _write_log(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Every evaluated child of every search, a row each."""
    lines = [json.dumps({"seed": k, **row}, sort_keys=True) for k, o in enumerate(outcomes) for row in o.rows]
    with atomic_write(path) as handle:
        handle.write(("\n".join(lines) + "\n").encode())


def _train(
    options: SearchOptions, chosen: dict[str, _Chosen], fits: Path, settings: Settings, workers: int, progress: Progress
) -> tuple[TestLabels, dict[str, Any]]:
    """The networks trained from scratch by the recipe of the budget class, each shown the test split once."""
    rows = open_rows(options.data, settings, progress)
    trainers: dict[str, Trainer] = {}
    for role, one in chosen.items():
        base = one.genotype.model_dump()["system"]
        network = FinalNetwork.of(f"{base}:{one.path}", options.budget, options.device)
        trainers[role] = ready(network, rows.data, fits)
    tasks: dict[str, tuple[str, FitTask]] = {}
    for role, trainer in trainers.items():
        for seed in range(options.train_seeds):
            stem = f"{slug(trainer.name)}__seed{seed}"
            tasks[stem] = (role, FitTask(stem, rows.train, rows.test, seed))
    results = fit_many(trainers, tasks, rows.data, fits, workers, progress)
    labels = TestLabels(lambda: rows.data.labels[rows.test])
    by_role: dict[str, list[FitResult]] = {role: [] for role in trainers}
    scores: dict[str, list[float]] = {role: [] for role in trainers}
    for stem, (role, _) in tasks.items():
        by_role[role].append(results[stem])
        scores[role].append(accuracy(results[stem].probabilities, labels.take(stem)))
    networks = [_row(role, short_name(trainers[role].name), by_role[role], scores[role]) for role in trainers]
    differences = {role: paired(scores["found"], scores[role]) for role in trainers if role != "found"}
    return labels, {
        "recipe": trainers["found"].recipe(),
        "networks": networks,
        "found_less": differences,
        "verdict": [_verdict(role, found) for role, found in differences.items()],
    }


def _row(role: str, name: str, results: Sequence[FitResult], scores: list[float]) -> dict[str, Any]:
    details = results[0].details
    mean, low, high = mean_interval(scores)
    return {
        "role": role,
        "name": name,
        "parameters": details["parameters"],
        "macs": details["macs_per_image"],
        "image_size": details["image_size"],
        "accuracy": mean,
        "interval": [low, high],
        "accuracy_by_seed": scores,
        "validation_accuracy_by_seed": [r.details["validation_accuracy"] for r in results],
        "seconds": round(float(np.mean([r.seconds for r in results])), 1),
        "test_looks": [r.details["test_looks"] for r in results],
        "epochs": details["epochs"],
        "images": details["images"],
    }


def _verdict(role: str, found: dict[str, Any]) -> str:
    """Whether the found network beats another one, by the interval over seeds."""
    other = {"control": "the best random architecture", "start": "the network the search started from"}[role]
    low, high = (100 * v for v in found["interval"])
    points = f"{100 * found['difference']:+.2f} points [{low:+.2f}, {high:+.2f}], {found['seeds']} seeds"
    if found["seeds"] < 2:
        gap = f"{100 * found['difference']:+.2f} points"
        return f"Trained alike, the found network cannot be compared with {other} by one seed: {gap}"
    word = "is better than" if low > 0 else "is worse than" if high < 0 else "is not distinguishable from"
    return f"Trained alike, the found network {word} {other}: {points}"


def _pooled(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All seeds together, and the child each search chose less the best of its control."""
    best = {arm: [_best(o, arm) for o in outcomes] for arm in ("search", "control")}
    return {
        **pool([o.rows for o in outcomes], 0),
        "best_search": best["search"],
        "best_control": best["control"],
        "best_difference": paired(best["search"], best["control"]),
    }


def _conditions(options: SearchOptions, asked: SearchSettings, found: SearchData, command: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "system": options.system,
        "space": options.place,
        "options": asdict(options),
        "settings": asked.as_dict(),
        "budget": options.budget,
        "reproduction": reproduction_label(options.budget),
        "published": [{"network": name, "error": error} for name, error in PUBLISHED.get(options.place, ())],
        "seeds": options.seeds,
        "train_seeds": options.train_seeds,
        "data": {
            "name": options.data,
            "train": len(found.train),
            "validation": len(found.validation),
            "classes": found.data.n_classes,
        },
        "split_note": SPLIT_NOTE,
        "command": command,
        "machine": describe_machine(),
        "versions": package_versions(),
    }
