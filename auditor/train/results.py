"""Fits and their results on disk: one ``.npz`` and one ``.json`` per task, found again by the hash of their inputs."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from auditor.core.errors import UnreadableError, UnsafeFileError
from auditor.core.files import load_npz, read_sealed, write_sealed
from auditor.core.hashing import hash_array, hash_file, hash_json, hash_strings
from auditor.core.progress import Progress
from auditor.runs.tables import write_arrays
from auditor.train.base import Dynamics, FitResult, FitTask, Trainer, TrainingData

#: How the file of a task's network ends.
WEIGHTS = ".weights.npz"
#: Layout of a stored result; another number is not read.
SCHEMA = 1
_DYNAMICS = tuple(f.name for f in fields(Dynamics))


def data_hash(data: TrainingData) -> str:
    """Content hash of features, labels and number of classes."""
    if isinstance(data.features, np.ndarray):
        content = hash_array(data.features)
    else:
        content = hash_strings(data.features) if isinstance(data.features, list) else _frame_hash(data.features)
    return hash_json([data.kind, content, hash_array(np.asarray(data.labels)), data.n_classes])


def _frame_hash(frame: Any) -> str:
    import pandas as pd

    header = hash_strings([f"{name}:{dtype}" for name, dtype in frame.dtypes.items()])
    # Categories are hashed by value, not by code, so that their order cannot hide a change.
    rows = pd.util.hash_pandas_object(frame, index=False, categorize=True).to_numpy()
    return hash_json([header, hash_array(rows)])


def task_key(trainer: Trainer, data: str, task: FitTask) -> str:
    """Hash of everything one result depends on.

    Parameters
    ----------
    trainer : Trainer
    data : str
        `data_hash` of the training data.
    task : FitTask
    """
    rows = {part: hash_array(np.asarray(getattr(task, part), dtype=np.int64)) for part in ("train", "predict")}
    if task.weights is not None:
        rows["weights"] = hash_array(np.asarray(task.weights, dtype=np.float64))
    named = {"schema": SCHEMA, "recipe": trainer.recipe(), "data": data, "name": task.name}
    return hash_json({**named, **rows, "seed": int(task.seed)})


def save_result(folder: Path, task: str, key: str, result: FitResult) -> None:
    """Write ``<task>.npz``, ``<task>.weights.npz`` where there are weights, then ``<task>.json`` with the key and the
    hashes of both."""
    arrays = {"probabilities": np.asarray(result.probabilities, dtype=np.float32)}
    if result.dynamics is not None:
        arrays.update({name: getattr(result.dynamics, name) for name in _DYNAMICS})
    target = Path(folder) / f"{task}.npz"
    write_arrays(target, arrays)
    hashes = {"arrays": hash_file(target)}
    if result.weights is not None:
        write_arrays(weights_path(folder, task), result.weights)
        hashes["weights"] = hash_file(weights_path(folder, task))
    row = {"history": result.history, "seconds": result.seconds, "details": result.details}
    described = {"schema": SCHEMA, "task": task, "key": key, **hashes, **row}
    write_sealed(target.with_suffix(".json"), described)


def weights_path(folder: Path, task: str) -> Path:
    """Where `save_result` keeps a task's network."""
    return Path(folder) / f"{task}{WEIGHTS}"


def load_result(folder: Path, task: str, key: str) -> FitResult | None:
    """The stored result of a task, or None if there is none with this key whose arrays are intact."""
    target = Path(folder) / f"{task}.npz"
    described = target.with_suffix(".json")
    if not described.is_file() or not target.is_file():
        return None
    try:
        row = read_sealed(described)
        if row.get("schema") != SCHEMA or row.get("key") != key:
            return None
        weights = weights_path(folder, task)
        if row.get("arrays") != hash_file(target):
            return None
        if "weights" in row and not (weights.is_file() and hash_file(weights) == row["weights"]):
            return None
        arrays = load_npz(target)
    except (UnreadableError, UnsafeFileError):
        return None
    try:
        dynamics = Dynamics(**{name: arrays[name] for name in _DYNAMICS}) if _DYNAMICS[0] in arrays else None
        return FitResult(arrays["probabilities"], dynamics, row["history"], row["seconds"], row["details"])
    except KeyError:
        return None


def checkpoint_folder(folder: Path, key: str) -> Path:
    """Where the state of an unfinished fit lies."""
    return folder / "checkpoints" / key.removeprefix("sha256:")[:16]


def fit_limited(
    trainer: Trainer, data: TrainingData, task: FitTask, progress: Progress, checkpoints: Path | None
) -> FitResult:
    """Fit with the trainer's own number of threads."""
    with threadpool_limits(limits=int(getattr(trainer, "threads", 1))):
        return trainer.fit(data, task, progress, checkpoints)


def fit_and_store(
    trainer: Trainer, data: TrainingData, task: FitTask, key: str, folder: Path, progress: Progress
) -> FitResult:
    """Fit one task, store its result, and drop its checkpoint."""
    checkpoints = checkpoint_folder(folder, key)
    result = fit_limited(trainer, data, task, progress, checkpoints)
    save_result(folder / "results", task.name, key, result)
    shutil.rmtree(checkpoints, ignore_errors=True)  # only now: until here it was the way back
    return result
