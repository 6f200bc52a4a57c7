"""The public surface and the scikit-learn style detector."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

import auditor
from auditor import LabelErrorDetector
from auditor.core.errors import LabelError, ProbabilityError, UsageError


def test_all_is_the_surface() -> None:
    assert set(auditor.__all__) == {"LabelErrorDetector", "__version__", "find_errors", "open_run"}
    for name in auditor.__all__:
        assert getattr(auditor, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = auditor.nonsense


def _wine() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = load_wine(return_X_y=True)
    wrong = np.array([3, 70, 150])
    noisy = y.copy()
    noisy[wrong] = (y[wrong] + 1) % 3
    return X, noisy, wrong


@pytest.mark.parametrize("method", ["default", "prune_by_noise_rate", "confident_learning"])
def test_planted_errors_are_first(method: str) -> None:
    X, y, wrong = _wine()
    found = LabelErrorDetector(method=method).fit(X, y)
    assert set(found.ranked()[:8]) >= set(wrong)
    # Of the third the model is not sure (.63 against .32), and hardly a label of this set is wrong.
    assert found.flagged_[wrong].sum() >= 2
    assert found.flagged_.mean() < 0.1
    truth = load_wine(return_X_y=True)[1]
    assert (found.suggested_[wrong] == truth[wrong]).all()
    assert found.probabilities_.shape == (178, 3)


def test_string_labels_and_frames() -> None:
    X, y, wrong = _wine()
    names = np.array(["barolo", "grignolino", "barbera"])
    found = LabelErrorDetector(RandomForestClassifier(30, random_state=0)).fit(pd.DataFrame(X), names[y])
    assert found.flagged_[wrong].sum() >= 2
    assert set(found.suggested_) <= set(names)


def test_groups_stay_together() -> None:
    X, y = load_iris(return_X_y=True)
    copies = np.repeat(np.arange(150), 2)
    noisy = np.repeat(y, 2)
    noisy[[20, 21]] = 2  # both copies of item 10 carry the same wrong label
    found = LabelErrorDetector(RandomForestClassifier(30, random_state=0)).fit(X[copies], noisy, groups=copies)
    assert found.flagged_[[20, 21]].all()
    alone = LabelErrorDetector(RandomForestClassifier(30, random_state=0)).fit(X[copies], noisy)
    assert not alone.flagged_[[20, 21]].any()  # each copy vouches for the other: why groups matter
    own = LabelErrorDetector(cv=GroupKFold(5)).fit(X[copies], noisy, groups=copies)
    assert own.flagged_[[20, 21]].all()


def test_small_class_is_not_auditable() -> None:
    X, y, _ = _wine()
    y = y.copy()
    y[:2] = 9
    found = LabelErrorDetector().fit(X, y)
    assert found.not_auditable_.tolist() == [9]
    assert not found.flagged_[:2].any()
    assert np.isneginf(found.scores_[:2]).all()
    assert np.isnan(found.probabilities_[:2]).all()


def test_one_class_and_unfitted() -> None:
    with pytest.raises(LabelError, match="two are needed"):
        LabelErrorDetector().fit(np.arange(20.0)[:, None], np.zeros(20, int))
    with pytest.raises(NotFittedError, match="not fitted"):
        LabelErrorDetector().ranked()


def test_parameters_survive_cloning() -> None:
    detector = LabelErrorDetector(method="both", cv=3, random_state=4)
    assert clone(detector).get_params() == detector.get_params()


@parametrize_with_checks([LabelErrorDetector(cv=2)])
def test_scikit_learn_conventions(estimator, check) -> None:
    check(estimator)


def test_find_errors_takes_arrays(tmp_path) -> None:
    X, y, wrong = _wine()
    found = LabelErrorDetector().fit(X, y)
    run = auditor.find_errors(pred_probs=found.probabilities_, labels=y, out=tmp_path / "run", class_names=list("abc"))
    assert set(wrong[[0, 2]].astype(str)) <= set(run.findings["id"])
    assert run.class_names == ("a", "b", "c")
    with pytest.raises(ProbabilityError, match="2 columns"):
        auditor.find_errors(pred_probs=found.probabilities_[:, :2], labels=y, class_names=list("abc"))
    with pytest.raises(UsageError, match="no labels"):
        auditor.find_errors(pred_probs=found.probabilities_)
