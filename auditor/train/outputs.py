"""Models of labels that are no classes: several yes-or-no tags at once, or one number.

Two of different kinds, as for classes (`auditor.train.choose`): ridge regression on features of the content, whose
penalty is chosen by leaving one item out in closed form, so that all tags cost little more than one; and boosted trees
on the columns of tables. Wrong numbers can be larger than all others by any factor, so numbers are drawn in before a
model is fitted to them (`Scale`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from scipy.special import expit

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.train import encoders
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.embeddings import embed
from auditor.train.estimator import OutputTrainer
from auditor.train.kernel import MOST_CATEGORIES, KernelTrainer, encode_columns
from auditor.train.table import TableTrainer, cap_categories, prepare_columns
from auditor.train.text import TfidfTrainer, weighted_terms
from auditor.train.token_tags import TokenTrainer

#: What a model predicts: P(the item has the tag) for each of `TrainingData.n_classes` tags, one number, or
#: probabilities of the tag of each token (`auditor.train.token_tags.padded`).
Output = Literal["tags", "number", "sequence"]
#: Penalties among which leaving one out chooses, per training item and mean square of a feature.
PENALTIES: Final = tuple(10.0**power for power in np.arange(-4, 2.5, 0.5))
#: Training items of one ridge, at most: features are fewer, and more items change little.
MOST_FITTED: Final = 10_000
#: Pixels along a side of pictures that no encoder sees.
SIDE: Final = 16
#: Numbers are drawn in to so many interquartile ranges beyond the quartiles.
FENCE: Final = 3.0
#: Positive numbers are fitted as logarithms where their 95th percentile is more than this many times the median.
SKEWED: Final = 4.0
#: Smallest probability of a tag.
FLOOR: Final = 1e-3


@dataclass(frozen=True)
class Scale:
    """How numbers are brought to a scale on which squared errors make sense, and back.

    Attributes
    ----------
    logarithm : bool
    low, high : float
        What lies further out is drawn in, on the scale.
    """

    logarithm: bool
    low: float
    high: float

    @classmethod
    def of(cls, numbers: np.ndarray) -> Scale:
        """The scale of training numbers, float64 (n,)."""
        logarithm = bool((numbers > 0).all() and np.quantile(numbers, 0.95) > SKEWED * np.median(numbers))
        low, high = np.quantile(np.log(numbers) if logarithm else numbers, [0.25, 0.75])
        fence = FENCE * max(float(high - low), 1e-12)
        return cls(logarithm, float(low) - fence, float(high) + fence)

    def forth(self, numbers: np.ndarray) -> np.ndarray:
        """Onto the scale."""
        return np.clip(np.log(numbers) if self.logarithm else numbers, self.low, self.high)

    def back(self, values: np.ndarray) -> np.ndarray:
        """From the scale."""
        return np.exp(values) if self.logarithm else values


@dataclass(frozen=True)
class RidgeOutputs(OutputTrainer):
    """Ridge regression on features of images, texts or rows.

    Attributes
    ----------
    output : {"tags", "number"}
    kind : str
        Of the data, as in `TrainingData`.
    encoder : str or None
        Frozen encoder of images; None: their pixels.
    size : int or None
        Height and width of what it sees; None: its own.
    components : int
        RBF features of a table, and components that the terms of texts are reduced to.
    cache_dir : Path or None
        Where embeddings are kept; no part of the recipe.
    """

    output: Output
    kind: str
    encoder: str | None = None
    size: int | None = None
    components: int = 200
    cache_dir: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Name for people and reports."""
        features = {"image": self.encoder or "pixels", "text": "tfidf", "table": "kernel"}[self.kind]
        return f"ridge:{features}"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        values = asdict(self)
        del values["cache_dir"]
        features = None if self.encoder is None else encoders.make_encoder(self.encoder, self.size).recipe()
        return {"trainer": "ridge outputs", "version": 1, **values, "features": features}

    def predict(self, data: TrainingData, task: FitTask, progress: Progress) -> tuple[np.ndarray, dict[str, Any]]:
        """Numbers, or probabilities by logistic regression on what leaving one out predicts."""
        progress.start(task.name, 2, "step")
        rows = task.train
        if len(rows) > MOST_FITTED:
            rows = np.sort(generator(task.seed, "rows").choice(rows, MOST_FITTED, replace=False))
        train, predict = _FEATURES[self.kind](self, data, rows, task, progress)
        progress.advance(task.name, 1, f"{train.shape[1]} features")
        labels = np.asarray(data.labels, np.float64)[rows]
        if self.output == "number":
            scale = Scale.of(labels)
            ridge = fit_ridge(train, scale.forth(labels)[:, None])
            outputs = scale.back(np.clip(ridge.predict(predict), scale.low, scale.high))
        else:
            ridge = fit_ridge(train, labels)
            outputs = _platt(ridge.left_out, labels == 1, ridge.predict(predict))
        return outputs, {"features": train.shape[1], "penalty": ridge.penalty, "fitted_on": len(rows)}


