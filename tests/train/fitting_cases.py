"""Trainers and trainings that child processes run too: importable under this plain name (see conftest)."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np

from auditor.core.errors import LabelError
from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.image_network import ImageNetwork
from auditor.train.recipe import Stage


@dataclass(frozen=True)
class MeanTrainer:
    """Class frequencies of the training part; can fail in several ways. Fast and without torch."""

    name: str = "mean"
    mode: str = "ok"
    calls: str = ""

    def recipe(self) -> dict[str, Any]:
        return {"name": self.name, "mode": self.mode}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        if self.calls:
            with open(self.calls, "a") as handle:
                handle.write(f"{task.name} {os.getpid()}\n")
        if self.mode == "label" and task.name == "fold-1":
            raise LabelError("the label is odd.", "Make it even.")
        if self.mode == "bug" and task.name == "fold-1":
            raise ZeroDivisionError("a bug")
        if self.mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "slow":
            time.sleep(3600)  # whoever waits for it to end waits in vain
        progress.start(task.name, 1)
        counts = np.bincount(data.labels[task.train], minlength=data.n_classes)
        mean = float(np.asarray(data.features[task.train]).mean())
        progress.finish(task.name, "done")
        p = np.tile(counts / counts.sum(), (len(task.predict), 1)).astype(np.float32)
        return FitResult(p, None, [], 0.1, {"mean": mean, "mapped": isinstance(data.features, np.memmap)})


def small_data(n: int = 120) -> TrainingData:
    random = np.random.default_rng(0)
    features = random.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return TrainingData("image", features, np.arange(n, dtype=np.int64) % 3, 3)


def fold_tasks(data: TrainingData, n_folds: int = 4) -> list[FitTask]:
    from auditor.train.folds import plan_folds  # imports pandas, which no worker of these cases needs

    return plan_folds(np.arange(len(data)).astype(str), data.labels, data.n_classes, n_folds, 0).tasks(0)


class Epochs(SilentProgress):
    """Remembers the first progress of each task."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}

    def advance(self, task: str, done: float, note: str = "") -> None:
        self.first.setdefault(task, done)


class _Killer:
    """Kills the main process when its own fit has come as far as ``KILL_AT``, in whichever process that is."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __getattr__(self, method: str) -> Any:
        return getattr(self.progress, method)

    def advance(self, task: str, done: float, note: str = "") -> None:
        if f"{task} {done:.3f}".startswith(os.environ["KILL_AT"]):
            os.kill(int(os.environ["KILL_PID"]), signal.SIGKILL)
            time.sleep(3600)  # a worker is ended by its parent's death


class Killing(ImageNetwork):
    """Tells of every batch."""

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, *more: Any) -> FitResult:
        with mock.patch("auditor.train.loop.REPORT_EVERY", 0.0):  # imports torch, which most cases do without
            return super().fit(data, task, cast(Progress, _Killer(progress)), *more)


def run(folder: Path, workers: int, progress: Progress) -> list[FitResult]:
    """Two folds of four epochs on the images in ``folder/piece.npz``."""
    from auditor.train.folds import plan_folds

    with np.load(folder / "piece.npz") as piece:
        data = TrainingData("image", piece["x"], piece["y"], 10)
    kind = Killing if "KILL_AT" in os.environ else ImageNetwork
    trainer = kind.from_budget("smoke", device="cpu", stages=(Stage(0.5, 3), Stage(0.75, 1)), batch=40)
    plan = plan_folds(np.arange(len(data)).astype(str), data.labels, 10, 2, 0)
    return run_tasks(trainer, data, plan.tasks(0), workers=workers, progress=progress, folder=folder / "run")


def killed_run(folder: Path, workers: int) -> None:
    """The same in a process that dies at the moment named in ``KILL_AT``, whoever of its workers comes there."""
    os.setsid()
    os.environ["KILL_PID"] = str(os.getpid())
    run(folder, workers, SilentProgress())
