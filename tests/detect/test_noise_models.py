"""Which noise model the given labels speak for, and the pool of networks and neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from auditor.core.seeds import derive_seed
from auditor.detect.base import Evidence
from auditor.detect.combined import (
    BETA,
    LARGEST_POOL_WEIGHT,
    RANKING_BETA,
    mild_weight,
    pair_weight,
    pool_weight,
    pooled,
)
from auditor.detect.em_posterior import EMFit, fit_em
from auditor.detect.ensemble import LOSS_FLOOR
from auditor.detect.margins import given_probability
from auditor.detect.noise_matrix import NoiseMatrix
from auditor.detect.noise_models import Gain, NoiseEvidence, compare_noise_models, log_pool
from auditor.detect.registry import run_detector
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


def few_by_pair() -> tuple[np.ndarray, np.ndarray]:
    """Pool and labels of a network that is unsure of some items, and 6 % of the labels wrong, all by one step."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    x = 2.6 * np.eye(K, 8)[truth] + rng.normal(size=(N, 8))
    labels = np.where(rng.random(N) < 0.06, (truth + 1) % K, truth)
    return cross_val_predict(LogisticRegression(), x, labels, cv=5, method="predict_proba"), labels


def weights_of(noise: str, seed: int) -> tuple[NoiseEvidence, float, float]:
    """The comparison, and the weights that `combined` takes from it."""
    pool, labels = problem(noise, seed)
    models = compare_noise_models(pool, labels, IDS, BETA)
    em, ranking = fit_em(pool, labels, BETA), fit_em(pool, labels, RANKING_BETA)
    preferred = pool.argmax(axis=1) != labels
    return models, pair_weight(models, em.count / N, ranking, labels), pool_weight(models, em.count, preferred)


@pytest.mark.parametrize("seed", range(3))
def test_each_noise_is_told_from_the_labels_alone(seed: int) -> None:
    models, _, _ = weights_of("symmetric", seed)
    assert models.over_one_rate.nats < 1.6 * models.over_one_rate.error  # a matrix predicts no better than one rate
    models, by_pairs, trust = weights_of("pair", seed)
    assert (
        min(models.over_one_rate.nats / models.over_one_rate.error, models.over_pool.nats / models.over_pool.error) > 3
    )
    assert by_pairs > 0.95  # EM alone ranks
    assert trust <= LARGEST_POOL_WEIGHT + 1e-3
    models, by_pairs, _ = weights_of("ambiguous", seed)
    assert models.over_pool.nats < -3 * models.over_pool.error
    assert models.over_pool.sureness < 0.01
    assert 0.4 < by_pairs < 0.85  # both have their say


def test_gains_are_vuongs_on_the_items_that_were_held_out() -> None:
    """Means and errors again, from the folds' own fits."""
    pool, labels = problem("pair")
    models = compare_noise_models(pool, labels, IDS, BETA)
    prior = pool**BETA / (pool**BETA).sum(axis=1, keepdims=True)
    fold = np.array([derive_seed(0, "noise-model-fold", str(i)) % 5 for i in IDS])
    gain = np.empty(N)
    for held in range(5):
        seen = fold != held
        matrix = fit_em(pool[seen], labels[seen], BETA).transition
        predicted = (prior[~seen] * matrix[:, labels[~seen]].T).sum(axis=1)
        gain[~seen] = np.log(predicted) - np.log(pool[~seen, labels[~seen]])
    assert models.over_pool.nats == pytest.approx(gain.mean(), abs=1e-4)
    assert models.over_pool.error == pytest.approx(gain.std() / np.sqrt(N), rel=1e-2)
    assert models.over_pool.sureness == pytest.approx(norm.cdf(gain.mean() / (gain.std() / np.sqrt(N))), abs=1e-3)


