"""Dawid-Skene against its definition written out, and against crowd-kit where that is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from auditor.core.errors import LabelError
from auditor.review.dawid_skene import dawid_skene


def _crowd(seed: int, n: int = 200, n_annotators: int = 6, k: int = 3) -> tuple[np.ndarray, ...]:
    """Votes of annotators of known skill, four per item; truth last."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=np.arange(1, k + 1) / sum(range(1, k + 1)))
    skill = np.linspace(0.5, 0.95, n_annotators)
    items, annotators, labels = [], [], []
    for i in range(n):
        for a in rng.choice(n_annotators, 4, replace=False):
            right = rng.random() < skill[a]
            items.append(i)
            annotators.append(a)
            labels.append(truth[i] if right else (truth[i] + rng.integers(1, k)) % k)
    return np.array(items), np.array(annotators), np.array(labels), truth, skill


def _by_definition(
    items: np.ndarray, annotators: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int], rounds: int
) -> np.ndarray:
    """The formula in plain loops: q_i(k) ~ pi_k prod_a theta_a[k, l_ia], theta smoothed by +1 and +0.1."""
    n, n_annotators, k = shape
    votes = list(zip(items.tolist(), annotators.tolist(), labels.tolist(), strict=True))
    q = [[sum(1 for i, _, l in votes if i == item and l == c) for c in range(k)] for item in range(n)]
    q = [[x / sum(row) for x in row] for row in q]
    for _ in range(rounds):
        prior = [sum(row[c] for row in q) / n for c in range(k)]
        theta = [[[1.0 if c == d else 0.1 for d in range(k)] for c in range(k)] for _ in range(n_annotators)]
        for i, a, l in votes:
            for c in range(k):
                theta[a][c][l] += q[i][c]
        theta = [[[x / sum(row) for x in row] for row in one] for one in theta]
        q = []
        for item in range(n):
            row = [prior[c] * math.prod(theta[a][c][l] for i, a, l in votes if i == item) for c in range(k)]
            q.append([x / sum(row) for x in row])
    return np.array(q)


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_equals_its_definition(rounds: int) -> None:
    items, annotators, labels, truth, skill = _crowd(0, n=40)
    shape = (len(truth), len(skill), 3)
    fit = dawid_skene(items, annotators, labels, shape, iterations=rounds, tolerance=0.0)
    assert fit.iterations == rounds
    np.testing.assert_allclose(fit.posterior, _by_definition(items, annotators, labels, shape, rounds), rtol=1e-9)


def test_equals_crowd_kit() -> None:
    aggregation = pytest.importorskip("crowdkit.aggregation", reason="crowd-kit is not installed")
    import pandas as pd

    items, annotators, labels, truth, skill = _crowd(1)
    fit = dawid_skene(items, annotators, labels, (len(truth), len(skill), 3), 0.0, 0.0, 30, 0.0)
    frame = pd.DataFrame({"task": items, "worker": annotators, "label": labels})
    oracle = aggregation.DawidSkene(n_iter=30, tol=0).fit(frame)
    np.testing.assert_allclose(fit.posterior, oracle.probas_.sort_index()[[0, 1, 2]].to_numpy(), atol=1e-6)


def test_beats_the_majority_and_recovers_the_skill() -> None:
    items, annotators, labels, truth, skill = _crowd(2, n=3000)
    fit = dawid_skene(items, annotators, labels, (len(truth), len(skill), 3))
    counts = np.zeros((len(truth), 3))
    np.add.at(counts, (items, labels), 1)
    assert (fit.posterior.argmax(axis=1) == truth).mean() > (counts.argmax(axis=1) == truth).mean() + 0.01
    found = np.einsum("akk,k->a", fit.confusion, fit.prior)
    assert np.abs(found - skill).max() < 0.05


def test_rows_are_probabilities_also_without_votes_or_smoothing() -> None:
    for diagonal, elsewhere in ((1.0, 0.1), (0.0, 0.0)):
        fit = dawid_skene(np.array([0, 0, 2]), np.array([0, 1, 0]), np.array([0, 1, 1]), (4, 3, 2), diagonal, elsewhere)
        np.testing.assert_allclose(fit.posterior.sum(axis=1), 1)
        np.testing.assert_allclose(fit.posterior[1], fit.prior)
        assert np.isfinite(fit.confusion).all()
    empty = np.empty(0, dtype=np.int64)
    assert dawid_skene(empty, empty, empty, (0, 0, 2)).posterior.shape == (0, 2)


def test_order_of_the_votes_does_not_matter() -> None:
    items, annotators, labels, truth, skill = _crowd(3)
    shape = (len(truth), len(skill), 3)
    p = np.random.default_rng(0).permutation(len(items))
    first = dawid_skene(items, annotators, labels, shape)
    again = dawid_skene(items[p], annotators[p], labels[p], shape)
    np.testing.assert_allclose(first.posterior, again.posterior, atol=1e-9)


@pytest.mark.parametrize("bad", [([0], [0], [3]), ([0], [-1], [0]), ([5], [0], [0]), ([0, 1], [0], [0])])
def test_bad_votes_are_refused(bad: tuple[list[int], list[int], list[int]]) -> None:
    with pytest.raises(LabelError):
        dawid_skene(*(np.array(x) for x in bad), (2, 1, 3))
