"""Bootstrap weights, ranks and curves against their definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.stats

from auditor.core.errors import DataError
from auditor.stats.prevalence import accuracy_at, benign_left, crossover, simulate, simulated_sd
from auditor.stats.ranks import kendall_tau, min_ranks, pair_signs, rank_bounds, spearman, tie_groups
from auditor.stats.resampling import resample_weights, row_patterns


def test_patterns_give_the_rows_back() -> None:
    rows = np.random.default_rng(0).random((500, 11)) < 0.8
    patterns, code = row_patterns(rows)
    assert np.array_equal(patterns[code], rows)
    assert len(np.unique(patterns, axis=0)) == len(patterns) == code.max() + 1


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_weights_do_not_depend_on_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    code = np.random.default_rng(1).integers(0, 9, 101)
    whole = np.concatenate([w for _, w in resample_weights(code, 9, 40, 5)])
    monkeypatch.setattr("auditor.stats.resampling._BYTES", 4 * 9 * block)
    assert np.array_equal(np.concatenate([w for _, w in resample_weights(code, 9, 40, 5)]), whole)
    assert (whole.sum(axis=1) == 101).all()
    assert not np.array_equal(whole, np.concatenate([w for _, w in resample_weights(code, 9, 40, 6)]))


def test_weights_are_multinomial() -> None:
    n, draws = 200, 4000
    weights = np.concatenate([w for _, w in resample_weights(np.arange(n), n, draws, 0)]).astype(float)
    assert abs(weights.mean() - 1) < 1e-9
    # Each weight is binomial(n, 1/n): variance 1 - 1/n; pooled over n x draws the error is about 0.3 %.
    assert weights.var() == pytest.approx(1 - 1 / n, rel=0.02)
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 / np.sqrt(draws)
    later = np.corrcoef(weights[:-1].ravel(), weights[1:].ravel())[0, 1]
    assert abs(later) < 0.01


def test_weights_refuse_nonsense() -> None:
    with pytest.raises(DataError):
        list(resample_weights(np.empty(0, np.int64), 1, 10, 0))
    with pytest.raises(DataError, match="codes"):
        list(resample_weights(np.array([0, 3]), 3, 10, 0))


def test_kendall_and_spearman_equal_scipy() -> None:
    rng = np.random.default_rng(2)
    for ties in (False, True):
        x, y = rng.normal(size=(2, 12))
        if ties:
            x, y = np.round(x), np.round(y)
        assert float(kendall_tau(pair_signs(x), pair_signs(y))) == pytest.approx(scipy.stats.kendalltau(x, y).statistic)
        assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert np.isnan(kendall_tau(pair_signs(np.ones(4)), pair_signs(np.arange(4.0))))


def test_ranks_and_ties() -> None:
    assert min_ranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [2, 1, 2, 4]
    better = np.zeros((4, 4), bool)
    better[1, 3] = better[0, 3] = True
    low, high = rank_bounds(better)
    assert low.tolist() == [1, 1, 1, 3]
    assert high.tolist() == [3, 3, 4, 4]
    assert tie_groups(np.array([0.5, 0.9, 0.4, 0.1]), better | better.T) == [[1, 0, 2], [2, 3]]
    with pytest.raises(DataError):
        rank_bounds(np.ones((2, 2), bool))


def test_crossover_of_the_published_pair() -> None:
    found = [
        crossover((9196, 9361), 9946, (12, 7), 18),
        crossover((9186, 9339), 9892, (5, 4), 7),
        crossover((9154, 9298), 9807, (3, 2), 3),
    ]
    assert [f and f.prevalence for f in found] == [Fraction(297, 5270), Fraction(1071, 10963), Fraction(144, 3413)]
    first = found[0]
    assert first is not None
    assert float(100 * first.increase) == pytest.approx(5.4550, abs=1e-4)
    assert float(first.benign_left) == pytest.approx(301.394, abs=1e-3)


@pytest.mark.parametrize(
    ("benign", "correctable"),
    [((9196, 9361), (5, 9)), ((9186, 9339), (2, 2)), ((9361, 9361), (5, 9)), ((9361, 9196), (9, 5))],
)
def test_no_crossover(benign: tuple[int, int], correctable: tuple[int, int]) -> None:
    assert crossover(benign, 9946, correctable, 18) is None
    assert crossover(benign, 9946, (0, 0), 0) is None


def test_a_crossover_below_the_present_prevalence_is_none() -> None:
    # dB = -1/1000, dC = 1/2: N* = 1/501, below 10/1010.
    assert crossover((500, 501), 1000, (7, 2), 10) is None


def test_simulation_agrees_with_the_closed_form() -> None:
    rng = np.random.default_rng(4)
    right = rng.random((3, 2000)) < np.array([[0.9], [0.8], [0.7]])
    on_c = np.array([5, 9, 12])
    for share in (0.02, 0.1, 0.5):
        kept = benign_left(share, 2000, 20)
        found = simulate(right, on_c, 20, kept, 500, rng)
        closed = accuracy_at(np.array(20 / (20 + kept)), right.mean(axis=1), on_c / 20)
        error = [simulated_sd(float(b), 2000, 20, kept) / np.sqrt(500) for b in right.mean(axis=1)]
        assert (np.abs(found.mean(axis=0) - closed) <= 4 * np.array(error)).all()
        assert found.std(axis=0) / np.sqrt(500) == pytest.approx(error, rel=0.2)


def test_unreachable_prevalences_are_refused() -> None:
    assert benign_left(20 / 2020, 2000, 20) == 2000
    assert benign_left(1.0, 2000, 20) == 0
    for share in (0.001, 1.1):
        with pytest.raises(DataError, match="cannot be reached"):
            benign_left(share, 2000, 20)
    with pytest.raises(DataError):
        benign_left(0.5, 2000, 0)