def test_weights_are_those_of_their_formulas() -> None:
    evident, none, against = Gain(1.0, 1e-3), Gain(0.0, 0.0), Gain(-9.0, 1e-3)
    preferred = np.arange(100) < 40
    for count, squared in ((0.0, 0.25), (20.0, 0.25), (32.0, 0.64), (50.0, 1.0)):
        assert pool_weight(NoiseEvidence(against, none), count, preferred) == pytest.approx(squared)
        assert pool_weight(NoiseEvidence(evident, none), count, preferred) == pytest.approx(min(squared, 0.3))
        assert pool_weight(NoiseEvidence(none, none), count, preferred) == pytest.approx(
            (squared + min(squared, 0.3)) / 2
        )
    for behind, least in ((0.0, 0.25), (0.1, 0.31), (0.5, 5 / 12), (0.9, 0.31), (1.0, 0.25)):  # nats a wrong label
        models = NoiseEvidence(Gain(-0.2 * behind, 1e-12), none)
        assert pool_weight(models, 20.0, preferred) == pytest.approx(least if behind else (0.25 + 0.25) / 2)
        assert pool_weight(models, 20.0, np.arange(100) < 25) == pytest.approx(0.64 if behind else (0.64 + 0.3) / 2)
    labels = np.repeat(np.arange(5), 20)
    kept, lost = np.full((100, 5), 0.05), np.full((100, 5), 0.2)
    kept[np.arange(100), labels], lost[20:, :] = 0.8, kept[20:, :]
    for posterior, confused in ((kept, False), (lost, True)):
        em = EMFit(posterior, NoiseMatrix(np.arange(5), np.eye(5), np.zeros(5)), 0.0, 20.0, 1.5)
        for explained, share in (
            (-1.0, 0.0),
            (1e-9, 0.0),
            (0.06, 0.18),
            (0.08, 0.24),
            (0.1, 0.3),
            (1 / 6, 0.5),
            (1, 1),
        ):
            gain = Gain(0.2 * np.log(4) * explained, 1e-12)
            expected = (explained > 0) * (share + 0.5 * (1 - share))
            if confused:
                expected *= {0.06: 0.0, 0.08: 0.5}.get(explained, float(explained >= 0.1))
            assert pair_weight(NoiseEvidence(none, gain), 0.2, em, labels) == pytest.approx(expected, abs=1e-6)
            for behind, left in ((0.75, 1.0), (1.0, 0.75), (1.25, 0.5), (9.0, 0.5)):
                models = NoiseEvidence(Gain(-0.2 * behind, 1e-12), gain)
                assert pair_weight(models, 0.2, em, labels) == pytest.approx(left * expected, abs=1e-6)


def test_errors_by_class_that_are_few_are_flagged_by_the_likelier_exponent() -> None:
    none = Gain(0.0, 0.0)
    fits = [
        EMFit(np.full((100, 2), 0.5), NoiseMatrix(np.arange(2), np.eye(2), np.zeros(2)), likelihood, 10.0, 2.0)
        for likelihood in (-0.4, -0.5)
    ]
    for ahead, weight in ((-1.0, 0.0), (0.3, 0.0), (0.35, 0.5), (0.4, 1.0), (2.0, 1.0)):  # nats for each wrong label
        models = NoiseEvidence(Gain(0.1 * ahead, 1e-12), none)
        assert mild_weight(models, fits[1], fits[0]) == pytest.approx(weight)
        assert mild_weight(models, fits[0], fits[1]) == 0.0


