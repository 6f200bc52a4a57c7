"""Helpers for tests of the trainers without a network."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedKFold

from auditor.core.progress import SilentProgress
from auditor.train.base import FitResult, FitTask, Trainer, TrainingData


def fit(trainer: Trainer, data: TrainingData, train: np.ndarray, predict: np.ndarray, seed: int = 0) -> FitResult:
    task = FitTask("task", np.asarray(train, np.int64), np.asarray(predict, np.int64), seed)
    return trainer.fit(data, task, SilentProgress(), None)


def out_of_fold(trainer: Trainer, data: TrainingData, folds: int = 5) -> np.ndarray:
    """Cross-validated probabilities, float32 (n, K)."""
    result = np.full((len(data), data.n_classes), np.nan, np.float32)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    for seed, (train, predict) in enumerate(splitter.split(data.labels, data.labels)):
        result[predict] = fit(trainer, data, train, predict, seed).probabilities
    return result


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(probabilities.argmax(1) == labels))


def assert_valid(probabilities: np.ndarray, rows: int, classes: int) -> None:
    assert probabilities.shape == (rows, classes)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    assert np.abs(probabilities.sum(axis=1) - 1).max() <= 1e-5


def assert_repeatable(trainer: Trainer, data: TrainingData) -> None:
    """Same task, same bytes, whatever was fitted in between; other columns stay K wide."""
    half = np.arange(len(data)) % 2
    train, predict = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    first = fit(trainer, data, train, predict, seed=3)
    assert_valid(first.probabilities, len(predict), data.n_classes)
    fit(trainer, data, predict, train, seed=4)
    second = fit(trainer, data, train, predict, seed=3)
    assert np.array_equal(first.probabilities, second.probabilities)


def assert_absent_class_is_zero(trainer: Trainer, data: TrainingData) -> None:
    train = np.flatnonzero(data.labels != 1)[::2]
    predict = np.setdiff1d(np.arange(len(data)), train)
    probabilities = fit(trainer, data, train, predict).probabilities
    assert_valid(probabilities, len(predict), data.n_classes)
    assert np.all(probabilities[:, 1] == 0)
