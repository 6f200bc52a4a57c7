"""Run many fits: stored ones are skipped, the rest share the cores, and every order gives the same result."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_sealed, write_sealed
from auditor.core.hashing import hash_json
from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.cluster import Cluster, fit_on_cluster, resolve_on_cluster
from auditor.train.results import data_hash, fit_and_store, load_result, task_key
from auditor.train.workers import run_in_workers

T = TypeVar("T", bound=Trainer)
#: Progress of all fits together.
ALL = "all"


def run_tasks(
    trainer: Trainer,
    data: TrainingData,
    tasks: Sequence[FitTask],
    *,
    workers: int = 1,
    progress: Progress | None = None,
    folder: Path | None = None,
    cluster: Cluster | None = None,
) -> list[FitResult]:
    """Fit all tasks and return their results in the order of `tasks`.

    Parameters
    ----------
    trainer : Trainer
        Sent to worker processes, so its class must be importable there.
    data : TrainingData
    tasks : sequence of FitTask
        Names must be unique.
    workers : int
        Processes. The result does not depend on it: each fit runs with the trainer's own number of threads
        (attribute ``threads``, 1 if it has none). With 1, or on an accelerator, everything runs here.
    progress : Progress, optional
    folder : Path, optional
        Where results, checkpoints and the workers' copy of the images lie; a temporary folder without it. A task
        whose stored key (recipe, data, task) equals is not fitted again, and a started one continues.
    cluster : Cluster, optional
        Fit on its nodes, with their GPUs, instead of here; `workers` is then not used.

    Raises
    ------
    UsageError
        For repeated names, fewer than one worker, or weights that the trainer does not heed.
    StorageError
        If `folder` cannot be written.
    AuditorError
        Whatever a fit raises, in the caller's process too.
    KeyboardInterrupt
        After all workers were stopped.
    """
    progress = progress or SilentProgress()
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}.")
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise UsageError(f"task names repeat: {sorted(n for n in set(names) if names.count(n) > 1)}.")
    if any(task.weights is not None for task in tasks) and not getattr(trainer, "weighs", False):
        raise UsageError(f"trainer {trainer.name!r} gives every training item the same weight.")
    temporary = tempfile.TemporaryDirectory(prefix="auditor-train-") if folder is None else nullcontext(folder)
    with temporary as opened:
        home, content = Path(opened), data_hash(data)
        trainer = _resolve(trainer, data, content, home, cluster)
        keys = {task.name: task_key(trainer, content, task) for task in tasks}
        results = stored_results(keys, home)
        for name in results:
            progress.start(name, 1)
            progress.finish(name, "stored")
        todo = [task for task in tasks if task.name not in results]
        results |= fit_missing(trainer, data, content, todo, keys, workers, progress, home, cluster)
        return [results[task.name] for task in tasks]


def stored_results(keys: dict[str, str], folder: Path) -> dict[str, FitResult]:
    """Results under `folder` of the tasks (name to key) that have one."""
    loaded = {name: load_result(folder / "results", name, key) for name, key in keys.items()}
    return {name: result for name, result in loaded.items() if result is not None}


def fit_missing(
    trainer: Trainer,
    data: TrainingData,
    content: str,
    tasks: Sequence[FitTask],
    keys: dict[str, str],
    workers: int,
    progress: Progress,
    folder: Path,
    cluster: Cluster | None = None,
) -> dict[str, FitResult]:
    """Fit tasks without a stored result: on the cluster, one after the other here, or in worker processes.

    Parameters
    ----------
    content : str
        `data_hash` of the data.
    keys : dict of str to str
        Task name to `task_key`.
    trainer, data, tasks, workers, progress, folder, cluster
        As in `run_tasks`; nothing is left at ``auto``.
    """
    if cluster is not None:
        return fit_on_cluster(cluster, trainer, data, tasks, keys, progress, folder)
    workers, results = min(workers, len(tasks)), {}
    if len(tasks) > 1:
        progress.start(ALL, len(tasks), "model")
    if workers <= 1 or getattr(trainer, "needs_one_process", False):
        for task in tasks:
            results[task.name] = fit_and_store(trainer, data, task, keys[task.name], folder, progress)
            progress.advance(ALL, len(results))
        progress.finish(ALL)
        return results
    for done in run_in_workers(trainer, data, content, tasks, keys, workers, progress, folder):
        progress.advance(ALL, done)
    progress.finish(ALL)
    results = stored_results({task.name: keys[task.name] for task in tasks}, folder)
    if lost := [task.name for task in tasks if task.name not in results]:
        raise UnreadableError(f"the results of {', '.join(lost)} vanished from {str(folder)!r}.", "Start again.")
    return results


def _resolve(trainer: T, data: TrainingData, content: str, folder: Path, cluster: Cluster | None) -> T:
    """Let a trainer fix its automatic choices once, and remember them for the continuation of this run.

    Device and precision follow the hardware, which may be another one after an interruption; one run would then mix two
    recipes.
    """
    if not hasattr(trainer, "resolved"):
        return trainer
    asked = hash_json([trainer.recipe(), content])
    path = folder / "choices.json"
    with suppress(UnreadableError):  # absent or damaged: chosen anew; fits of another choice are not taken for these
        stored = read_sealed(path)
        if stored.get("asked") == asked:
            return cast(T, replace(cast(Any, trainer), **stored["choices"]))
    resolved = trainer.resolved(data) if cluster is None else resolve_on_cluster(cluster, trainer, data)
    before, after = trainer.recipe(), resolved.recipe()
    choices = {name: value for name, value in after.items() if before.get(name) != value}
    write_sealed(path, {"asked": asked, "choices": choices})
    return cast(T, resolved)
