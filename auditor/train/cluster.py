"""Fits on the nodes of a cluster, each with its share of CPUs and GPUs. What kind of cluster, the caller decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.results import checkpoint_folder, fit_limited, save_result

T = TypeVar("T")


class Cluster(Protocol):
    """Runs functions elsewhere; `auditor.engine.ray_executor.RayExecutor` is one."""

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""

    def call(self, function: Callable[..., T], *arguments: Any, gpus: int = 0) -> T:
        """One call on some node."""

    def run_named(
        self,
        function: Callable[..., T],
        shared: Any,
        jobs: Sequence[tuple[str, tuple[Any, ...]]],
        *,
        cpus: int = 1,
        gpus: int = 0,
    ) -> Iterator[tuple[str, T]]:
        """(name, ``function(shared, *job)``) in the order in which the jobs end."""


def resolve_on_cluster(cluster: Cluster, trainer: T, data: TrainingData) -> T:
    """Let a trainer fix its automatic choices on the kind of node it will be fitted on.

    With GPUs in the cluster that is a node with one, unless the trainer was told to stay on the CPU.
    """
    gpus = 1 if cluster.gpus and getattr(trainer, "device", "cpu") != "cpu" else 0
    return cluster.call(_resolved, trainer, data, gpus=gpus)


def fit_on_cluster(
    cluster: Cluster,
    trainer: Trainer,
    data: TrainingData,
    tasks: Sequence[FitTask],
    keys: dict[str, str],
    progress: Progress,
    folder: Path,
) -> dict[str, FitResult]:
    """Fit `tasks` on the cluster; each result is stored under `folder` as soon as it is there.

    A fit whose node dies is started again on another one. Where the nodes see `folder` under the same name (one
    machine, a shared file system) it continues from its last epoch, else from its first.
    """
    jobs = []
    for task in tasks:
        checkpoints = checkpoint_folder(folder.absolute(), keys[task.name])
        checkpoints.mkdir(parents=True, exist_ok=True)
        jobs.append((task.name, (trainer, task, checkpoints)))
        progress.start(task.name, 1)
    results = {}
    gpus = 1 if getattr(trainer, "device", "cpu") == "cuda" else 0
    named = cluster.run_named(_fit_away, data, jobs, cpus=int(getattr(trainer, "threads", 1)), gpus=gpus)
    for name, result in named:
        save_result(folder / "results", name, keys[name], result)
        shutil.rmtree(checkpoint_folder(folder, keys[name]), ignore_errors=True)
        results[name] = result
        progress.finish(name, f"{result.seconds:.0f} s on the cluster")
    return results


def _resolved(trainer: Any, data: TrainingData) -> Any:
    return trainer.resolved(data)


def _fit_away(data: TrainingData, trainer: Trainer, task: FitTask, checkpoints: Path) -> FitResult:
    # The folder's name is a content hash, so one of that name is the caller's; no other node has it.
    visible = checkpoints if checkpoints.is_dir() else None
    return fit_limited(trainer, data, task, cast(Progress, SilentProgress()), visible)