@pytest.mark.parametrize("noise", ["ambiguous", "few by pair"])
def test_flags_of_combined_are_those_of_largest_expected_f1(noise: str) -> None:
    """The rule again, one line a step, from the pool and EM's posteriors."""
    pool, labels = problem("ambiguous") if noise == "ambiguous" else few_by_pair()
    detection = run_detector("combined", Evidence(IDS, labels, K, probabilities=pool))
    again, _ = log_pool([pool], [1e-4], labels)
    given = [
        p[IDS, labels] for p in (again, fit_em(again, labels, 2.0).posterior, fit_em(again, labels, 1.5).posterior)
    ]
    trust, mild = detection.meta["pool_weight"], detection.meta["mild_weight"]
    assert mild == (noise == "few by pair")
    weights = (trust, (1 - trust) * (1 - mild), (1 - trust) * mild)
    odds = sum(w * np.log((1 - g) / g) for w, g in zip(weights, given, strict=True))
    wrong = np.where(again.argmax(axis=1) != labels, 1 / (1 + np.exp(-odds)), 0.0)
    cuts = np.unique(wrong[wrong > 0])
    expected = [2 * wrong[wrong >= cut].sum() / ((wrong >= cut).sum() + wrong.sum()) for cut in cuts]
    assert np.array_equal(detection.flagged, wrong >= cuts[np.argmax(expected)])
    assert detection.meta["expected_f1"] == pytest.approx(max(expected))


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
        labels = np.zeros(n, np.int64)
        models = compare_noise_models(p[:n], labels, np.arange(n), BETA)
        assert 0 <= models.over_pool.sureness <= 1
        detection = run_detector("combined", Evidence(np.arange(n), labels, 2, probabilities=p[:n]))
        assert 0 <= detection.meta["pair_weight"] <= 1
        assert 0.25 <= detection.meta["pool_weight"] <= 1


def test_pool_of_one_is_temperature_scaling() -> None:
    rng = np.random.default_rng(0)
    p = softmax(2 * rng.normal(size=(N, K)), axis=1)
    labels = (rng.random((N, 1)) > np.cumsum(p, axis=1)).sum(axis=1).clip(max=K - 1)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    pool, exponents = log_pool([sharp], [1e-9], labels)
    assert exponents[0] == pytest.approx(1 / 3, abs=0.03)
    np.testing.assert_allclose(pool, p, atol=0.03)


def test_pool_adds_independent_evidence_and_shares_equal_evidence() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, K, N)
    parts = [softmax(2 * np.eye(K)[labels] + rng.normal(size=(N, K)), axis=1) for _ in range(2)]
    pool, exponents = log_pool(parts, [1e-6, 1e-6], labels)
    loss = lambda p: -np.log(given_probability(p, labels) + LOSS_FLOOR).mean()  # noqa: E731
    assert loss(pool) < min(map(loss, parts)) - 0.05
    assert exponents.sum() > 1.5
    twice, shared = log_pool([parts[0], parts[0]], [1e-6, 1e-6], labels)
    alone, single = log_pool([parts[0]], [1e-6], labels)
    assert shared.sum() == pytest.approx(single[0], abs=0.01)
    np.testing.assert_allclose(twice, alone, atol=0.01)


@pytest.mark.parametrize(("n", "k"), [(200, 5), (40, 1), (20, 1), (4000, 50)])
def test_neighbours_are_near(monkeypatch: pytest.MonkeyPatch, n: int, k: int) -> None:
    """Few items have few neighbours, whatever is asked for: at most one in forty."""
    rng = np.random.default_rng(2)
    asked: list[int] = []
    nearest = Evidence.neighbours
    monkeypatch.setattr(Evidence, "neighbours", lambda self, k: asked.append(k) or nearest(self, k))
    labels = np.arange(n) % 3
    p = softmax(2 * np.eye(3)[labels] + rng.normal(size=(n, 3)), axis=1)
    pooled(Evidence(np.arange(n), labels, 3, probabilities=p, embeddings=rng.normal(size=(n, 4))), 50)
    assert asked == [k]


def test_pool_leaves_out_what_says_nothing() -> None:
    rng = np.random.default_rng(1)
    p, labels = problem("ambiguous")
    noise = softmax(rng.normal(size=(N, K)), axis=1)
    _, exponents = log_pool([p, noise], [1e-6, 1e-6], labels)
    assert exponents[1] < 0.05
    _, hopeless = log_pool([noise], [1e-6], labels)
    assert 0 < hopeless[0] < 0.1
