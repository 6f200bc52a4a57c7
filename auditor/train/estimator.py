"""What the scikit-learn trainers share: checks before a fit, one thread, and K columns whatever was seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from auditor.core.errors import EmptyDataError, UsageError
from auditor.train.base import FitResult, FitTask, TrainingData

__all__ = ["check_kind", "constant_result", "one_thread", "widen_probabilities"]


def check_kind(trainer: str, wanted: str, data: TrainingData, task: FitTask) -> None:
    """Refuse data a trainer cannot read, and tasks without training items.

    Raises
    ------
    UsageError
        If ``data.kind`` is not `wanted`.
    EmptyDataError
        If ``task.train`` is empty.
    """
    if data.kind != wanted:
        raise UsageError(
            f"trainer {trainer!r} reads {wanted} data; this data set holds {data.kind} data.",
            "Use --model auto, or see `auditor models` for what each trainer reads.",
        )
    if len(task.train) == 0:
        raise EmptyDataError(f"task {task.name!r} of trainer {trainer!r} has no items to train on.")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS and OpenMP on one thread: sums split over threads differ in their last bits.

    Folds run side by side in worker processes, so that the cores are busy all the same.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def widen_probabilities(probabilities: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Spread the columns of the classes that were seen in training over all classes.

    Parameters
    ----------
    probabilities : float array (n, len(classes))
        Non-negative; rows need not sum to 1.
    classes : int array
        Class of each column, as in scikit-learn's ``classes_``.
    n_classes : int

    Returns
    -------
    float32 array (n, n_classes)
        Rows sum to 1. A class that was absent from the training part has probability exactly 0: the model
        cannot have learned it, and the fold planner lists such classes as not auditable.
    """
    wide = np.zeros((len(probabilities), n_classes), dtype=np.float64)
    wide[:, np.asarray(classes, dtype=np.int64)] = probabilities
    total = wide.sum(axis=1, keepdims=True)
    return np.divide(wide, total, out=np.full_like(wide, 1 / n_classes), where=total > 0).astype(np.float32)


def constant_result(data: TrainingData, task: FitTask, started: float) -> FitResult | None:
    """The answer when the training part holds one class only: that class, with certainty. Else ``None``."""
    classes = np.unique(data.labels[task.train])
    if len(classes) > 1:
        return None
    probabilities = widen_probabilities(np.ones((len(task.predict), 1)), classes, data.n_classes)
    note = f"the training part of {task.name} holds one class only"
    return FitResult(probabilities, None, [], time.perf_counter() - started, {"notes": [note]})