@dataclass(frozen=True)
class BoostedOutputs(OutputTrainer):
    """Histogram gradient boosting of the columns of a table, one model a tag, with the settings of `TableTrainer`."""

    output: Output
    trees: TableTrainer

    @property
    def name(self) -> str:
        """Name for people and reports."""
        return "boosting"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {"trainer": "boosted outputs", "version": 2, "kind": "table", **asdict(self)}

    def predict(self, data: TrainingData, task: FitTask, progress: Progress) -> tuple[np.ndarray, dict[str, Any]]:
        """Numbers, or probabilities of each tag by a model of its own."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        table, notes = prepare_columns(data.features)
        train, predict = cap_categories(table.iloc[task.train], table.iloc[task.predict], notes)
        labels = np.asarray(data.labels, np.float64)[task.train]
        settings = self.trees.settings(len(labels), task.seed)
        details = {"columns": list(train.columns), "notes": notes}
        progress.start(task.name, data.n_classes, "output")
        if self.output == "number":
            scale = Scale.of(labels)
            # Of absolute errors: a wrong number pulls a leaf no further than any other one on its side.
            model = HistGradientBoostingRegressor(loss="absolute_error", **settings).fit(train, scale.forth(labels))
            return (scale.back(model.predict(predict)) if len(predict) else np.empty(0))[:, None], details
        outputs = np.empty((len(predict), data.n_classes))
        for tag, has in enumerate(labels.T == 1):
            outputs[:, tag] = _share(has)
            if has.any() and not has.all() and len(predict):
                classifier = HistGradientBoostingClassifier(**settings).fit(train, has)
                outputs[:, tag] = classifier.predict_proba(predict)[:, 1]
            progress.advance(task.name, tag + 1)
        return np.clip(outputs, FLOOR, 1 - FLOOR), details


def choose_outputs(
    output: Output, kind: str, budget: str, cache_dir: Path | None = None
) -> tuple[tuple[Trainer, ...], str]:
    """The models of labels that are no classes, and one sentence saying why.

    Parameters
    ----------
    output : {"tags", "number", "sequence"}
    kind : str
        Of the data, as in `TrainingData`.
    budget : str
        ``"smoke"``, ``"quick"`` or ``"standard"``.
    cache_dir : Path, optional
        Where embeddings are kept.

    Raises
    ------
    UsageError
        If there is no model for this kind of data.
    """
    if output == "sequence":
        if kind != "text":
            raise UsageError(f"tokens have tags, and {kind} data have no tokens.", "Name their column with text=.")
        return (TokenTrainer(max_iter=30 if budget == "smoke" else 60),), "words, affixes and neighbours of each token"
    if kind == "table":
        boosted = BoostedOutputs(output, TableTrainer.from_budget(budget))
        return (boosted, RidgeOutputs(output, kind)), "boosted trees and a smooth model, which errs elsewhere"
    if kind == "text":
        return (RidgeOutputs(output, kind),), "words and character n-grams need no pretrained weights"
    if kind == "image":
        if (obstacle := encoders.lacking("efficientnet-lite0")) is not None:
            return (RidgeOutputs(output, kind),), f"on pixels: {obstacle}"
        size = {"smoke": 48, "quick": 64}.get(budget)
        trainer = RidgeOutputs(output, kind, "efficientnet-lite0", size=size, cache_dir=cache_dir)
        return (trainer,), "features of a pretrained encoder"
    raise UsageError(f"there is no model of labels that are no classes for {kind} data.")


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fitted ridge regression.

    Attributes
    ----------
    mean : float64 array (p,)
        Of the features.
    weights : float64 array (p, outputs)
    intercept : float64 array (outputs,)
    left_out : float64 array (n, outputs)
        Prediction of each training item by the fit to all others.
    penalty : float
    """

    mean: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    left_out: np.ndarray
    penalty: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """float64 (n, outputs)."""
        values: np.ndarray = (features - self.mean) @ self.weights + self.intercept
        return values


