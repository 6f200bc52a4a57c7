"""Which noise model the given labels speak for, and the pool of networks and neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from auditor.detect.base import Evidence
from auditor.detect.noise_models import compare_noise_models, log_pool
from auditor.detect.registry import run_detector
from auditor.detect.second_round import weighted_loss
from auditor.lab.detectors.metrics import Ranked, flag_counts

N, K = 3000, 5
IDS = np.arange(N)


def problem(noise: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cross-validated logistic regression on overlapping classes, two of them close; a fifth of the labels wrong.

    ``ambiguous``: the label is drawn from a softened posterior, so that errors lie on hard items.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(K, 8))
    centres[1] = centres[0] + 0.4 * (centres[1] - centres[0])
    truth = rng.integers(0, K, N)
    x = 1.5 * centres[truth] + rng.normal(size=(N, 8))
    if noise == "ambiguous":
        posterior = softmax(-0.25 * ((x[:, None] - 1.5 * centres) ** 2).sum(axis=2), axis=1)
        labels = (rng.random((N, 1)) > np.cumsum(posterior, axis=1)).sum(axis=1).clip(max=K - 1)
    else:
        step = 1 if noise == "pair" else rng.integers(1, K, N)
        labels = np.where(rng.random(N) < 0.2, (truth + step) % K, truth)
    p = cross_val_predict(LogisticRegression(), x, labels, cv=5, method="predict_proba")
    return log_pool([p], [1e-4], labels)[0], labels


@pytest.mark.parametrize("seed", range(3))
def test_each_noise_is_told_from_the_labels_alone(seed: int) -> None:
    symmetric = compare_noise_models(*problem("symmetric", seed), IDS, 1.5)
    assert symmetric.against_symmetric < 1.6  # a matrix does not predict better than one rate
    pair = compare_noise_models(*problem("pair", seed), IDS, 1.5)
    assert min(pair.against_symmetric, pair.against_plain) > 3
    assert pair.pair_weight > 0.7
    ambiguous = compare_noise_models(*problem("ambiguous", seed), IDS, 1.5)
    assert ambiguous.against_plain < -3
    assert ambiguous.pair_weight <= 0.51


@pytest.mark.parametrize(("noise", "least"), [("symmetric", -0.01), ("pair", 0.03)])
@pytest.mark.parametrize("seed", range(2))
def test_rare_classes_that_a_network_confuses_are_no_noise(noise: str, least: float, seed: int) -> None:
    """Four clouds of 50, 36, 10 and 4 %, the two last within the first: AP of `combined` less the margin's."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, N, p=[0.5, 0.36, 0.1, 0.04])
    centres = np.array([[0.0, 0], [3, 0], [0.7, 0.7], [-0.5, 1]])
    x = centres[truth] + rng.normal(size=(N, 2))
    wrong = rng.random(N) < 0.1
    labels = np.where(wrong, (truth + (1 if noise == "pair" else rng.integers(1, 4, N))) % 4, truth)
    p = cross_val_predict(LogisticRegression(), x, labels, cv=5, method="predict_proba")
    evidence = Evidence(IDS, labels, 4, probabilities=p)
    ap = {
        name: Ranked.of(wrong, run_detector(name, evidence).score).average_precision()
        for name in ("combined", "log_odds_margin")
    }
    assert ap["combined"] - ap["log_odds_margin"] > least


def two_gaussians(noise: float, n_classes: int = 2, distance: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross-validated logistic regression on well separated classes with symmetric noise: (p, labels, wrong)."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, n_classes, 2000)
    x = distance * np.eye(n_classes, n_classes + 4)[truth] + rng.normal(size=(2000, n_classes + 4))
    wrong = rng.random(2000) < noise
    labels = np.where(wrong, (truth + rng.integers(1, n_classes, 2000)) % n_classes, truth)
    return cross_val_predict(LogisticRegression(), x, labels, cv=5, method="predict_proba"), labels, wrong


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("noise", [0.1, 0.35])
def test_flags_of_combined_hold_under_light_and_heavy_noise(n_classes: int, noise: float) -> None:
    p, labels, wrong = two_gaussians(noise, n_classes)
    flagged = run_detector("combined", Evidence(np.arange(2000), labels, n_classes, probabilities=p)).flagged
    assert flag_counts(wrong, flagged).f1 > 0.88


def test_clean_labels_of_a_good_model_are_left_alone() -> None:
    p, labels, _ = two_gaussians(0.0)
    flagged = run_detector("combined", Evidence(np.arange(2000), labels, 2, probabilities=p)).flagged
    assert flagged.mean() < 0.02


def test_few_items_and_two_classes_give_a_finite_answer() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    for n in (1, 2, 3):
        found = compare_noise_models(p[:n], np.zeros(n, np.int64), np.arange(n), 1.5)
        assert 0 <= found.pair_weight <= 0.75


def test_pool_of_one_is_temperature_scaling() -> None:
    rng = np.random.default_rng(0)
    p = softmax(2 * rng.normal(size=(N, K)), axis=1)
    labels = (rng.random((N, 1)) > np.cumsum(p, axis=1)).sum(axis=1).clip(max=K - 1)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    pooled, exponents = log_pool([sharp], [1e-9], labels)
    assert exponents[0] == pytest.approx(1 / 3, abs=0.03)
    np.testing.assert_allclose(pooled, p, atol=0.03)


def test_pool_adds_independent_evidence_and_shares_equal_evidence() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, K, N)
    parts = [softmax(2 * np.eye(K)[labels] + rng.normal(size=(N, K)), axis=1) for _ in range(2)]
    pooled, exponents = log_pool(parts, [1e-6, 1e-6], labels)
    loss = lambda p: weighted_loss(p, labels, np.ones(N))  # noqa: E731
    assert loss(pooled) < min(map(loss, parts)) - 0.05
    assert exponents.sum() > 1.5
    twice, shared = log_pool([parts[0], parts[0]], [1e-6, 1e-6], labels)
    alone, single = log_pool([parts[0]], [1e-6], labels)
    assert shared.sum() == pytest.approx(single[0], abs=0.01)
    np.testing.assert_allclose(twice, alone, atol=0.01)


def test_pool_leaves_out_what_says_nothing() -> None:
    rng = np.random.default_rng(1)
    p, labels = problem("ambiguous")
    noise = softmax(rng.normal(size=(N, K)), axis=1)
    _, exponents = log_pool([p, noise], [1e-6, 1e-6], labels)
    assert exponents[1] < 0.05
    _, hopeless = log_pool([noise], [1e-6], labels)
    assert 0 < hopeless[0] < 0.1
