"""Annotators and a model under one likelihood: skill, models that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import LabelError, ProbabilityError
from auditor.review import annotator_model
from auditor.review.annotator_model import AnnotatorFit, fit_annotators
from auditor.review.crowdlab import crowdlab


def _crowd(seed: int, skill: list[float], each: int, n: int = 400, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,) and labels (n, annotators), `each` an item; skill -1 names the class after the true one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    labels = np.full((n, len(skill)), -1)
    for i in range(n):
        for a in rng.choice(len(skill), each, replace=False):
            right = rng.random() < abs(skill[a])
            labels[i, a] = (truth[i] + (skill[a] < 0)) % k if right else rng.integers(0, k)
    return truth, labels


def _model(truth: np.ndarray, strength: float, seed: int = 9, k: int = 4) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=(len(truth), k)) + strength * np.eye(k)[truth]
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def _fit(labels: np.ndarray, p: np.ndarray | None = None, k: int = 4) -> AnnotatorFit:
    items, who = np.nonzero(labels >= 0)
    return fit_annotators(items, who, labels[items, who], (*labels.shape, k), p)


GOOD = [0.9, 0.85, 0.8, 0.75, 0.7, 0.65]


@pytest.mark.parametrize(
    ("name", "skill", "each"),
    [("one label an item", GOOD, 1), ("spammers", [0.0, 0.0, 0.0, *GOOD], 3), ("adversaries", [-0.8, -0.8, *GOOD], 3)],
)
def test_beats_crowdlab_and_the_model(name: str, skill: list[float], each: int) -> None:
    truth, labels = _crowd(3, skill, each)
    p = _model(truth, 2.5)
    items, who = np.nonzero(labels >= 0)
    theirs = crowdlab(items, who, labels[items, who], p, labels.shape[1]).labels
    fit = _fit(labels, p)
    right = (fit.labels == truth).mean()
    assert right > (theirs == truth).mean()
    assert right > (p.argmax(axis=1) == truth).mean()
    assert np.corrcoef(fit.annotators.accuracy, np.maximum(skill, 0))[0, 1] > 0.7


def test_an_adversary_is_read_the_other_way_round() -> None:
    _, labels = _crowd(0, [-0.9, 0.9, 0.9, 0.9], 3)
    confusion = _fit(labels).annotators.confusion(0)
    assert (confusion.argmax(axis=1) == (np.arange(4) + 1) % 4).all()
    np.testing.assert_allclose(confusion.sum(axis=1), 1)


def test_a_model_that_is_wrong_on_most_items_does_not_outvote_people() -> None:
    truth, labels = _crowd(1, GOOD, 2)
    fit = _fit(labels, _model((truth + 1) % 4, 5.0))
    assert fit.annotators.mean_accuracy > 0.6
    assert (fit.labels == truth).mean() > (_fit(labels).labels == truth).mean() - 0.03


def test_one_confusion_for_all_where_there_is_no_room_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    _, labels = _crowd(2, GOOD, 3)
    own = _fit(labels)
    monkeypatch.setattr(annotator_model, "MOST_CONFUSIONS", 0)
    shared = _fit(labels)
    assert shared.annotators.counts is None
    assert (shared.labels == own.labels).mean() > 0.97
    np.testing.assert_allclose(shared.annotators.confusion(0).sum(axis=1), 1)


def test_items_without_votes_have_what_is_known_of_them() -> None:
    truth, labels = _crowd(4, GOOD, 3)
    labels[0] = -1
    p = _model(truth, 2.5)
    assert _fit(labels, p).labels[0] == p[0].argmax()
    assert np.isfinite(_fit(labels).posterior).all()


def test_refuses_what_does_not_fit() -> None:
    empty = np.array([], np.int64)
    with pytest.raises(LabelError, match="no vote"):
        fit_annotators(empty, empty, empty, (2, 1, 2))
    with pytest.raises(ProbabilityError):
        fit_annotators(np.array([0]), np.array([0]), np.array([1]), (1, 1, 2), np.ones((2, 2)))
    with pytest.raises(LabelError):
        fit_annotators(np.array([0]), np.array([0]), np.array([2]), (1, 1, 2))