def fit_ridge(features: np.ndarray, outputs: np.ndarray) -> Ridge:
    """Ridge regression with one penalty for all outputs: of `PENALTIES` the one with the smallest squared error of
    leaving one out, each output in units of its variance (Allen's PRESS).

    Parameters
    ----------
    features : float64 array (n, p)
    outputs : float64 array (n, outputs)
    """
    n = len(features)
    mean, intercept = features.mean(axis=0), outputs.mean(axis=0)
    centred, wanted = features - mean, outputs - intercept
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    projected, unit = left.T @ wanted, float((singular**2).mean()) if len(singular) else 1.0
    spread = np.maximum(wanted.var(axis=0), 1e-12)
    best: tuple[float, float, np.ndarray] | None = None
    for penalty in PENALTIES:
        shrink = singular**2 / (singular**2 + penalty * max(unit, 1e-300))
        fitted = left @ (shrink[:, None] * projected)
        leverage = np.minimum((left**2) @ shrink + 1 / n, 1 - 1e-6)
        residual = (wanted - fitted) / (1 - leverage)[:, None]
        error = float((residual**2 / spread).mean())
        if best is None or error < best[0]:
            best = error, penalty, wanted - residual
    assert best is not None
    strength = singular / (singular**2 + best[1] * max(unit, 1e-300))
    return Ridge(mean, right.T @ (strength[:, None] * projected), intercept, best[2] + intercept, best[1])


def _platt(left_out: np.ndarray, has: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores of tags as probabilities: logistic regression of each on what leaving one out predicts (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    result = np.empty(scores.shape)
    for tag in range(has.shape[1]):
        result[:, tag] = _share(has[:, tag])
        if not len(scores) or not has[:, tag].any() or has[:, tag].all():
            continue
        unit = left_out[:, tag].std() or 1.0
        model = LogisticRegression(C=10.0).fit(left_out[:, tag : tag + 1] / unit, has[:, tag])
        result[:, tag] = expit(model.decision_function(scores[:, tag : tag + 1] / unit))
    return np.clip(result, FLOOR, 1 - FLOOR)


def _share(has: np.ndarray) -> float:
    """P(tag) where nothing else is known, by the rule of succession."""
    return float((has.sum() + 1) / (len(has) + 2))


def _columns(
    trainer: RidgeOutputs, data: TrainingData, chosen: np.ndarray, task: FitTask, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Columns as normal quantiles and indicators, with RBF features of them."""
    table, notes = prepare_columns(data.features)
    known, after = cap_categories(table.iloc[chosen], table.iloc[task.predict], notes, MOST_CATEGORIES)
    kernel = KernelTrainer(components=trainer.components)
    return kernel.with_kernel(*encode_columns(known, after), task.seed)


def _terms(
    trainer: RidgeOutputs, data: TrainingData, chosen: np.ndarray, task: FitTask, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Latent components of the weighted terms."""
    from sklearn.decomposition import TruncatedSVD

    train, predict = weighted_terms(data, chosen, task.predict, TfidfTrainer())
    count = min(trainer.components, train.shape[1] - 1, train.shape[0] - 1)
    if count < 1:
        return np.zeros((train.shape[0], 1)), np.zeros((predict.shape[0], 1))
    reduced = TruncatedSVD(count, random_state=task.seed % 2**32).fit(train)
    return reduced.transform(train), reduced.transform(predict) if predict.shape[0] else np.empty((0, count))


def _pictures(
    trainer: RidgeOutputs, data: TrainingData, chosen: np.ndarray, task: FitTask, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings, or the pixels of small pictures."""
    if trainer.encoder is not None:
        encoder = encoders.make_encoder(trainer.encoder, trainer.size)
        whole = embed(encoder, data.features, trainer.cache_dir, "cpu", 1, progress, f"{task.name} embeddings")
        train, predict = (np.asarray(whole[rows], np.float64) for rows in (chosen, task.predict))
        scale = train.std(axis=0) + 1e-3
        return train / scale, predict / scale
    return _pixels(data.features[chosen]), _pixels(data.features[task.predict])


def _pixels(images: np.ndarray) -> np.ndarray:
    """Mean colours of at most `SIDE` by `SIDE` parts, float64 (n, ..)."""
    n, height, width, channels = images.shape
    rows, columns = (np.linspace(0, side, min(side, SIDE) + 1).astype(int)[:-1] for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float64), rows, axis=1), columns, axis=2)
    counts = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))[None, :]
    return (sums / counts[None, :, :, None] / 255).reshape(n, len(rows) * len(columns) * channels)


_FEATURES: Final[dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]]] = {
    "table": _columns,
    "text": _terms,
    "image": _pictures,
}
