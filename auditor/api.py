"""Label-error detection in the style of scikit-learn, for features one already has in memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.validation import check_is_fitted, validate_data

from auditor.core.display import counted
from auditor.core.errors import LabelError, ProbabilityError, UsageError
from auditor.data.intake import one_column
from auditor.data.labels import is_missing, listed
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.detect.registry import caution
from auditor.train.folds import MIN_PER_CLASS, well_shown

__all__ = ["LabelErrorDetector"]


class LabelErrorDetector(BaseEstimator):
    """Find the likely label errors of ``(X, y)`` by cross-validation.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, optional
        Cloned for every fold; it decides what X may be. By default logistic regression, after standardisation, or after
        the scaling of a sparse matrix, or on the TF-IDF of texts.
    method : str
        ``"default"`` (ranked and flagged by `combined`, as `find-errors` does), a confident-learning rule by cleanlab's
        name, e.g. ``"prune_by_noise_rate"``, ``"paper"``, or a detector by name (docs/detectors.md).
    cv : int or splitter
        Number of stratified folds, or any scikit-learn splitter that tests no item twice.
    random_state : int
        Shuffles the folds.
    verbose : bool
        Show how far `fit` is: a bar in a terminal or a notebook, lines elsewhere (docs/notebooks.md).

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
    checked_ : bool array (n,)
        Whether the label could be checked: the class has as many items (or groups) as there are stratified folds, and
        the training part of the item's fold holds at least half of the share that the class has in all items. With a
        splitter of your own it must hold 5 items of the class, too. What was not checked is counted in a
        warning, never flagged, and scores ``-inf``.
    not_auditable_ : array
        Classes of which no item was checked.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> X = np.random.default_rng(0).normal(size=(80, 2)) + np.repeat([[0.0], [6.0]], 40, axis=0)
    >>> y = np.repeat(["cat", "dog"], 40)
    >>> y[[3, 50]] = ["dog", "cat"]
    >>> detector = auditor.LabelErrorDetector().fit(X, y)
    >>> np.flatnonzero(detector.flagged_).tolist(), detector.suggested_[[3, 50]].tolist()
    ([3, 50], ['cat', 'dog'])
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: str = "default",
        cv: Any = 5,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, groups: Any = None) -> LabelErrorDetector:
        """Cross-validate on ``(X, y)`` and score every label.

        Parameters
        ----------
        X : array, sparse matrix or data frame (n, d), or a list (n,) of texts or other items
            Handed to the estimator as it is, row by row: data frames keep their names, NaN stays.
        y : array (n,)
        groups : array (n,), optional
            Items of one group never cross a fold.

        Raises
        ------
        LabelError
            If fewer than two classes have enough items, a label is missing, or the labels are complex numbers, records
            or one-hot rows.
        ValueError
            Of scikit-learn: X and y differ in length, or the estimator refuses X.
        ProbabilityError
            If the estimator predicts no probabilities.
        UsageError
            If `cv` tests items more than once, or trains on items that it tests.
        """
        validate_data(self, X, skip_check_array=True)  # the rest is for the estimator
        if getattr(getattr(X, "dtype", None), "kind", "") == "c":
            raise ValueError("Complex data not supported")
        if y is None:
            raise ValueError("This LabelErrorDetector requires y to be passed, but the target y is None.")
        y = validate_data(self, "no_validation", _labels(y))
        X, y, groups = indexable(X, y, groups)
        if len(y) < 2:
            raise ValueError(f"Found array with {len(y)} sample(s) while a minimum of 2 is required.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        rows = np.flatnonzero(self._in_enough_folds(codes, groups)[codes])
        kept, small = np.unique(codes[rows], return_inverse=True)
        if len(kept) < 2:
            raise LabelError(
                f"{len(kept)} of {len(self.classes_)} classes can be checked; two are needed.",
                "Give more items per class, or a smaller cv.",
            )
        probabilities, checked = self._cross_validate(
            _safe_indexing(X, rows), small, None if groups is None else np.asarray(groups)[rows]
        )
        if len(np.unique(small[checked])) < 2:
            checked[:] = False
        rows, small, probabilities = rows[checked], small[checked], probabilities[checked]
        n, k = len(codes), len(self.classes_)
        self.checked_ = np.isin(np.arange(n), rows)
        self.not_auditable_ = np.delete(self.classes_, np.unique(codes[rows]))
        self.scores_ = np.full(n, -np.inf)
        self.flagged_ = np.zeros(n, bool)
        self.suggested_ = np.array(y, copy=True)
        self.probabilities_ = np.full((n, k), np.nan)
        self.probabilities_[np.ix_(rows, kept)] = probabilities
        if warning := caution(self.method):
            warnings.warn(warning, stacklevel=2)
        if len(rows):
            findings = find(Evidence(rows, small, len(kept), probabilities=(probabilities,)), self.method)
            self.scores_[rows] = findings.score
            self.flagged_[rows] = findings.flagged
            self.suggested_[rows] = self.classes_[kept[findings.suggested()]]
        if len(rows) < n:
            warnings.warn(self._not_checked(), stacklevel=2)
        return self

    def ranked(self) -> np.ndarray:
        """Positions of the items, most suspicious first; ties by position."""
        check_is_fitted(self)
        return np.argsort(-self.scores_, kind="stable")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._estimator(None)).input_tags
        if self.estimator is None:
            tags.input_tags.sparse = tags.input_tags.string = True
        tags.target_tags.required = True
        return tags

    def _estimator(self, X: Any) -> Any:
        if self.estimator is not None:
            return self.estimator
        prepared: Any = StandardScaler()
        if issparse(X):
            prepared = MaxAbsScaler()
        elif X is not None and np.ndim(X) == 1 and isinstance(next(iter(_safe_indexing(X, [0]))), str):
            prepared = TfidfVectorizer(sublinear_tf=True)
        return make_pipeline(prepared, LogisticRegression(max_iter=1000))

    def _not_checked(self) -> str:
        """How much was not checked, and why."""
        wholly = listed(list(map(str, self.not_auditable_)))
        classes = f", among them all of the classes {wholly}" if wholly else ""
        return (
            f"{np.count_nonzero(~self.checked_)} of {len(self.checked_)} labels are not checked{classes}: no fold "
            "tests them, or its training part holds too little of their class. Give more items per class, a smaller "
            "cv, or a splitter that stratifies or shuffles."
        )

    def _cross_validate(self, X: Any, codes: np.ndarray, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Out-of-sample probabilities (n, K), and whether the item was checked, bool (n,)."""
        splits = list(check_cv(self._splitter(groups), codes, classifier=True).split(X, codes, groups))
        tested = np.concatenate([np.zeros(0, int), *(test for _, test in splits)])
        if len(np.unique(tested)) < len(tested) or any(np.isin(*split).any() for split in splits):
            raise UsageError(
                "cv does not test every item once, by a model that has not seen it.",
                "Give folds: a number, KFold, GroupKFold or the like.",
            )
        n_classes = codes.max() + 1
        probabilities, checked = np.zeros((len(codes), n_classes)), np.zeros(len(codes), bool)
        # Stratified folds have at least one. Others may hold out a whole class but for an item that is labelled wrong.
        least = 1 if isinstance(self.cv, int | np.integer) else MIN_PER_CLASS
        for train, test in counted(splits, "cross-validate", "fold", bool(self.verbose)):
            if len(np.unique(codes[train])) < 2:
                continue
            fitted = clone(self._estimator(X)).fit(_safe_indexing(X, train), codes[train])
            if not hasattr(fitted, "predict_proba"):
                raise ProbabilityError(
                    f"the estimator {type(fitted).__name__} predicts no probabilities.",
                    "Put it into sklearn.calibration.CalibratedClassifierCV, or give another one.",
                )
            predicted = np.asarray(fitted.predict_proba(_safe_indexing(X, test)))
            if predicted.shape != (len(test), len(fitted.classes_)) or predicted.dtype.kind != "f":
                raise ProbabilityError(
                    f"the estimator predicts {predicted.dtype} of shape {predicted.shape}; probabilities of shape "
                    f"{(len(test), len(fitted.classes_))} are needed."
                )
            if not checked.any():
                probabilities = probabilities.astype(predicted.dtype)  # the rules compute in it
            probabilities[np.ix_(test, fitted.classes_)] = predicted
            held = np.bincount(codes[train], minlength=n_classes)
            checked[test] = (well_shown(held, np.bincount(codes)) & (held >= least))[codes[test]]
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


def _labels(y: Any) -> np.ndarray:
    """Labels (n,), none of them missing; infinite numbers are left to scikit-learn, which says so."""
    labels = one_column(y, "y")
    if labels.dtype == object and (missing := [k for k, label in enumerate(labels) if is_missing(label)]):
        raise LabelError(
            f"{len(missing)} labels of y are missing, the first of row {missing[0]}.", "Leave these rows out."
        )
    return labels
