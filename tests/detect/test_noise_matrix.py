"""Noise matrices hold the labels that occur, and say what the full matrices said."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detect.em_posterior import ITERATIONS, fit_em
from auditor.detect.knn_rank import DIAGONAL, consensus_noise
from auditor.detect.noise_matrix import NoiseMatrix, add_rows

#: Items, classes, classes that occur.
SIZES = [(400, 3, 3), (300, 20, 20), (300, 20, 11), (40, 100, 25), (1, 50, 1), (257, 130, 130)]


def _problem(n: int, k: int, occurring: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n + k)
    p = random.dirichlet(np.full(k, 0.2), n).astype(dtype)
    p[n // 2 :] = p[: n - n // 2]  # equal rows
    present = np.sort(random.choice(k, occurring, replace=False))
    return p.astype(np.float64), np.r_[present, random.choice(present, n)][:n] if n >= occurring else present[:n]


def _full_em(p: np.ndarray, labels: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Posterior and K x K transition, as the equations say."""
    k = p.shape[1]
    prior = (p + 1e-6) ** beta
    prior /= prior.sum(axis=1, keepdims=True)
    transition = np.where(np.eye(k) == 1, 0.7, 0.3 / (k - 1))
    for _ in range(ITERATIONS):
        posterior = prior * (transition[:, labels].T + 1e-9)
        posterior /= posterior.sum(axis=1, keepdims=True)
        counts = np.ones((k, k))
        np.add.at(counts.T, labels, posterior)
        transition = counts / counts.sum(axis=1, keepdims=True)
    return posterior, transition


@pytest.mark.parametrize(("n", "k", "occurring"), SIZES)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_em_is_that_of_all_pairs(n: int, k: int, occurring: int, dtype: str) -> None:
    p, labels = _problem(n, k, occurring, dtype)
    fit = fit_em(p, labels, 1.5)
    posterior, transition = _full_em(p, labels, 1.5)
    assert len(fit.noise.classes) == occurring
    np.testing.assert_allclose(fit.posterior, posterior, rtol=1e-9)
    np.testing.assert_allclose(fit.transition, transition, rtol=1e-9)
    everyone = np.arange(k)
    np.testing.assert_array_equal(fit.noise.of(everyone), fit.transition.T)
    np.testing.assert_array_equal(fit.noise.diagonal(), fit.transition.diagonal())
    shares = posterior.mean(axis=0)
    np.testing.assert_allclose(fit.noise.marginal(shares), shares @ fit.transition, rtol=1e-12)


@pytest.mark.parametrize(("n", "k", "occurring"), SIZES)
def test_consensus_is_that_of_all_pairs(n: int, k: int, occurring: int) -> None:
    labels = _problem(n, k, occurring, "float64")[1]
    triples = np.column_stack([labels, np.roll(labels, 1), np.roll(labels, 3)])
    shares, noise = consensus_noise(triples, k)
    seen, counts = np.unique(np.sort(triples, axis=1), axis=0, return_counts=True)
    full_shares = np.full(k, 1 / k)
    full = np.where(np.eye(k) == 1, DIAGONAL, (1 - DIAGONAL) / (k - 1))
    for _ in range(100):
        joint = full_shares * full[:, seen[:, 0]].T * full[:, seen[:, 1]].T * full[:, seen[:, 2]].T
        weight = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
        full_shares = weight.sum(axis=0) / weight.sum()
        table = np.full((k, k), 1 / k)
        for view in range(3):
            np.add.at(table.T, seen[:, view], weight)
        full = table / table.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, full_shares, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(noise.toarray(), full, rtol=1e-7, atol=1e-12)


def test_a_label_that_does_not_occur_has_a_rate_too() -> None:
    noise = NoiseMatrix(np.array([1, 3]), np.full((2, 4), 0.4), np.full(4, 0.1))
    np.testing.assert_array_equal(noise.of(np.array([0, 1, 3, 2]))[:, 0], [0.1, 0.4, 0.4, 0.1])
    np.testing.assert_allclose(noise.toarray().sum(axis=1), 1)


@pytest.mark.parametrize(("m", "k", "occurring"), [(1797, 10, 10), (13, 5000, 7), (40_000, 3, 3)])
def test_rows_are_added_one_after_the_other_whatever_their_number(m: int, k: int, occurring: int) -> None:
    random = np.random.default_rng(m)
    rows, at = random.random((m, k)), random.integers(0, occurring, m)
    sums = random.random((occurring, k))
    expected = sums.copy()
    for row, label in zip(rows, at, strict=True):
        expected[label] += row
    add_rows(rows, at, sums)
    np.testing.assert_array_equal(sums, expected)
