"""A classifier for labels of which some are wrong: find these, weight or drop them, fit again."""

from __future__ import annotations

import warnings
from typing import Any, Final, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from auditor.api import LabelErrorDetector
from auditor.core.errors import LabelError, UnknownNameError, UsageError
from auditor.detect.cleaning import trust_in_labels, without_suspects
from auditor.train.own import weight_parameter

__all__ = ["RobustClassifier"]

Policy = Literal["weight", "drop"]
POLICIES: Final = ("weight", "drop")


class RobustClassifier(ClassifierMixin, BaseEstimator):
    """Train any classifier on labels of which some are wrong.

    `LabelErrorDetector` cross-validates the estimator; the estimator is then fitted once more on everything, each
    label with the probability that it is right as its weight, or without the suspects. That is ``cv + 1`` fits.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, optional
        By default the one of `LabelErrorDetector`.
    policy : {"weight", "drop"}
        ``"weight"`` needs an estimator whose ``fit`` takes ``sample_weight`` (of a pipeline, its last step). Where it
        does not, suspects are dropped, and a warning says so.
    method : str
        What flags the suspects that ``"drop"`` drops, as in `LabelErrorDetector`.
    cv : int or splitter
        As in `LabelErrorDetector`.
    random_state : int
        Shuffles the folds. The estimator keeps its own.
    verbose : bool
        As in `LabelErrorDetector`.

    Attributes
    ----------
    estimator_ : classifier
        The one fitted last, which predicts.
    classes_ : array (K,)
    weights_ : float64 array (n,)
        What each label counted: with ``"weight"`` P(the given label is right), in [0, 1], from the noise that is fitted
        to the out-of-sample probabilities; with ``"drop"`` 0 for a suspect. 1 for a label that could not be checked.
    policy_ : str
        The policy that was really followed.
    detector_ : LabelErrorDetector or None
        The fitted detector: flags, suggestions, probabilities. None where no label could be checked.

    Notes
    -----
    Neither policy drops a class: if all labels of a class are suspect, all of them stay.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> X = np.random.default_rng(0).normal(size=(80, 2)) + np.repeat([[0.0], [6.0]], 40, axis=0)
    >>> y = np.repeat(["cat", "dog"], 40)
    >>> y[[3, 50]] = ["dog", "cat"]
    >>> model = auditor.RobustClassifier(policy="drop").fit(X, y)
    >>> np.flatnonzero(model.weights_ == 0).tolist(), model.predict(X[[3, 50]]).tolist()
    ([3, 50], ['cat', 'dog'])
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        policy: Policy = "weight",
        method: str = "default",
        cv: Any = 5,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.policy = policy
        self.method = method
        self.cv = cv
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, groups: Any = None, **fit_params: Any) -> RobustClassifier:
        """Find the suspects of ``(X, y)`` and fit the estimator in spite of them.

        Parameters
        ----------
        X : anything of n items that the estimator takes
            Array, sparse matrix, DataFrame or list of texts. It is indexed and never converted.
        y : array (n,)
        groups : array (n,), optional
            Items of one group never cross a fold.
        **fit_params
            For the last ``fit`` of the estimator; what has n entries goes with its items. ``sample_weight``, array
            (n,), is multiplied by the weight of the label.

        Raises
        ------
        ValueError
            If `y` is missing, continuous, not finite, or of another length than `X`.
        UnknownNameError
            For an unknown policy or method.
        UsageError
            If there is a ``sample_weight`` and the estimator takes none.
        ProbabilityError
            If the estimator predicts no probabilities.
        """
        if self.policy not in POLICIES:
            raise UnknownNameError("policy", self.policy, POLICIES)
        y = validate_data(self, y=y)
        check_classification_targets(y)
        X, groups = indexable(X, groups)
        check_consistent_length(X, y)
        estimator = clone(self._detector()._estimator(X))
        weighted_by, own = weight_parameter(estimator), fit_params.pop("sample_weight", None)
        if own is not None:
            if weighted_by is None:
                raise UsageError(f"{estimator} takes no sample_weight.", "Leave sample_weight out.")
            own = _check_sample_weight(own, y, dtype=np.float64, ensure_non_negative=True)
        self.policy_ = self.policy if weighted_by is not None else "drop"
        if self.policy_ != self.policy:
            warnings.warn(f"{estimator} takes no sample_weight: suspects are dropped instead.", stacklevel=2)
        self.detector_ = None
        try:
            self.detector_ = self._detector().fit(X, y, groups)
        except LabelError as error:
            warnings.warn(f"no label was checked, all are trained on as they are: {error.what}", stacklevel=2)
        self.weights_ = self._weights(y)
        rows = np.arange(len(y)) if self.policy_ == "weight" else np.flatnonzero(self.weights_)
        params = _check_method_params(X, fit_params, rows)
        weights = self.weights_ if own is None else self.weights_ * own
        if weighted_by is not None and (own is not None or self.policy_ == "weight"):
            params[weighted_by] = weights[rows]
        self.estimator_ = estimator.fit(X if len(rows) == len(y) else _safe_indexing(X, rows), y[rows], **params)
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each item, array (n,)."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, float array (n, K), columns in the order of ``classes_``."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def _detector(self) -> LabelErrorDetector:
        return LabelErrorDetector(
            self.estimator, method=self.method, cv=self.cv, random_state=self.random_state, verbose=self.verbose
        )

    def _weights(self, y: np.ndarray) -> np.ndarray:
        """What each label counts, float64 (n,)."""
        weights = np.ones(len(y))
        detector = self.detector_
        if detector is None:
            return weights
        if self.policy_ == "drop":
            return without_suspects(np.unique(y, return_inverse=True)[1], detector.flagged_).astype(np.float64)
        rows = np.flatnonzero(detector.checked_)
        if len(rows):
            probabilities = detector.probabilities_[rows]
            known = ~np.isnan(probabilities[0])
            codes = np.searchsorted(detector.classes_[known], y[rows])
            weights[rows] = trust_in_labels(probabilities[:, known].astype(np.float64), codes)
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._detector()).input_tags
        if (inner := get_tags(self._detector()._estimator(None)).classifier_tags) is not None:
            tags.classifier_tags = inner
        return tags
