"""What the scikit-learn trainers share: checks before a fit, one thread, and K columns whatever was seen."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from threadpoolctl import threadpool_limits

from auditor.core.errors import EmptyDataError, UsageError
from auditor.core.progress import Progress
from auditor.train.base import FitResult, FitTask, TrainingData


def refuse_kind(trainer: str, wanted: str | None, kind: str) -> None:
    """Refuse data of a kind that a trainer cannot read.

    Raises
    ------
    UsageError
        If `kind` is not `wanted`; None stands for any.
    """
    if wanted not in (None, kind):
        raise UsageError(
            f"trainer {trainer!r} reads {wanted} data; this data set holds {kind} data.",
            "Use --model auto, or see `auditor models` for what each trainer reads.",
        )


def check_kind(trainer: str, wanted: str | None, data: TrainingData, task: FitTask) -> None:
    """Refuse data a trainer cannot read, and tasks without training items.

    Raises
    ------
    UsageError
        As `refuse_kind`.
    EmptyDataError
        If ``task.train`` is empty.
    """
    refuse_kind(trainer, wanted, data.kind)
    if len(task.train) == 0:
        raise EmptyDataError(f"task {task.name!r} of trainer {trainer!r} has no items to train on.")


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


def inner_folds(labels: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Parts of a training part on which it is tuned: pairs of (rest, held out) positions, with classes spread evenly.

    Classes with fewer than two items per fold are never held out but stay in every rest, which would lack them
    otherwise. Empty where fewer than two classes have so many.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels)
    common = np.flatnonzero(counts[labels] >= 2 * folds)
    if len(np.unique(labels[common])) < 2:
        return []
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32)
    held_out = (common[held] for _, held in splitter.split(common, labels[common]))
    return [(np.setdiff1d(np.arange(len(labels)), held), held) for held in held_out]


def held_out_margins(classes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``scores`` (n, len(classes)) less that of the given label, which has to be among `classes`."""
    given = np.searchsorted(classes, labels)
    return scores - scores[np.arange(len(labels)), given][:, None]


def best_temperature(margins: list[np.ndarray], weights: Sequence[np.ndarray] = ()) -> tuple[float, float]:
    """The temperature in [.02, 20] with the smallest mean negative log-likelihood, and that mean.

    Parameters
    ----------
    margins : list of float64 arrays (n, classes)
        From `held_out_margins`.
    weights : sequence of float arrays (n,)
        Of the items of each of `margins`; none: all count the same.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    counted = np.concatenate(list(weights)) if weights else None

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.average(np.concatenate([logsumexp(m * scale, axis=1) for m in margins]), weights=counted))

    best = minimize_scalar(loss, bounds=(np.log(0.02), np.log(20.0)), method="bounded")
    return float(np.exp(best.x)), float(best.fun)


def best_strength(
    margins: Mapping[float, list[np.ndarray]], weights: Sequence[np.ndarray] = ()
) -> tuple[float, float] | None:
    """The strength of a penalty whose held-out margins are likeliest at their best temperature, and that temperature.

    Parameters
    ----------
    margins : mapping of float to list of float64 arrays (n, classes)
        By strength, from `held_out_margins`; without any, the answer is None.
    weights : sequence of float arrays (n,)
        As in `best_temperature`.
    """
    tried = {strength: best_temperature(held, weights) for strength, held in margins.items() if held}
    if not tried:
        return None
    best = min(tried, key=lambda strength: tried[strength][1])
    return best, tried[best][0]


def regression_scores(model: Any, rows: Any) -> np.ndarray:
    """One score per class of a fitted logistic regression, float64 (n, classes): the logarithms of its probabilities up
    to a constant."""
    if not rows.shape[0]:
        return np.empty((0, len(model.classes_)))
    scores = model.decision_function(rows)
    return np.column_stack([np.zeros(len(scores)), scores]) if scores.ndim == 1 else scores


class EstimatorTrainer:
    """Base of the trainers that fit an estimator in seconds: frozen dataclasses with `kind` and `classify`."""

    #: Kind of data it reads, as `TrainingData.kind`; None for any.
    kind: ClassVar[str | None]
    has_epochs: ClassVar[bool] = False
    weighs: ClassVar[bool] = True
    refits: ClassVar[int] = 2
    name: str

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {**asdict(cast(Any, self)), "version": 1}

    @abstractmethod
    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Fit on ``task.train``: classes seen, a weight per predicted item and class, and details for the report."""

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """See `Trainer.fit`. Takes seconds, so nothing is saved in between."""
        check_kind(self.name, self.kind, data, task)
        started = time.perf_counter()
        if (constant := constant_result(data, task, started)) is not None:
            return constant
        # Sums split over threads differ in their last bits. Folds run side by side in worker processes instead.
        with threadpool_limits(limits=1):
            classes, weights, details = self.classify(data, task, progress)
        progress.finish(task.name)
        probabilities = widen_probabilities(weights, classes, data.n_classes)
        seconds = time.perf_counter() - started
        return FitResult(probabilities, None, [], seconds, {"device": "cpu", "threads": 1, **details})


class OutputTrainer(ABC):
    """Base of models of labels that are no classes: checks, one thread, and a result whose ``probabilities`` are the
    outputs."""

    has_epochs: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for people and reports."""

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """As `Trainer.recipe`."""

    @abstractmethod
    def predict(self, data: TrainingData, task: FitTask, progress: Progress) -> tuple[np.ndarray, dict[str, Any]]:
        """Outputs of ``task.predict``, float64 (n predicted, outputs), by a fit to ``task.train``, and details."""

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """See `Trainer.fit`; ``probabilities`` are the predicted outputs, float32."""
        check_kind(self.name, self.recipe()["kind"], data, task)
        started = time.perf_counter()
        with threadpool_limits(1):  # sums depend on the number of threads
            outputs, details = self.predict(data, task, progress)
        progress.finish(task.name)
        return FitResult(outputs.astype(np.float32), None, [], time.perf_counter() - started, details)
