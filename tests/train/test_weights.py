"""Trainers that weigh items: a weight of 1 changes nothing, a weight of 0 silences a wrong label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import EstimatorTrainer
from auditor.train.frozen import FrozenTrainer
from auditor.train.kernel import KernelTrainer
from auditor.train.own import OwnModel
from auditor.train.pixels import PixelTrainer
from auditor.train.table import TableTrainer
from auditor.train.text import TfidfTrainer

N = 240
TRUTH = np.arange(N) % 2
#: Of the items of class 0 in the training half, most have the other label.
WRONG = (np.arange(N) < 120) & (TRUTH == 0) & (np.arange(N) % 6 != 0)
TASK = FitTask("t", np.arange(120), np.arange(120, N), 0)


def _texts() -> TrainingData:
    words = np.array([["ball", "goal", "team", "cup"], ["stock", "bank", "share", "fund"]])
    drawn = np.random.default_rng(0).integers(0, 4, (N, 6))
    return TrainingData("text", [" ".join(words[t, d]) for t, d in zip(TRUTH, drawn, strict=True)], TRUTH, 2)


def _table() -> TrainingData:
    return TrainingData("table", pd.DataFrame({"x": TRUTH + np.random.default_rng(0).normal(0, 0.2, N)}), TRUTH, 2)


def _images() -> TrainingData:
    noise = np.random.default_rng(0).integers(0, 60, (N, 4, 4, 3))
    return TrainingData("image", (noise + 120 * TRUTH[:, None, None, None]).astype(np.uint8), TRUTH, 2)


class _Encoded(FrozenTrainer):
    """The head alone, on pixels."""

    def fit(self, data: TrainingData, task: FitTask, progress: Any, checkpoint_dir: Any) -> Any:
        from auditor.train.base import FitResult
        from auditor.train.frozen import _Head

        features = data.features.reshape(len(data), -1).astype(np.float32)
        head = _Head(self, data, task, features, "cpu")
        dynamics, history = head.run(progress)
        return FitResult(head.probabilities(1.0), dynamics, history, 0.0)


@pytest.mark.parametrize(
    ("make", "trainer"),
    [
        (_texts, TfidfTrainer()),
        (_texts, OwnModel(make_pipeline(CountVectorizer(), LogisticRegression()))),
        (_table, TableTrainer(rounds=10)),
        (_table, KernelTrainer()),
        (_images, PixelTrainer()),
        (_images, _Encoded(rate=0.05, batch=32)),
    ],
    ids=["tfidf", "own", "boosting", "kernel", "pixels", "frozen"],
)
def test_weights_do_what_they_say(make: Callable[[], TrainingData], trainer: EstimatorTrainer | FrozenTrainer) -> None:
    if isinstance(trainer, FrozenTrainer):
        pytest.importorskip("torch")
    assert trainer.weighs
    data = make()
    noisy = replace(data, labels=np.where(WRONG, 1, TRUTH))

    def accuracy(weights: np.ndarray | None) -> tuple[float, np.ndarray]:
        fitted = trainer.fit(noisy, replace(TASK, weights=weights), SilentProgress(), None).probabilities
        return float((fitted.argmax(1) == TRUTH[120:]).mean()), fitted

    plain, same = accuracy(None)
    _, ones = accuracy(np.ones(120))
    np.testing.assert_allclose(ones, same, atol=1e-6)
    silenced, _ = accuracy(np.where(WRONG[:120], 1e-9, 1.0))
    assert plain < 0.7
    assert silenced > 0.95


def test_an_own_model_weighs_if_it_takes_weights() -> None:
    assert not OwnModel(KNeighborsClassifier()).weighs
    assert not OwnModel(lambda X, y, test: np.ones((len(test), 2)) / 2).weighs
