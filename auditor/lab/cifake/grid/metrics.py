"""Accuracy, precision, recall, F1 and loss of a two-class network, each with an interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from auditor.core.errors import DataError
from auditor.core.files import json_value
from auditor.stats.intervals import Interval, wilson

#: Natural logarithm of the smallest probability the loss counts, as float32 softmax can give an exact 0.
SMALLEST = 1e-12


@dataclass(frozen=True)
class ClassMetrics:
    """One class taken as the positive one. NaN with the interval [0, 1] where nothing can be divided by."""

    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True)
class BinaryMetrics:
    """What one network does on n items.

    Attributes
    ----------
    n : int
    confusion : list of two lists of int
        ``[given][predicted]``.
    accuracy, loss : Interval
        Share; mean binary cross-entropy in nats.
    classes : tuple of ClassMetrics
        Class 0 (FAKE) and class 1 (REAL) as the positive one.
    """

    n: int
    confusion: list[list[int]]
    accuracy: Interval
    loss: Interval
    classes: tuple[ClassMetrics, ClassMetrics]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        document: dict[str, Any] = json_value(asdict(self), digits=6)
        return document


def binary_metrics(probabilities: np.ndarray, labels: np.ndarray, level: float = 0.95) -> BinaryMetrics:
    """Metrics of the most probable class.

    Parameters
    ----------
    probabilities : float array (n, 2)
        Equal ones count for class 0.
    labels : int array (n,)
        0 or 1.
    level : float

    Notes
    -----
    Shares get Wilson's interval. F1 = 2J / (1 + J), where J is the share of true positives among all items that are
    positive by label or by prediction; the interval of J is carried over, given that number of items. The loss gets
    the normal interval of a mean. All of it is the spread over items, not over seeds.

    Raises
    ------
    DataError
        If the arrays do not fit.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.shape != (len(labels), 2) or not np.isin(labels, (0, 1)).all():
        raise DataError(f"two-class metrics need (n, 2) probabilities, not {probabilities.shape}, and labels 0 or 1.")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((2, 2), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    n = len(labels)
    return BinaryMetrics(
        n,
        confusion.tolist(),
        wilson(int(np.trace(confusion)), n, level),
        _mean(-np.log(np.maximum(probabilities[np.arange(n), labels], SMALLEST)), level),
        (_as_positive(confusion, 0, level), _as_positive(confusion, 1, level)),
    )


def _as_positive(confusion: np.ndarray, k: int, level: float) -> ClassMetrics:
    hits, called, real = int(confusion[k, k]), int(confusion[:, k].sum()), int(confusion[k].sum())
    shared = wilson(hits, called + real - hits, level)
    value, low, high = (2 * j / (1 + j) for j in (shared.value, shared.low, shared.high))
    f1 = Interval(value, low, high, level)
    return ClassMetrics(wilson(hits, called, level), wilson(hits, real, level), f1)


def _mean(values: np.ndarray, level: float) -> Interval:
    from scipy.stats import norm

    if not len(values):
        return Interval(math.nan, 0.0, math.inf, level)
    mean = float(values.mean())
    half = float(norm.isf((1 - level) / 2) * values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    return Interval(mean, mean - half, mean + half, level)
