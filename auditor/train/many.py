"""Many networks on one train and test split: fits of different trainers share the cores, stored ones are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, UnreadableError, UsageError
from auditor.core.progress import Progress
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.crossval import Together, fit_missing, stored_results
from auditor.train.final import slug
from auditor.train.results import data_hash, task_key


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


def ready(trainer: Trainer, data: TrainingData, folder: Path) -> Trainer:
    """The trainer with nothing left to choose, and with a place for what several fits share (networks that others
    start from); neither changes a result."""
    if hasattr(trainer, "store"):
        trainer = cast(Trainer, replace(cast(Any, trainer), store=Path(folder) / "shared-networks"))
    return cast(Any, trainer).resolved(data) if hasattr(trainer, "resolved") else trainer


def fit_many(
    trainers: dict[str, Trainer],
    tasks: dict[str, tuple[str, FitTask]],
    data: TrainingData,
    fits: Path,
    workers: int,
    progress: Progress,
) -> dict[str, FitResult]:
    """Results of all tasks: stored ones read, the rest fitted, several at a time.

    Parameters
    ----------
    trainers : dict of str to Trainer
        By name, as `ready` gives them.
    tasks : dict of str to (str, FitTask)
        By task name: whose trainer, and what. Started in this order.
    data : TrainingData
    fits : Path
        Folder of results, checkpoints and shared networks.
    workers : int
        Processes. Never changes a result.
    progress : Progress
    """
    content = data_hash(data)
    keys = {stem: task_key(trainers[name], content, task) for stem, (name, task) in tasks.items()}
    results = stored_results(keys, fits)
    todo = [task for stem, (_, task) in tasks.items() if stem not in results]
    stored = len(tasks) - len(todo)
    progress.stage("train", f"{len(todo)} network(s)" + (f", {stored} stored" if stored else ""))
    together = Together({stem: trainers[name] for stem, (name, _) in tasks.items()})
    results |= fit_missing(together, data, content, todo, keys, workers, progress, fits)
    return {stem: results[stem] for stem in tasks}


def fit_name(entry: str, seed: int) -> str:
    """Name of the fit of an entry, also of its files."""
    return f"{slug(entry)}__seed{seed}"


def fit_entries(
    entries: Mapping[str, Trainer], seeds: int, rows: TestRows, fits: Path, workers: int, progress: Progress
) -> dict[str, list[FitResult]]:
    """Every entry trained with the seeds 0 .. seeds - 1, and the test rows as each predicts them, by seed; an entry
    with ``fixed`` set, whose fits do not depend on the seed, once.

    Entries that start from another network (attribute ``dense``) are fitted after all others, and find it then.

    Parameters
    ----------
    entries : mapping of str to Trainer
        By name, as `ready` gives them; `fit_name` names the fits.
    seeds : int
    rows : TestRows
    fits, workers, progress
        As in `fit_many`.

    Raises
    ------
    UsageError
        If two entries would have the same file name.
    """
    if len({slug(name) for name in entries}) != len(entries):
        raise UsageError(f"two of {', '.join(entries)} would have the same file name.")
    results: dict[str, FitResult] = {}
    repeats = {name: 1 if getattr(trainer, "fixed", False) else seeds for name, trainer in entries.items()}
    for dependent in (False, True):
        tasks = {
            fit_name(name, seed): (name, FitTask(fit_name(name, seed), rows.train, rows.test, seed))
            for name, trainer in entries.items()
            if hasattr(trainer, "dense") == dependent
            for seed in range(repeats[name])
        }
        if tasks:
            results |= fit_many(dict(entries), tasks, rows.data, fits, workers, progress)
    return {name: [results[fit_name(name, seed)] for seed in range(repeats[name])] for name in entries}
