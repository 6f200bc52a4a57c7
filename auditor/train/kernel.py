"""Tables once more: a smooth model beside the trees, which errs elsewhere.

Trees cut along single columns and forget distances; on few rows they repeat the wrong labels of small leaves. Logistic
regression on the columns and on an approximate RBF kernel of them (Nystroem; Williams and Seeger 2001, NIPS 13) is a
model of another kind, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import softmax

from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import EstimatorTrainer, best_strength, held_out_margins, inner_folds, regression_scores
from auditor.train.table import cap_categories, prepare_columns

#: Inverse strengths of the L2 penalty among which the inner folds choose; `UNTUNED` where they cannot.
STRENGTHS = (0.03, 0.3, 3.0)
UNTUNED = 0.3
#: Columns are mapped to normal quantiles; what lies further out is drawn in to so many standard deviations.
FURTHEST = 3.0
#: Most quantiles that a column is mapped by.
QUANTILES = 200
#: Most categories a column may have: each becomes a column of its own.
MOST_CATEGORIES = 32


@dataclass(frozen=True)
class KernelTrainer(EstimatorTrainer):
    """Logistic regression on columns and RBF features, penalty and temperature from inner folds.

    Attributes
    ----------
    components : int
        Most rows whose kernel spans the RBF features.
    width : float
        The kernel is ``exp(-width ||x - x'||^2 / columns)``.
    inner_folds : int
        Folds of the training part on which penalty and temperature are found.
    tuned_on : int
        Most rows of the training part that are looked at for both.
    fitted_on : int
        Most rows of the training part that are fitted, drawn by the seed: with hundreds of features more change little.
    max_iter : int
    """

    kind: ClassVar[str] = "table"
    name: str = "kernel"
    components: int = 300
    width: float = 1.0
    inner_folds: int = 3
    tuned_on: int = 2000
    fitted_on: int = 20_000
    max_iter: int = 300

    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Probabilities of the regression at the temperature of the inner folds."""
        progress.start(task.name, 3, "step")
        table, notes = prepare_columns(data.features)
        chosen, weights = task.train, task.weights
        if len(chosen) > self.fitted_on:
            drawn = np.sort(generator(task.seed, "rows").choice(len(chosen), self.fitted_on, replace=False))
            chosen, weights = chosen[drawn], None if weights is None else np.asarray(weights)[drawn]
            notes.append(f"fitted on {self.fitted_on:,} of {len(task.train):,} rows")
        known, after = cap_categories(table.iloc[chosen], table.iloc[task.predict], notes, MOST_CATEGORIES)
        train, predict = self.with_kernel(*encode_columns(known, after), task.seed)
        progress.advance(task.name, 1, f"{train.shape[1]} features")
        labels = np.asarray(data.labels)[chosen]
        C, temperature = self._tuned(train, labels, weights, task.seed)
        progress.advance(task.name, 2, f"C = {C:g}")
        classes, scores = self._scores(train, labels, predict, C, weights)
        details = {"columns": list(table.columns), "notes": notes, "C": C, "temperature": temperature}
        return classes, softmax(scores / temperature, axis=1), details

    def with_kernel(self, train: np.ndarray, predict: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The columns, and beside them RBF features of the same mean square length."""
        from sklearn.kernel_approximation import Nystroem

        kernel = Nystroem(
            gamma=self.width / train.shape[1], n_components=min(self.components, len(train)), random_state=seed % 2**32
        )
        mapped = kernel.fit_transform(train)
        scale = np.sqrt((train**2).sum() / (mapped**2).sum())
        after = kernel.transform(predict) if len(predict) else np.empty((0, mapped.shape[1]))
        return np.hstack([train, scale * mapped]), np.hstack([predict, scale * after])

    def _tuned(
        self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int
    ) -> tuple[float, float]:
        """C and temperature with the smallest log-loss on the held-out rows of the inner folds."""
        chosen = generator(seed, "tuning").permutation(len(labels))[: self.tuned_on]
        rows, labels = rows[chosen], labels[chosen]
        weights = None if weights is None else np.asarray(weights)[chosen]
        margins: dict[float, list[np.ndarray]] = {C: [] for C in STRENGTHS}
        held_weights = list[np.ndarray]()
        for rest, held in inner_folds(labels, self.inner_folds, seed):
            inner = None if weights is None else weights[rest]
            for C, held_out in margins.items():
                classes, scores = self._scores(rows[rest], labels[rest], rows[held], C, inner)
                held_out.append(held_out_margins(classes, scores, labels[held]))
            if weights is not None:
                held_weights.append(weights[held])
        return best_strength(margins, held_weights) or (UNTUNED, 1.0)

    def _scores(
        self, train: np.ndarray, labels: np.ndarray, predict: np.ndarray, C: float, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes seen and a score of each, float64 (n, classes): the logarithms of probabilities up to a constant."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=C, max_iter=self.max_iter, tol=1e-3).fit(train, labels, sample_weight=weights)
        return model.classes_, regression_scores(model, predict)


def encode_columns(train: pd.DataFrame, predict: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as normal quantiles, with a column that says where one is missing; categories as indicators."""
    from sklearn.preprocessing import QuantileTransformer

    columns: list[tuple[np.ndarray, np.ndarray]] = []
    for name in train.columns:
        known, after = train[name], predict[name]
        if isinstance(known.dtype, pd.CategoricalDtype):
            pair = known.cat.codes.to_numpy()[:, None], after.cat.codes.to_numpy()[:, None]
            codes = np.arange(len(known.cat.categories))
            columns.append(((pair[0] == codes).astype(np.float64), (pair[1] == codes).astype(np.float64)))
            continue
        absent = known.isna().to_numpy(), after.isna().to_numpy()
        if absent[0].any():
            columns.append((absent[0][:, None].astype(np.float64), absent[1][:, None].astype(np.float64)))
        if absent[0].all():
            continue
        ranks = QuantileTransformer(
            n_quantiles=min(QUANTILES, int((~absent[0]).sum())), output_distribution="normal", subsample=None
        ).fit(known.to_numpy(np.float64)[:, None])
        values = [
            np.nan_to_num(np.clip(ranks.transform(part.to_numpy(np.float64)[:, None]), -FURTHEST, FURTHEST), nan=0.0)
            if len(part)
            else np.empty((0, 1))
            for part in (known, after)
        ]
        spread = values[0].std() or 1.0
        columns.append((values[0] / spread, values[1] / spread))
    if not columns:
        return np.ones((len(train), 1)), np.ones((len(predict), 1))
    return np.hstack([first for first, _ in columns]), np.hstack([second for _, second in columns])
