import numpy as np
import pytest
from scipy.special import expit

from auditor.core.errors import DataError
from auditor.stats.calibration import brier_score, calibrated_probability, cross_fitted, match_total, reliability


@pytest.mark.parametrize("n", [300, 3000])  # Platt, isotonic
def test_recovers_known_probabilities(n: int) -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(-1, 2, n)
    truth = expit(1.5 * score - 0.5)
    wrong = rng.random(n) < truth
    found = calibrated_probability(score, score, wrong, np.ones(n))
    assert np.abs(found - truth).mean() < 0.05
    assert (np.diff(found[np.argsort(score)]) >= -1e-12).all()
    held_out = cross_fitted(score, wrong, np.ones(n), rng)
    assert brier_score(held_out, wrong, np.ones(n)) < brier_score(np.full(n, wrong.mean()), wrong, np.ones(n))
    inside = [b.low <= b.predicted <= b.high for b in reliability(held_out, wrong)]
    assert sum(inside) >= 8


def test_isotonic_does_not_depend_on_the_order_of_ties() -> None:
    rng = np.random.default_rng(1)
    score = np.round(rng.normal(size=1000), 1)
    wrong = rng.random(1000) < expit(score)
    order = rng.permutation(1000)
    grid = np.linspace(-3, 3, 50)
    one = calibrated_probability(grid, score, wrong, np.ones(1000))
    two = calibrated_probability(grid, score[order], wrong[order], np.ones(1000))
    np.testing.assert_allclose(one, two, atol=1e-12)


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("n", [1, 5, 600])
def test_one_kind_of_verdict_only(n: int, answer: bool) -> None:
    found = calibrated_probability(np.linspace(-5, 5, 20), np.zeros(n), np.full(n, answer), np.ones(n))
    assert np.isfinite(found).all()
    assert ((found > 0.5) == answer).all()


def test_match_total() -> None:
    p = np.random.default_rng(2).random(500)
    assert match_total(p, 123.4).sum() == pytest.approx(123.4)
    assert match_total(p, 0).sum() == 0
    assert match_total(p, 500).sum() == 500
    assert (np.argsort(match_total(p, 50)) == np.argsort(p)).all()


def test_bad_input_and_few_items() -> None:
    with pytest.raises(DataError):
        calibrated_probability(np.zeros(3), np.zeros(0), np.zeros(0, bool), np.zeros(0))
    assert len(reliability(np.array([0.2, 0.4]), np.array([True, False]))) == 2
    assert reliability(np.empty(0), np.empty(0, bool)) == []
