"""The classifier that trains in spite of wrong labels."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from auditor import RobustClassifier
from auditor.core.errors import UnknownNameError, UsageError


def _noisy_digits(rate: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training part with pair noise, which labels of it are wrong, and a clean test part."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    train, test = order[:600], order[600:1200]
    wrong = rng.random(600) < rate
    return X[train], np.where(wrong, (y[train] + 1) % 10, y[train]), wrong, X[test], y[test]


@pytest.mark.parametrize("policy", ["weight", "drop"])
def test_it_is_right_more_often_than_the_estimator_alone(policy: str) -> None:
    X, y, wrong, X_test, y_test = _noisy_digits()
    estimator = GaussianNB(var_smoothing=1e-2) if policy == "weight" else RandomForestClassifier(30, random_state=0)
    alone = clone(estimator).fit(X, y).score(X_test, y_test)
    robust = RobustClassifier(estimator, policy=policy, cv=3).fit(X, y)
    assert robust.score(X_test, y_test) > alone
    assert robust.policy_ == policy
    assert robust.weights_[wrong].mean() < robust.weights_[~wrong].mean() - 0.3
    assert robust.predict_proba(X_test).shape == (600, 10)
    if policy == "drop":
        assert np.array_equal(robust.weights_ == 0, robust.detector_.flagged_)


def test_weights_reach_the_last_fit() -> None:
    """Equal to weighting by hand, in a pipeline too, the caller's weights multiplied in."""
    X, y = load_wine(return_X_y=True)
    own = np.random.default_rng(0).random(len(y))
    robust = RobustClassifier(cv=3).fit(X, y, sample_weight=own)
    by_hand = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    by_hand.fit(X, y, logisticregression__sample_weight=robust.weights_ * own)
    np.testing.assert_array_equal(robust.predict_proba(X), by_hand.predict_proba(X))
    assert not np.array_equal(robust.weights_, np.ones(len(y)))


def test_without_weights_suspects_are_dropped_and_it_is_said() -> None:
    X, y, *_ = _noisy_digits(0.1)
    with pytest.warns(UserWarning, match="takes no sample_weight: suspects are dropped"):
        robust = RobustClassifier(KNeighborsClassifier(), cv=3).fit(X, y)
    assert robust.policy_ == "drop"
    assert set(np.unique(robust.weights_)) == {0.0, 1.0}
    assert len(robust.estimator_._y) == robust.weights_.sum()
    with pytest.raises(UsageError, match="takes no sample_weight"):
        RobustClassifier(KNeighborsClassifier(), policy="drop").fit(X, y, sample_weight=np.ones(600))


def test_no_class_is_lost_and_small_ones_count_whole() -> None:
    X, y = load_wine(return_X_y=True)
    y = y.copy()
    y[[5, 80]] = 7
    with pytest.warns(UserWarning, match="not checked"):
        robust = RobustClassifier(policy="drop").fit(X, y)
    assert robust.classes_.tolist() == [0, 1, 2, 7]
    assert robust.weights_[[5, 80]].tolist() == [1, 1]
    with pytest.warns(UserWarning, match="no label was checked"):
        alone = RobustClassifier(cv=5).fit(X[:4], np.array([0, 0, 1, 1]))
    assert alone.detector_ is None
    assert alone.weights_.tolist() == [1, 1, 1, 1]


def test_frames_keep_their_names_and_groups_their_folds() -> None:
    X, y = load_wine(return_X_y=True, as_frame=True)
    names = pd.Series(np.array(["a", "b", "c"])[y], index=y.index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        robust = RobustClassifier(policy="drop", cv=3).fit(X, names, groups=np.arange(len(y)) // 2)
    assert robust.feature_names_in_.tolist() == list(X.columns)
    assert set(robust.predict(X)) == {"a", "b", "c"}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="drop"):
        RobustClassifier(policy="dorp").fit(*load_wine(return_X_y=True))


@parametrize_with_checks([RobustClassifier(cv=2), RobustClassifier(GaussianNB(), policy="drop", cv=2)])
def test_scikit_learn_conventions(estimator, check) -> None:
    check(estimator)


def test_texts_and_sparse_matrices_are_taken_as_they_are() -> None:
    texts = ["ball goal team", "stock bank fund"] * 20
    labels = np.array([0, 1] * 20)
    robust = RobustClassifier(cv=2).fit(texts, labels)
    assert robust.predict(["a team with a ball", "a bank"]).tolist() == [0, 1]
    X, y = load_wine(return_X_y=True)
    assert RobustClassifier(policy="drop", cv=2).fit(csr_array(X), y).score(csr_array(X), y) > 0.9
