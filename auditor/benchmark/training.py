"""Own networks for a benchmark: trained through the one loop, each seed predicting the test split once, predictions
stored as files that `auditor benchmark --predictions` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_strings
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.core.registry import Registry
from auditor.models.registry import LIBRARIES, MODELS
from auditor.runs.tables import write_arrays
from auditor.train.base import FitResult, Trainer
from auditor.train.budget import PAPERS_RECIPE, BudgetClass, check_budget_class, reproduction_label
from auditor.train.many import fit_entries, fit_name, open_rows, ready

#: In the result folder: predictions of the test split, the fits they come from, and the conditions of all.
PREDICTIONS, FITS, MANIFEST = "predictions", "fits", "networks.json"
SCHEMA = "auditor.benchmark-networks/1"

#: Entries of the form ``method:...``: ``(the part behind the colon, budget class, device) -> Trainer``. All come by
#: entry point, those of `auditor.lab.prune` too.
METHODS: Registry[Callable[[str, BudgetClass, str], Trainer]] = Registry("method", {}, "auditor.benchmark_methods")


def parse_names(text: str) -> list[str]:
    """``"resnet18, vgg11_bn"`` as a list.

    Raises
    ------
    UsageError
        For none or a repeated name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"--train {text!r} must list different networks.", f"Known: {', '.join(MODELS.names())}.")
    return names


def make_entry(name: str, budget: BudgetClass, device: str = "auto") -> Trainer:
    """The trainer of one entry: a network's name, ``NETWORK@FILE`` with published weights, or ``method:...`` of a
    network a method makes.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    UsageError, DataError
        As `auditor.train.published.final_network`.
    """
    from auditor.train.published import final_network

    check_budget_class(budget)
    method, colon, rest = name.partition(":")
    if colon and method not in MODELS and method not in LIBRARIES:
        return METHODS.load(method)(rest, budget, device)
    return final_network(name, budget, device)


def train_networks(
    reference: str,
    names: Sequence[str],
    folder: Path,
    *,
    seeds: int = 3,
    budget: BudgetClass = "cpu",
    device: str = "auto",
    workers: int | None = None,
    settings: Settings,
    progress: Progress,
    command: str = "",
) -> dict[str, Any]:
    """Train networks and store what they predict for the test split.

    Parameters
    ----------
    reference : str
        Image data set with the splits ``train`` and ``test``.
    names : sequence of str
        Entries of `make_entry`.
    folder : Path
        Gets ``predictions/<name>__seed<k>.npz`` (``pred_probs`` float32 (n, K), ``ids``) of exactly these networks,
        ``fits/`` and ``networks.json``. A finished fit found there under the same key is not trained again.
    seeds : int
        Networks of each name, with the seeds 0 .. seeds - 1; one with published weights counts once.
    budget : str
        Budget class: images, epochs and resolution, the same for all.
    device : str
    workers : int, optional
        Networks trained side by side; by default one per core. Never changes a result.
    settings : Settings
    progress : Progress
    command : str
        For the manifest.

    Returns
    -------
    dict
        The manifest: conditions, and a row per network and seed.

    Raises
    ------
    UnknownNameError, UsageError, DataError
    """
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    trainers = {name: make_entry(name, budget, device) for name in names}
    rows = open_rows(reference, settings, progress)
    fits = Path(folder) / FITS
    trainers = {name: ready(trainer, rows.data, fits) for name, trainer in trainers.items()}
    results = fit_entries(trainers, seeds, rows, fits, workers or cpu_count(), progress)
    written = [
        _store(Path(folder) / PREDICTIONS, name, seed, result, rows.ids)
        for name, by_seed in results.items()
        for seed, result in enumerate(by_seed)
    ]
    for stale in set((Path(folder) / PREDICTIONS).glob("*.npz")) - {Path(folder) / row["file"] for row in written}:
        stale.unlink()  # of an earlier list of names; its fit is kept, so nothing is lost
    manifest = {
        "schema": SCHEMA,
        "data": rows.source,
        "test_items": len(rows.test),
        "test_ids": hash_strings(map(str, rows.ids)),
        "budget": budget,
        # Of all; every network's own stands in its row.
        "reproduction": reproduction_label(all(row["reproduction"] == PAPERS_RECIPE for row in written)),
        "seeds": seeds,
        "command": command,
        "machine": describe_machine(),
        "versions": package_versions(),
        "recipes": {name: trainer.recipe() for name, trainer in trainers.items()},
        "networks": written,
    }
    write_json(Path(folder) / MANIFEST, manifest)
    return manifest


def _store(folder: Path, name: str, seed: int, result: FitResult, ids: np.ndarray) -> dict[str, Any]:
    """Write the predictions of one network; its row of the manifest."""
    target = folder / f"{fit_name(name, seed)}.npz"
    arrays = {"pred_probs": result.probabilities.astype(np.float32), "ids": np.asarray(ids, dtype=np.str_)}
    write_arrays(target, arrays)
    return {
        "name": name,
        "seed": seed,
        "file": f"{PREDICTIONS}/{target.name}",
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "seconds": round(result.seconds, 1),
        "train_loss": [round(row["train_loss"], 4) for row in result.history],
        **result.details,
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished `train_networks`.

    Raises
    ------
    UnreadableError
        If there is none, or of another schema.
    """
    manifest = read_json(Path(folder) / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise UnreadableError(f"{str(Path(folder) / MANIFEST)!r} is not a list of trained networks.")
    return manifest
