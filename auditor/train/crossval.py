"""Run many fits: stored ones are skipped, the rest share the cores, and every order gives the same result."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.files import atomic_path, read_json, write_json
from auditor.core.hashing import hash_json
from auditor.core.progress import Progress, SilentProgress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData
from auditor.train.cluster import Cluster, checkpoint_folder, fit_limited, fit_on_cluster, resolve_on_cluster
from auditor.train.results import data_hash, load_result, save_result, task_key

__all__ = ["fit_and_store", "run_tasks"]

T = TypeVar("T", bound=Trainer)


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
        For repeated names or fewer than one worker.
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
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="auditor-train-") as temporary:
            return _run(trainer, data, tasks, workers, progress, Path(temporary), cluster)
    return _run(trainer, data, tasks, workers, progress, Path(folder), cluster)


def _run(
    trainer: Trainer,
    data: TrainingData,
    tasks: Sequence[FitTask],
    workers: int,
    progress: Progress,
    folder: Path,
    cluster: Cluster | None,
) -> list[FitResult]:
    content = data_hash(data)
    trainer = _resolve(trainer, data, content, folder, cluster)
    keys = {task.name: task_key(trainer, content, task) for task in tasks}
    results: dict[str, FitResult] = {}
    for task in tasks:
        stored = load_result(folder / "results", task.name, keys[task.name])
        if stored is not None:
            results[task.name] = stored
            progress.start(task.name, 1)
            progress.finish(task.name, "stored")
    todo = [task for task in tasks if task.name not in results]
    workers = min(workers, len(todo))
    if cluster is not None:
        results |= fit_on_cluster(cluster, trainer, data, todo, keys, progress, folder)
    elif workers <= 1 or getattr(trainer, "needs_one_process", False):
        for task in todo:
            results[task.name] = fit_and_store(trainer, data, task, keys[task.name], folder, progress)
    else:
        from auditor.train.workers import run_in_workers

        shared = share_features(data, content, folder)
        try:
            run_in_workers(trainer, shared, todo, keys, workers, progress, folder)
        finally:
            shutil.rmtree(folder / "shared", ignore_errors=True)
        for task in todo:
            stored = load_result(folder / "results", task.name, keys[task.name])
            if stored is None:
                raise UsageError(f"the result of task {task.name!r} vanished from {str(folder)!r}.")
            results[task.name] = stored
    return [results[task.name] for task in tasks]


def _resolve(trainer: T, data: TrainingData, content: str, folder: Path, cluster: Cluster | None) -> T:
    """Let a trainer fix its automatic choices once, and remember them for the continuation of this run.

    Device and precision follow the hardware, which may be another one after an interruption; one run would then mix two
    recipes.
    """
    if not hasattr(trainer, "resolved"):
        return trainer
    asked = hash_json([trainer.recipe(), content])
    path = folder / "choices.json"
    if path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("asked") == asked:
            return cast(T, replace(cast(Any, trainer), **kept["choices"]))
    resolved = trainer.resolved(data) if cluster is None else resolve_on_cluster(cluster, trainer, data)
    before, after = trainer.recipe(), resolved.recipe()
    choices = {name: value for name, value in after.items() if before.get(name) != value}
    write_json(path, {"asked": asked, "choices": choices})
    return cast(T, resolved)


def fit_and_store(
    trainer: Trainer, data: TrainingData, task: FitTask, key: str, folder: Path, progress: Progress
) -> FitResult:
    """Fit one task, store its result, and drop its checkpoint."""
    checkpoints = checkpoint_folder(folder, key)
    result = fit_limited(trainer, data, task, progress, checkpoints)
    save_result(folder / "results", task.name, key, result)
    shutil.rmtree(checkpoints, ignore_errors=True)  # only now: until here it was the way back
    return result


def share_features(data: TrainingData, content: str, folder: Path) -> Any:
    """What workers need to rebuild the data: images as a file they map, everything else as it is."""
    from auditor.train.workers import SharedData

    if not isinstance(data.features, np.ndarray):
        return SharedData(data.kind, data.features, None, data.labels, data.n_classes)
    features = data.features
    if isinstance(features, np.memmap) and features.filename and _is_npy(features):
        path = Path(features.filename)
    else:
        path = folder / "shared" / f"{content.removeprefix('sha256:')[:16]}.npy"
        if not path.is_file():
            with atomic_path(path) as temporary, open(temporary, "wb") as handle:
                np.save(handle, np.ascontiguousarray(features), allow_pickle=False)
    return SharedData(data.kind, None, path, data.labels, data.n_classes)


def _is_npy(features: np.memmap) -> bool:
    """Whether the map is the whole of a .npy file (not a slice of it, not a raw file)."""
    path = Path(str(features.filename))
    if path.suffix != ".npy" or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    return whole.shape == features.shape and whole.dtype == features.dtype and whole.offset == features.offset
