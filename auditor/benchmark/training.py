"""Own networks for a benchmark: trained through the one loop, each seed predicting the test split once, predictions
stored as files that `auditor benchmark --predictions` reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, UnreadableError, UsageError
from auditor.core.files import atomic_path, read_json, write_json
from auditor.core.hashing import hash_strings
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.core.registry import Registry
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.models.registry import MODELS
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.budget import BudgetClass, check_budget_class, reproduction_label
from auditor.train.crossval import fit_and_store, share_features
from auditor.train.results import data_hash, load_result, task_key

__all__ = ["MANIFEST", "METHODS", "PREDICTIONS", "TestRows", "make_entry", "parse_names", "train_networks"]

#: In the result folder: predictions of the test split, the fits they come from, and the conditions of all.
PREDICTIONS, FITS, MANIFEST = "predictions", "fits", "networks.json"
SCHEMA = "auditor.benchmark-networks/1"

#: Entries of the form ``method:...``: ``(the part behind the colon, budget class, device) -> Trainer``.
METHODS: Registry[Callable[[str, BudgetClass, str], Trainer]] = Registry("method", {}, "auditor.benchmark_methods")


@dataclass(frozen=True)
class TestRows:
    """The rows that are predicted.

    Attributes
    ----------
    data : TrainingData
        Train split, then test split.
    train, test : int64 arrays
        Positions.
    ids : str array
        Of the test rows.
    source : str
        Reference of the data set.
    """

    #: Not a test case, whatever pytest thinks of the name.
    __test__ = False

    data: TrainingData
    train: np.ndarray
    test: np.ndarray
    ids: np.ndarray
    source: str


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
    """The trainer of one entry: a network's name, or ``method:...`` of a network a method makes.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    from auditor.train.final import FinalNetwork

    check_budget_class(budget)
    method, colon, rest = name.partition(":")
    if colon and method not in MODELS:
        return METHODS.load(method)(rest, budget, device)
    return FinalNetwork.of(name, budget, device)


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
        Networks of each name, with the seeds 0 .. seeds - 1.
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
    if len({_slug(name) for name in names}) != len(names):
        raise UsageError(f"two of {', '.join(names)} would have the same file name.")
    rows = open_rows(reference, settings, progress)
    fits = Path(folder) / FITS
    trainers = {name: _resolved(trainer, rows.data) for name, trainer in trainers.items()}
    tasks = {
        f"{_slug(name)}__seed{seed}": (name, FitTask(f"{_slug(name)}__seed{seed}", rows.train, rows.test, seed))
        for name in names
        for seed in range(seeds)
    }
    results = _fit_all(trainers, tasks, rows.data, fits, workers or cpu_count(), progress)
    written = [
        _store(Path(folder) / PREDICTIONS, name, task, results[stem], rows.ids) for stem, (name, task) in tasks.items()
    ]
    for stale in set((Path(folder) / PREDICTIONS).glob("*.npz")) - {Path(folder) / row["file"] for row in written}:
        stale.unlink()  # of an earlier list of names; its fit is kept, so nothing is lost
    manifest = {
        "schema": SCHEMA,
        "data": rows.source,
        "test_items": len(rows.test),
        "test_ids": hash_strings(map(str, rows.ids)),
        "budget": budget,
        "reproduction": reproduction_label(budget),
        "seeds": seeds,
        "command": command,
        "machine": describe_machine(),
        "versions": package_versions(),
        "recipes": {name: trainer.recipe() for name, trainer in trainers.items()},
        "networks": written,
    }
    write_json(Path(folder) / MANIFEST, manifest)
    return manifest


