"""A trainer with epochs for tests: softmax regression on pixels by gradient descent, in NumPy, in milliseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp, softmax

from auditor.core.progress import Progress
from auditor.train.base import Dynamics, FitResult, FitTask, TrainingData


@dataclass(frozen=True)
class SoftmaxTrainer:
    name: str = "softmax"
    epochs: int = 12
    rate: float = 0.5

    def recipe(self) -> dict[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        pixels = np.asarray(data.features, dtype=np.float64).reshape(len(data), -1) / 255
        pixels = np.c_[pixels - pixels.mean(axis=0), np.ones(len(pixels))]
        train, predict = pixels[task.train], pixels[task.predict]
        counted = np.ones((len(train), 1)) if task.weights is None else task.weights[:, None]
        target = np.eye(data.n_classes)[data.labels[task.train]]
        weights = np.zeros((pixels.shape[1], data.n_classes))
        rows: dict[str, list[np.ndarray]] = {"train": [], "heldout": []}
        for _ in range(self.epochs):
            for _ in range(10):
                weights -= self.rate * train.T @ (counted * (softmax(train @ weights, axis=1) - target)) / len(train)
            rows["train"].append(_summary(train @ weights, data.labels[task.train]))
            rows["heldout"].append(_summary(predict @ weights, data.labels[task.predict]))
        seen, held = np.stack(rows["train"], axis=1), np.stack(rows["heldout"], axis=1)
        p = softmax(predict @ weights, axis=1).astype(np.float32)
        history = [{"epoch": e + 1, "seconds": 0.0, "train_loss": 0.0} for e in range(self.epochs)]
        return FitResult(p, Dynamics(*seen, *held), history, 0.0)


@dataclass(frozen=True)
class WeighingTrainer(SoftmaxTrainer):
    """One whose fits take weights, and are repeated where nobody says how often."""

    weighs: ClassVar[bool] = True
    refits: ClassVar[int] = 2


def _summary(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rows = np.arange(len(labels))
    other = logits.copy()
    other[rows, labels] = -np.inf
    return np.stack([logits[rows, labels], other.max(axis=1), logsumexp(logits, axis=1)]).astype(np.float16)
