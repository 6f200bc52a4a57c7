"""CROWDLAB against cleanlab."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import ProbabilityError
from auditor.review.crowdlab import Votes, ask_next, crowdlab, majority_labels
from auditor.review.dawid_skene import vote_counts


def _crowd(seed: int, n: int = 300, n_annotators: int = 8, k: int = 4, most: int = 4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    skill = rng.uniform(0.5, 0.95, n_annotators)
    table = np.full((n, n_annotators), np.nan)
    for i in range(n):
        for a in rng.choice(n_annotators, rng.integers(1, most + 1), replace=False):
            table[i, a] = truth[i] if rng.random() < skill[a] else rng.integers(0, k)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += 2
    p = np.exp(logits)
    return table, p / p.sum(axis=1, keepdims=True)


def _long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items, annotators = np.nonzero(~np.isnan(table))
    return items, annotators, table[items, annotators].astype(np.int64)


@pytest.mark.parametrize("seed", range(8))
def test_equals_cleanlab(seed: int) -> None:
    from cleanlab.multiannotator import get_label_quality_multiannotator

    table, p = _crowd(seed, k=3 + seed % 3, most=2 + seed % 4)
    result = get_label_quality_multiannotator(
        table, p, verbose=False, return_weights=True, return_annotator_stats=False, return_detailed_quality=False
    )
    fit = crowdlab(*_long(table), p, table.shape[1])
    found = result["label_quality"]
    assert np.array_equal(fit.labels, found["consensus_label"].to_numpy())
    quality = fit.posterior[np.arange(len(p)), fit.labels]
    np.testing.assert_allclose(quality, found["consensus_quality_score"].to_numpy(), rtol=1e-10)
    assert fit.model_weight == pytest.approx(result["model_weight"])
    np.testing.assert_allclose(fit.annotator_weights, result["annotator_weight"], rtol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_majority_equals_cleanlab(seed: int) -> None:
    from cleanlab.multiannotator import get_majority_vote_label

    table, p = _crowd(seed)
    items, annotators, labels = _long(table)
    votes = Votes(items, annotators, labels, table.shape[1], vote_counts(items, labels, *p.shape))
    found = majority_labels(votes, p)
    assert np.array_equal(found, get_majority_vote_label(table, p, verbose=False))


def test_worked_by_hand() -> None:
    """Two classes, two annotators, three items; the numbers follow the formula of the specification."""
    items, annotators, labels = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 1])
    p = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    fit = crowdlab(items, annotators, labels, p, 2)
    # Full agreement: P = 1. Of the two multi-labelled items one is not of the first class: E_MLC = 1/2. The
    # annotators never disagree and the model is right on both: weights 1 and sqrt(5/3).
    w = np.sqrt(5 / 3)
    assert fit.model_weight == pytest.approx(w)
    assert fit.annotator_weights == pytest.approx([1, 1])
    expected = [(0.8 * w + 2) / (w + 2), (0.6 * w + 2) / (w + 2), (0.3 * w + 1) / (w + 1)]
    assert fit.posterior[[0, 1, 2], [0, 1, 1]] == pytest.approx(expected)
    assert fit.labels.tolist() == [0, 1, 1]
    certainty = ask_next(fit)
    assert certainty.argmin() == 2
    assert certainty[2] == pytest.approx((expected[2] * (w + 1) + 0.5) / (w + 2))


def test_without_overlap_votes_and_model_are_still_weighed() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    fit = crowdlab(np.array([0, 1]), np.array([0, 1]), np.array([1, 1]), p, 2)
    assert np.isfinite(fit.posterior).all()
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1)


def test_items_without_votes_are_refused() -> None:
    with pytest.raises(ProbabilityError):
        crowdlab(np.array([0]), np.array([0]), np.array([1]), np.full((2, 2), 0.5), 1)
    with pytest.raises(ProbabilityError):
        crowdlab(np.array([0]), np.array([0]), np.array([1]), np.array([[np.nan, 1]]), 1)
