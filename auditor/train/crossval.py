"""Run many fits: stored ones are skipped, the rest share the cores, and every order gives the same result."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from auditor.core.errors import UnreadableError, UsageError
from auditor.core.files import read_sealed, write_sealed
from auditor.core.hashing import hash_json
from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.cluster import Cluster, fit_on_cluster, resolve_on_cluster
from auditor.train.results import data_hash, fit_and_store, fit_limited, load_result, task_key
from auditor.train.workers import run_in_workers

T = TypeVar("T", bound=Trainer)
#: Progress of all fits together.
ALL = "all"


@dataclass(frozen=True)
class Together:
    """Several trainers as one, so that worker processes take fits of all of them from one queue.

    Attributes
    ----------
    by_task : dict of str to Trainer
        Whose a task is, by its name.
    """

    by_task: dict[str, Trainer]
    name: str = "several models"
    threads: int = 1

    @property
    def needs_one_process(self) -> bool:
        return any(getattr(trainer, "needs_one_process", False) for trainer in self.by_task.values())

    def recipe(self) -> dict[str, Any]:
        return {task: trainer.recipe() for task, trainer in self.by_task.items()}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        return fit_limited(self.by_task[task.name], data, task, progress, checkpoint_dir)


def run_tasks(trainer: Trainer, data: TrainingData, tasks: Sequence[FitTask], **options: Any) -> list[FitResult]:
    """`run_jobs` for the tasks of one trainer."""
    return run_jobs([(trainer, task) for task in tasks], data, **options)


def run_jobs(
    jobs: Sequence[tuple[Trainer, FitTask]],
    data: TrainingData,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    folder: Path | None = None,
    cluster: Cluster | None = None,
) -> list[FitResult]:
    """Fit all tasks, each with its trainer, and return their results in the order of `jobs`.

    Parameters
    ----------
    jobs : sequence of (Trainer, FitTask)
        Trainers are sent to worker processes, so their classes must be importable there. Names of tasks must be unique.
    data : TrainingData
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
    names = [task.name for _, task in jobs]
    if len(set(names)) != len(names):
        raise UsageError(f"task names repeat: {sorted(n for n in set(names) if names.count(n) > 1)}.")
    for trainer, task in jobs:
        if task.weights is not None and not getattr(trainer, "weighs", False):
            raise UsageError(f"trainer {trainer.name!r} gives every training item the same weight.")
    temporary = tempfile.TemporaryDirectory(prefix="auditor-train-") if folder is None else nullcontext(folder)
    with temporary as opened:
        home, content = Path(opened), data_hash(data)
        resolved = {id(trainer): trainer for trainer, _ in jobs}
        resolved = {key: _resolve(trainer, data, content, home, cluster) for key, trainer in resolved.items()}
        by_task = {task.name: resolved[id(trainer)] for trainer, task in jobs}
        keys = {task.name: task_key(by_task[task.name], content, task) for _, task in jobs}
        results = stored_results(keys, home)
        for name in results:
            progress.start(name, 1)
            progress.finish(name, "stored")
        todo = [task for _, task in jobs if task.name not in results]
        if cluster is None:
            results |= fit_missing(Together(by_task), data, content, todo, keys, workers, progress, home)
        else:  # the nodes a fit needs depend on its trainer
            for trainer in resolved.values():
                own = [task for task in todo if by_task[task.name] is trainer]
                results |= fit_on_cluster(cluster, trainer, data, own, keys, progress, home) if own else {}
        return [results[name] for name in names]


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
) -> dict[str, FitResult]:
    """Fit tasks without a stored result: one after the other here, or in worker processes.

    Parameters
    ----------
    content : str
        `data_hash` of the data.
    keys : dict of str to str
        Task name to `task_key`.
    trainer, data, tasks, workers, progress, folder
        As in `run_jobs`; nothing is left at ``auto``.
    """
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
    path, others = folder / "choices.json", dict[str, Any]()
    with suppress(UnreadableError):  # absent or damaged: chosen anew; fits of another choice are not taken for these
        stored = read_sealed(path, unsealed=False)
        if stored.get("asked") == asked:
            return cast(T, replace(cast(Any, trainer), **stored["choices"]))
        if asked in (others := stored.get("others", {})):
            return cast(T, replace(cast(Any, trainer), **others[asked]))
        others = {**others, **({stored["asked"]: stored["choices"]} if "asked" in stored else {})}
    resolved = trainer.resolved(data) if cluster is None else resolve_on_cluster(cluster, trainer, data)
    before, after = trainer.recipe(), resolved.recipe()
    choices = {name: value for name, value in after.items() if before.get(name) != value}
    write_sealed(path, {"asked": asked, "choices": choices, "others": others})
    return cast(T, resolved)