def open_rows(reference: str, settings: Settings, progress: Progress) -> TestRows:
    """Both splits as pixels, train first.

    Raises
    ------
    UsageError
        If the data set holds no images or lacks a split.
    UnreadableError
        If an image cannot be decoded: every network must predict every row.
    """
    dataset = open_dataset(reference, settings)
    if not isinstance(dataset, ImageDataset):
        raise UsageError(f"networks are trained on images; {reference!r} holds {dataset.modality} data.")
    splits = dataset.items.splits
    train, test = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test")
    if not len(train) or not len(test):
        raise EmptyDataError(
            f"{reference!r} has the splits {', '.join(sorted(set(map(str, splits))))}; train and test are needed.",
            "Give stored predictions with --predictions instead.",
        )
    both = np.concatenate([train, test])
    images, bad = dataset.subset(both).load_images(progress=progress)
    if bad:
        raise UnreadableError(f"{len(bad)} images of {reference!r} cannot be decoded, e.g. {bad[0].reason}.")
    data = TrainingData("image", images, dataset.labels[both], len(dataset.class_names))
    positions = np.arange(len(both))
    return TestRows(data, positions[: len(train)], positions[len(train) :], dataset.ids[test], dataset.reference)


def _slug(name: str) -> str:
    """An entry's name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _resolved(trainer: Trainer, data: TrainingData) -> Trainer:
    return cast(Any, trainer).resolved(data) if hasattr(trainer, "resolved") else trainer


@dataclass(frozen=True)
class _Zoo:
    """All trainers as one, so that worker processes can take fits of different networks from one queue."""

    by_task: dict[str, Trainer]
    name: str = "networks"
    threads: int = 1

    def recipe(self) -> dict[str, Any]:
        return {task: trainer.recipe() for task, trainer in self.by_task.items()}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        return self.by_task[task.name].fit(data, task, progress, checkpoint_dir)


def _fit_all(
    trainers: dict[str, Trainer],
    tasks: dict[str, tuple[str, FitTask]],
    data: TrainingData,
    fits: Path,
    workers: int,
    progress: Progress,
) -> dict[str, FitResult]:
    """Results of all tasks: stored ones read, the rest fitted, several at a time."""
    content = data_hash(data)
    keys = {stem: task_key(trainers[name], content, task) for stem, (name, task) in tasks.items()}
    found = {stem: load_result(fits / "results", stem, keys[stem]) for stem in tasks}
    todo = [task for stem, (_, task) in tasks.items() if found[stem] is None]
    kept = len(tasks) - len(todo)
    progress.stage("train", f"{len(todo)} network(s)" + (f", {kept} stored" if kept else ""))
    zoo = _Zoo({stem: trainers[name] for stem, (name, _) in tasks.items()})
    workers = min(workers, len(todo))
    if workers <= 1 or any(getattr(t, "needs_one_process", False) for t in trainers.values()):
        for task in todo:
            fit_and_store(zoo.by_task[task.name], data, task, keys[task.name], fits, progress)
    else:
        import shutil

        from auditor.train.workers import run_in_workers

        shared = share_features(data, content, fits)
        try:
            run_in_workers(zoo, shared, todo, keys, workers, progress, fits)
        finally:
            shutil.rmtree(fits / "shared", ignore_errors=True)
    results: dict[str, FitResult] = {}
    for stem in tasks:
        result = found[stem] or load_result(fits / "results", stem, keys[stem])
        if result is None:
            raise UnreadableError(f"the result of {stem!r} vanished from {str(fits)!r}.", "Start again.")
        results[stem] = result
    return results


def _store(folder: Path, name: str, task: FitTask, result: FitResult, ids: np.ndarray) -> dict[str, Any]:
    """Write the predictions of one network; its row of the manifest."""
    target = folder / f"{task.name}.npz"
    with atomic_path(target) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, pred_probs=result.probabilities.astype(np.float32), ids=np.asarray(ids, dtype=np.str_))
    return {
        "name": name,
        "seed": task.seed,
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
    found = read_json(Path(folder) / MANIFEST)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UnreadableError(f"{str(Path(folder) / MANIFEST)!r} is not a list of trained networks.")
    return found
