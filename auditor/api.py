"""Label-error detection in the style of scikit-learn, for features one already has in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from auditor.core.errors import LabelError
from auditor.detect.base import Evidence
from auditor.detect.findings import find

__all__ = ["LabelErrorDetector"]


class LabelErrorDetector(BaseEstimator):
    """Find the likely label errors of ``(X, y)`` by cross-validation.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, optional
        Cloned for every fold; by default standardisation and logistic regression.
    method : str
        ``"default"`` (ranked and flagged by `combined`, as `find-errors` does), a confident-learning rule by cleanlab's
        name, e.g. ``"prune_by_noise_rate"``, ``"paper"``, or a detector by name (docs/detectors.md).
    cv : int or splitter
        Number of stratified folds, or any scikit-learn splitter.
    random_state : int
        Shuffles the folds.

    Attributes
    ----------
    scores_ : float64 array (n,)
        Higher is more suspicious.
    flagged_ : bool array (n,)
    suggested_ : array (n,)
        The class the item should have if its label is wrong, as a value of ``y``: never the given one, but for items
        that were not checked.
    probabilities_ : float64 array (n, K)
        Out-of-sample, columns in the order of ``classes_``.
    classes_ : array (K,)
    not_auditable_ : array
        Classes with fewer items (or groups) than folds. Their items are never flagged and score ``-inf``: they
        were not checked.
    """

    def __init__(self, estimator: Any = None, *, method: str = "default", cv: Any = 5, random_state: int = 0) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> LabelErrorDetector:
        """Cross-validate on ``(X, y)`` and score every label.

        Parameters
        ----------
        X : array (n, d)
        y : array (n,)
        groups : array (n,), optional
            Items of one group never cross a fold.

        Raises
        ------
        LabelError
            If fewer than two classes can be audited.
        """
        X, y = validate_data(self, X, y, dtype=None, ensure_min_samples=2, multi_output=False)
        self.classes_, codes = np.unique(y, return_inverse=True)
        auditable = self._auditable(codes, groups)
        self.not_auditable_ = self.classes_[~auditable]
        rows = np.flatnonzero(auditable[codes])
        if auditable.sum() < 2:
            raise LabelError(
                f"{int(auditable.sum())} of {len(self.classes_)} classes have enough items for {self._n_folds()} "
                "folds; two are needed.",
                "Give more items per class or a smaller cv.",
            )
        kept, small = np.unique(codes[rows], return_inverse=True)
        part = None if groups is None else np.asarray(groups)[rows]
        probabilities = cross_val_predict(
            clone(self._estimator()), X[rows], small, groups=part, cv=self._splitter(groups), method="predict_proba"
        )
        found = find(Evidence(rows, small, len(kept), probabilities=(probabilities,)), self.method)
        n, k = len(codes), len(self.classes_)
        self.scores_ = np.full(n, -np.inf)
        self.scores_[rows] = found.score
        self.flagged_ = np.zeros(n, bool)
        self.flagged_[rows] = found.flagged
        self.suggested_ = np.array(y, copy=True)
        self.suggested_[rows] = self.classes_[kept[found.suggested()]]
        self.probabilities_ = np.full((n, k), np.nan)
        self.probabilities_[np.ix_(rows, kept)] = probabilities
        self.n_features_in_ = X.shape[1]
        return self

    def ranked(self) -> np.ndarray:
        """Positions of the items, most suspicious first; ties by position."""
        check_is_fitted(self)
        return np.argsort(-self.scores_, kind="stable")

    def _estimator(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def _n_folds(self) -> int:
        return int(self.cv) if isinstance(self.cv, int | np.integer) else int(check_cv(self.cv).get_n_splits())

    def _splitter(self, groups: Any) -> Any:
        if not isinstance(self.cv, int | np.integer):
            return self.cv
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        return kind(int(self.cv), shuffle=True, random_state=self.random_state)

    def _auditable(self, codes: np.ndarray, groups: Any) -> np.ndarray:
        """Classes that can be in every training part, bool (K,)."""
        if not isinstance(self.cv, int | np.integer):
            return np.ones(len(self.classes_), bool)
        units = np.arange(len(codes)) if groups is None else np.unique(groups, return_inverse=True)[1]
        count = np.array([len(np.unique(units[codes == k])) for k in range(len(self.classes_))])
        return count >= int(self.cv)
