"""Fits in worker processes, which share the images of one data set."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.core.files import atomic_path, load_npy
from auditor.core.processes import in_processes
from auditor.core.progress import Progress
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.results import fit_and_store


@dataclass(frozen=True)
class SharedData:
    """Training data as it travels to a worker: images as the path of a ``.npy`` file, the rest by value."""

    kind: str
    features: Any
    path: Path | None
    labels: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, data: TrainingData, content: str, folder: Path) -> SharedData:
        """Ready to travel; images that are not in a ``.npy`` file yet are written to one in `folder`."""
        features = data.features
        if not isinstance(features, np.ndarray):
            return cls(data.kind, features, None, data.labels, data.n_classes)
        if isinstance(features, np.memmap) and features.filename and _is_npy(features):
            path = Path(features.filename)
        else:
            path = folder / f"{content.removeprefix('sha256:')[:16]}.npy"
            if not path.is_file():
                with atomic_path(path) as temporary, open(temporary, "wb") as handle:
                    np.save(handle, np.ascontiguousarray(features), allow_pickle=False)
        return cls(data.kind, None, path, data.labels, data.n_classes)

    def open(self) -> TrainingData:
        """The training data; images memory-mapped, so that all workers share one copy in the page cache."""
        features = self.features if self.path is None else load_npy(self.path, mmap=True)
        return TrainingData(self.kind, features, self.labels, self.n_classes)


def _is_npy(features: np.memmap) -> bool:
    """Whether the map is the whole of a .npy file (not a slice of it, not a raw file)."""
    path = Path(str(features.filename))
    if path.suffix != ".npy" or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    return whole.shape == features.shape and whole.dtype == features.dtype and whole.offset == features.offset


class _SentProgress:
    """Sends every event of `auditor.core.progress.Progress` to the parent."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *arguments: self._send((method, arguments))


class _Fits:
    """Fits tasks inside a worker."""

    def __init__(self, trainer: Trainer, shared: SharedData, folder: Path) -> None:
        self.trainer, self.data, self.folder = trainer, shared.open(), folder

    def __call__(self, task: tuple[FitTask, str], send: Callable[[Any], None]) -> None:
        fit_and_store(self.trainer, self.data, *task, self.folder, cast(Progress, _SentProgress(send)))


def run_in_workers(
    trainer: Trainer,
    data: TrainingData,
    content: str,
    tasks: Sequence[FitTask],
    keys: dict[str, str],
    workers: int,
    progress: Progress,
    folder: Path,
) -> Iterator[int]:
    """Fit `tasks` in `workers` processes; results are stored under `folder`. `content` is the hash of the data.

    Yields how many are done, after each.

    Raises
    ------
    AuditorError, ResourceError, RuntimeError
        As `auditor.core.processes.in_processes`.
    """
    try:
        shared = SharedData.of(data, content, folder / "shared")
        todo = [(task, keys[task.name]) for task in tasks]
        fits = in_processes(
            partial(_Fits, trainer, shared, folder), todo, workers, lambda event: getattr(progress, event[0])(*event[1])
        )
        for done, _ in enumerate(fits, 1):
            yield done
    finally:
        shutil.rmtree(folder / "shared", ignore_errors=True)
