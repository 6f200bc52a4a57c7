"""The public surface and the scikit-learn style detector."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import auditor
from auditor import LabelErrorDetector, RobustClassifier
from auditor.core.config import Settings
from auditor.core.display import ShownProgress
from auditor.core.errors import LabelError, MissingRoleError, ProbabilityError, UsageError
from auditor.data.open import open_dataset
from auditor.explain.opening import item_content, same_item
from auditor.policy.check import check
from auditor.policy.policy import Policy
from auditor.quality.run import check_quality


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


@pytest.mark.parametrize("make", [LabelErrorDetector, RobustClassifier])
def test_progress_is_told_where_it_is_asked_for(
    make: Callable[..., Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, _ = _wine()
    make(cv=3).fit(X, y)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(ShownProgress, "FIRST", 0.0)
    make(cv=3, verbose=True).fit(X, y)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["cross-validate 3 folds", "  cross-validate: fold 0 of 3"]


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


def _sorted_quadrants() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four classes in order, the first of 50 items, and which labels are wrong."""
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), [50, 70, 40, 40])
    X = np.stack([truth % 2, truth // 2], axis=1) * 6 + random.normal(size=(200, 2))
    y = truth.copy()
    wrong = [70, 130, 165]
    y[wrong] = [2, 3, 1]
    return X, y, np.isin(np.arange(200), wrong)


@pytest.mark.parametrize("cv", [KFold(4), LeaveOneGroupOut(), "list of folds"], ids=str)
def test_a_class_absent_from_a_training_part_is_not_checked(cv) -> None:
    X, y, _ = _sorted_quadrants()
    groups = np.arange(200) // 50
    folds = [(np.flatnonzero(groups != k), np.flatnonzero(groups == k)) for k in range(4)]
    found = LabelErrorDetector(cv=folds if cv == "list of folds" else cv).fit(X, y, groups=groups)
    assert 0 in found.not_auditable_
    checked = found.checked_
    assert np.array_equal(checked, np.isfinite(found.scores_))
    assert not checked[:50].any()
    assert not checked[150:][y[150:] == 3].any()  # of class 3 the training part holds a wrong label only
    assert not checked[50:100][y[50:100] == 1].any()  # 20 items of class 1 in 150, where there are 70 in 200
    assert not found.flagged_[~checked].any()
    assert (found.suggested_[~checked] == y[~checked]).all()
    assert np.isnan(found.probabilities_[~checked]).all()
    assert found.flagged_.sum() < 10


def test_what_the_training_parts_hold_enough_of_is_checked() -> None:
    X, y, wrong = _sorted_quadrants()
    with pytest.warns(UserWarning, match="50 of 200 labels are not checked, among them all of the classes 0:"):
        found = LabelErrorDetector(cv=PredefinedSplit(np.where(y == 0, 0, 1 + np.arange(200) % 5))).fit(X, y)
    assert np.array_equal(found.checked_, y != 0)
    assert found.flagged_[wrong].all()
    assert found.flagged_.sum() < 10


def _overlapping_quadrants() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 items of four classes that overlap, in the order of their labels, and which of these are wrong."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0)
    wrong = np.isin(np.arange(200), rng.choice(200, 15, False))
    y[wrong] = (y[wrong] + 1) % 4
    order = np.argsort(y, kind="stable")
    return X[order], y[order], wrong[order]


@pytest.mark.parametrize(
    "cv",
    [
        KFold(4),
        GroupKFold(4),
        PredefinedSplit(np.arange(200) // 50),
        TimeSeriesSplit(4),
        PredefinedSplit(np.where(np.arange(200) < 100, -1, np.arange(200) // 50)),
    ],
    ids=str,
)
def test_a_class_that_a_training_part_hardly_holds_is_not_checked(cv) -> None:
    X, y, wrong = _overlapping_quadrants()
    with pytest.warns(UserWarning, match=r"\d+ of 200 labels are not checked, among them all of the classes "):
        found = LabelErrorDetector(cv=cv).fit(X, y, groups=np.arange(200) // 50)
    assert 3 in found.not_auditable_
    assert not (found.flagged_ & ~found.checked_).any()
    assert (found.flagged_ & ~wrong).sum() <= 10
    shuffled = LabelErrorDetector(cv=StratifiedKFold(4)).fit(X, y)
    assert shuffled.checked_.all()
    assert len(shuffled.not_auditable_) == 0


@pytest.mark.parametrize("cv", [GroupKFold(4), PredefinedSplit(np.repeat(np.arange(4), [49, 52, 51, 48])), []], ids=str)
def test_where_nothing_can_be_checked_nothing_is_flagged_and_it_is_said(cv) -> None:
    X, y, _ = _overlapping_quadrants()
    y = np.repeat(np.arange(4), [49, 52, 51, 48])
    with pytest.warns(UserWarning, match="200 of 200 labels are not checked, among them all of the classes 0, 1, 2, 3"):
        found = LabelErrorDetector(cv=cv).fit(X, y, groups=y)
    assert found.not_auditable_.tolist() == [0, 1, 2, 3]
    assert not found.flagged_.any()
    assert np.isneginf(found.scores_).all()
    assert (found.suggested_ == y).all()
    assert np.isnan(found.probabilities_).all()


def test_a_model_never_checks_what_it_has_seen_nor_twice() -> None:
    X, y, _ = _sorted_quadrants()
    rows = np.arange(200)
    for cv in (ShuffleSplit(3, random_state=0), [(rows, rows)], [(rows[:150], rows[100:])]):
        with pytest.raises(UsageError, match="every item once"):
            LabelErrorDetector(cv=cv).fit(X, y)


class _Decides(ClassifierMixin, BaseEstimator):
    """Predicts classes where probabilities are asked for."""

    def __init__(self, dtype: str = "bool") -> None:
        self.dtype = dtype

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Decides:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.eye(len(self.classes_))[np.arange(len(X)) % 2].astype(self.dtype)


@pytest.mark.parametrize("dtype", ["bool", "int64", "complex128"])
def test_what_is_no_probability_is_refused(dtype: str) -> None:
    with pytest.raises(ProbabilityError, match=dtype):
        LabelErrorDetector(_Decides(dtype)).fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize("estimator", [SVC(), RidgeClassifier(), make_pipeline(StandardScaler(), LinearSVC())], ids=str)
def test_a_classifier_without_probabilities_is_refused(estimator: Any) -> None:
    for make in (LabelErrorDetector, RobustClassifier):
        with pytest.raises(ProbabilityError, match=r"no probabilities.*\n.*CalibratedClassifierCV"):
            make(estimator).fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize(
    "labels",
    [
        load_iris().target.astype(complex),
        np.eye(3)[load_iris().target],
        np.eye(3, dtype=bool)[load_iris().target],
        load_iris().target.astype([("label", np.int64)]),
    ],
    ids=["complex", "one-hot", "bool one-hot", "structured"],
)
def test_what_is_no_label_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(LabelError):
        LabelErrorDetector().fit(load_iris().data, labels)


def test_one_class_and_unfitted() -> None:
    with pytest.raises(LabelError, match="two are needed"):
        LabelErrorDetector().fit(np.arange(20.0)[:, None], np.zeros(20, int))
    with pytest.raises(NotFittedError, match="not fitted"):
        LabelErrorDetector().ranked()


def test_parameters_survive_cloning() -> None:
    detector = LabelErrorDetector(method="both", cv=3, random_state=4)
    assert clone(detector).get_params() == detector.get_params()


@parametrize_with_checks([LabelErrorDetector(cv=2), LabelErrorDetector(RandomForestClassifier(3), cv=2)])
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


def _clusters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """120 items of two far clusters, their labels, and which of these are wrong."""
    random = np.random.default_rng(0)
    truth = np.arange(120) % 2
    wrong = np.isin(np.arange(120), [4, 51, 90])
    return random.normal(size=(120, 3)) + truth[:, None] * 12, np.where(wrong, 1 - truth, truth), wrong


_X, _Y, _WRONG = _clusters()
_WORDS = np.where(_X[:, 0] > 6, "a large number", "some small one")
_FRAME = pd.DataFrame(_X, columns=["u", "v", "w"]).assign(size=_WORDS)
_HOLES = np.where(np.arange(360).reshape(120, 3) % 7 == 0, np.nan, _X)
_BY_NAME = make_pipeline(
    ColumnTransformer([("size", OneHotEncoder(), ["size"])], remainder="passthrough"), LogisticRegression()
)


@pytest.mark.parametrize(
    ("X", "estimator"),
    [
        (list(_WORDS), None),
        (np.array(list(_WORDS)), None),
        (np.array(list(_WORDS), dtype=object), None),
        (pd.Series(_WORDS, index=range(200, 320)), None),
        (_WORDS, make_pipeline(TfidfVectorizer(), LogisticRegression())),
        (pd.Series(_WORDS, index=range(200, 320)), make_pipeline(CountVectorizer(), LogisticRegression())),
        (sparse.csr_matrix(_X), None),
        (sparse.coo_array(_X), LogisticRegression()),
        (_FRAME, _BY_NAME),
        (_FRAME.set_index(np.arange(120)[::-1]), _BY_NAME),
        (_HOLES, HistGradientBoostingClassifier(max_iter=10, max_depth=1)),
        (pd.DataFrame(_HOLES), HistGradientBoostingClassifier(max_iter=10, max_depth=1)),
        (
            _X[:, None, :].tolist(),
            make_pipeline(FunctionTransformer(lambda X: np.array(X)[:, 0]), LogisticRegression()),
        ),
    ],
    ids=[
        "texts",
        "U array",
        "object array",
        "texts in a series",
        "array of texts",
        "series",
        "csr",
        "coo",
        "frame",
        "frame by position",
        "NaN",
        "NaN frame",
        "lists",
    ],
)
def test_the_estimator_decides_what_X_may_be(X: Any, estimator: Any) -> None:
    detector = LabelErrorDetector(estimator, cv=3).fit(X, _Y)
    assert set(detector.ranked()[:3]) == set(np.flatnonzero(_WRONG))
    assert detector.flagged_[_WRONG].all()


def test_X_that_the_estimator_refuses_is_refused_in_its_words() -> None:
    with pytest.raises(ValueError, match="contains NaN"):
        LabelErrorDetector().fit(_HOLES, _Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelErrorDetector().fit(_X, _Y[:9])
    missing = _Y.astype(object)
    missing[7] = None
    with pytest.raises(LabelError, match=r"1 labels of y are missing, the first of row 7"):
        LabelErrorDetector().fit(_X, missing)


def test_find_errors_takes_what_is_in_memory(tmp_path: Path) -> None:
    frame = _FRAME.assign(species=np.array(["cat", "dog"])[_Y])
    settings = Settings(runs_dir=tmp_path, offline=True)
    call = partial(auditor.find_errors, workers=1, budget="smoke", quality=False, settings=settings)
    run = call(frame, label="species")
    assert run.manifest["data"]["reference"] == "memory:DataFrame?label=species"
    assert set(np.flatnonzero(_WRONG).astype(str)) <= set(run.findings["id"])
    again = call(frame.copy(), label="species")
    assert again.path == run.path
    assert all(stage["reused"] for stage in again.manifest["stages"])
    assert item_content(run, "4", settings)["size"] == frame["size"][4]  # from the run folder alone
    assert same_item(open_dataset(run.path), 4, "4", run.items["content_hash"][4]).fingerprint
    with pytest.raises(UsageError, match="twice"):
        call(frame, label="species", split="all", audit="train")
    with pytest.raises(MissingRoleError, match="label='species'"):
        call(frame)
    with pytest.raises(UsageError, match="Give the data too"):
        call(pred_probs=[[0.5, 0.5]], labels=[0], label="y")


def test_probabilities_come_in_any_form(tmp_path: Path) -> None:
    p = np.column_stack([_X[:, 0] < 6, _X[:, 0] >= 6]) * 0.8 + 0.1
    forms = {
        "array": p,
        "list": p.tolist(),
        "tensor": torch.from_numpy(p),
        "frame": pd.DataFrame(p),
        "named": pd.DataFrame(p, columns=["cat", "dog"]),
        "other order": pd.DataFrame(p[:, ::-1], columns=["dog", "cat"]),
    }
    names = np.array(["cat", "dog"])[_Y]
    for name, form in forms.items():
        run = auditor.find_errors((_X, names), pred_probs=form, out=tmp_path / name, quality=False)
        assert run.class_names == ("cat", "dog")
        assert set(np.flatnonzero(_WRONG).astype(str)) == set(run.findings["id"])
    # Numbers are positions in the columns, also where not every class occurs.
    three = pd.DataFrame(np.column_stack([p, np.zeros(120)]), columns=["cat", "dog", "cow"])
    run = auditor.find_errors((_X, _Y), pred_probs=three, out=tmp_path / "three", quality=False)
    assert run.class_names == ("cat", "dog", "cow")
    alone = auditor.find_errors(pred_probs=forms["named"], labels=list(names), out=tmp_path / "alone")
    assert alone.class_names == ("cat", "dog")
    unnamed = auditor.find_errors(pred_probs=forms["frame"], labels=list(names), out=tmp_path / "unnamed")
    assert unnamed.class_names == ("cat", "dog")


def test_quality_and_the_gate_take_what_is_in_memory() -> None:
    twice = pd.concat([_FRAME, _FRAME[:5]], ignore_index=True).assign(species=np.append(_Y, _Y[:5]))
    done = check_quality(twice, label="species", checks=["exact_duplicates"])
    assert done.document["data"]["reference"] == "memory:DataFrame?label=species"
    assert len(done.outcomes[0].findings.items) >= 5
    judged, rows = check(twice, Policy(max_label_conflicts=0), "policy", Settings(offline=True), label="species")
    assert judged.passed
    assert len(rows) == 125
