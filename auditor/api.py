"""Label-error detection in the style of scikit-learn, for features one already has in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from auditor.core.errors import LabelError, ProbabilityError, UsageError
from auditor.data.intake import one_column
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.train.folds import MIN_PER_CLASS

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
        Number of stratified folds, or any scikit-learn splitter that tests every item once.
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
        Classes of which no item was checked: those with fewer items (or groups) than stratified folds. With a splitter
        of your own an item is checked where the training part of its fold holds 5 items of its class. What was not
        checked is never flagged and scores ``-inf``.
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
            If fewer than two classes can be audited, or the labels are complex numbers, records or one-hot rows.
        ProbabilityError
            If the estimator predicts no probabilities.
        UsageError
            If `cv` does not test every item once.
        """
        X = validate_data(self, X, dtype=None, ensure_min_samples=2)
        if y is not None:
            one_column(y, "y")
        X, y = validate_data(self, X, y, dtype=None, ensure_min_samples=2, multi_output=False)
        self.classes_, codes = np.unique(y, return_inverse=True)
        rows = np.flatnonzero(self._in_enough_folds(codes, groups)[codes])
        self._check_classes(codes[rows])
        kept, small = np.unique(codes[rows], return_inverse=True)
        probabilities, checked = self._cross_validate(
            X[rows], small, None if groups is None else np.asarray(groups)[rows]
        )
        rows, small, probabilities = rows[checked], small[checked], probabilities[checked]
        self.not_auditable_ = np.delete(self.classes_, self._check_classes(codes[rows]))
        findings = find(Evidence(rows, small, len(kept), probabilities=(probabilities,)), self.method)
        n, k = len(codes), len(self.classes_)
        self.scores_ = np.full(n, -np.inf)
        self.scores_[rows] = findings.score
        self.flagged_ = np.zeros(n, bool)
        self.flagged_[rows] = findings.flagged
        self.suggested_ = np.array(y, copy=True)
        self.suggested_[rows] = self.classes_[kept[findings.suggested()]]
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

    def _check_classes(self, codes: np.ndarray) -> np.ndarray:
        """The classes of these items, ascending; at least two are needed."""
        classes = np.unique(codes)
        if len(classes) < 2:
            raise LabelError(
                f"{len(classes)} of {len(self.classes_)} classes can be checked; two are needed. A class must be in "
                "the training part of a fold that tests it.",
                "Give more items per class, a smaller cv, or a splitter that stratifies or shuffles.",
            )
        return classes

    def _cross_validate(self, X: Any, codes: np.ndarray, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Out-of-sample probabilities (n, K), and whether the item was checked, bool (n,)."""
        splits = list(check_cv(self._splitter(groups), codes, classifier=True).split(X, codes, groups))
        if not np.array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(len(codes))):
            raise UsageError(
                "cv does not test every item once.", "Give folds: a number, KFold, GroupKFold or the like."
            )
        probabilities, checked = np.zeros((len(codes), codes.max() + 1)), np.zeros(len(codes), bool)
        # Stratified folds have at least one. Others may hold out a whole class but for an item that is labelled wrong.
        least = 1 if isinstance(self.cv, int | np.integer) else MIN_PER_CLASS
        for train, test in splits:
            members = np.bincount(codes[train], minlength=codes.max() + 1)
            if np.count_nonzero(members) < 2:
                continue
            fitted = clone(self._estimator()).fit(X[train], codes[train])
            predicted = np.asarray(fitted.predict_proba(X[test]))
            if predicted.shape != (len(test), len(fitted.classes_)) or predicted.dtype.kind != "f":
                raise ProbabilityError(
                    f"the estimator predicts {predicted.dtype} of shape {predicted.shape}; probabilities of shape "
                    f"{(len(test), len(fitted.classes_))} are needed."
                )
            if not checked.any():
                probabilities = probabilities.astype(predicted.dtype)  # the rules compute in it
            probabilities[np.ix_(test, fitted.classes_)] = predicted
            checked[test] = members[codes[test]] >= least
        return probabilities, checked

    def _splitter(self, groups: Any) -> Any:
        if not isinstance(self.cv, int | np.integer):
            return self.cv
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        return kind(int(self.cv), shuffle=True, random_state=self.random_state)

    def _in_enough_folds(self, codes: np.ndarray, groups: Any) -> np.ndarray:
        """Classes that stratified folds put into every training part, bool (K,); all of them for another splitter."""
        if not isinstance(self.cv, int | np.integer):
            return np.ones(len(self.classes_), bool)
        units = np.arange(len(codes)) if groups is None else np.unique(groups, return_inverse=True)[1]
        count = np.array([len(np.unique(units[codes == k])) for k in range(len(self.classes_))])
        return count >= int(self.cv)
