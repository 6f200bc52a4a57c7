"""Exact tests of two classifiers against oracles and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from auditor.core.errors import DataError
from auditor.stats.paired import (
    discordant_counts,
    holm,
    mcnemar,
    mcnemar_greater,
    paired_interval,
    seeded_greater,
    sign_flip,
)


def test_discordant_counts_are_counted() -> None:
    right = np.random.default_rng(0).random((4, 333)) < 0.7
    table = discordant_counts(right)
    for a, b in itertools.product(range(4), repeat=2):
        assert table[a, b] == int((right[a] & ~right[b]).sum())


@pytest.mark.parametrize(("b", "c"), [(6, 1), (2, 1), (1, 0), (0, 0), (5, 5), (232, 397), (0, 12)])
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    two = binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0
    one = binomtest(b, b + c, 0.5, alternative="greater").pvalue if b + c else 1.0
    assert float(mcnemar(b, c)) == pytest.approx(two, rel=1e-9)
    assert float(mcnemar_greater(b, c)) == pytest.approx(one, rel=1e-9)


def test_mcnemar_of_the_published_pair() -> None:
    found = mcnemar(np.array([6, 2, 1, 232, 230, 222]), np.array([1, 1, 0, 397, 383, 366]))
    assert found[:3].tolist() == pytest.approx([0.125, 1.0, 1.0])
    assert found[3:].tolist() == pytest.approx([4.8e-11, 6.8e-10, 3.1e-9], rel=0.02)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(DataError, match="negative"):
        mcnemar(-1, 3)
    with pytest.raises(DataError, match="negative"):
        sign_flip(1, -1, 0, 0)


def test_holm_steps_down() -> None:
    # Holm 1979: sorted p times (m - rank), running maximum.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.empty(0)).tolist() == []
    with pytest.raises(DataError):
        holm(np.array([0.5, np.nan]))


@pytest.mark.parametrize("counts", [(3, 1, 0, 0), (0, 0, 2, 1), (2, 1, 1, 0), (1, 1, 1, 1), (4, 0, 1, 0), (0, 0, 0, 0)])
def test_sign_flip_against_all_signs(counts: tuple[int, int, int, int]) -> None:
    sizes = [1] * (counts[0] + counts[1]) + [2] * (counts[2] + counts[3])
    observed = abs(counts[0] - counts[1] + 2 * (counts[2] - counts[3]))
    sums = [
        abs(sum(s * v for s, v in zip(signs, sizes, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(sizes))
    ]
    assert sign_flip(*counts) == pytest.approx(np.mean([s >= observed for s in sums]))


def test_sign_flip_of_ones_is_mcnemar() -> None:
    assert sign_flip(6, 1, 0, 0) == pytest.approx(float(mcnemar(6, 1)))


def test_seeds_with_few_degrees_of_freedom_need_more() -> None:
    certain = seeded_greater(0.02, 1e-5, [])
    three = seeded_greater(0.02, 1e-5, [(3e-5, 3), (3e-5, 3)])
    assert certain < 1e-6 < three < 0.05
    assert seeded_greater(0.0, 0.0, []) == 1.0
    assert seeded_greater(0.1, 0.0, [(0.0, 3)]) == 0.0


def test_seeds_do_not_reject_too_often() -> None:
    """Two models of one law, three seeds each: at most 5 % one-sided, here 2,000 simulations."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(2000):
        x = rng.normal(0, 0.01, (2, 3))
        spread = [(float(v), 3) for v in x.var(axis=1, ddof=1)]
        hits += seeded_greater(float(x[0].mean() - x[1].mean()), 0.0, spread) < 0.05
    assert hits / 2000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_paired_interval_of_one_seed_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((1, 80)) < 0.8, rng.random((1, 80)) < 0.6
    interval = paired_interval(first, second, level=0.9)
    expected = ttest_rel(first[0].astype(float), second[0].astype(float)).confidence_interval(0.9)
    assert [interval.low, interval.high] == pytest.approx([expected.low, expected.high])
    assert interval.value == pytest.approx(first.mean() - second.mean())


def test_paired_interval_widens_with_the_spread_over_seeds() -> None:
    right = np.zeros((3, 100), bool)
    alike, apart = right.copy(), right.copy()
    alike[:, :20] = True
    apart[0, :60] = True  # the same mean, all from one seed
    narrow, wide = paired_interval(alike, right), paired_interval(apart, right)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_paired_interval_covers_the_difference_of_the_population() -> None:
    rng = np.random.default_rng(1)
    skill = rng.random(5000)
    covered = 0
    for _ in range(300):
        drawn = rng.integers(0, 5000, 200)
        first = rng.random((3, 200)) < np.minimum(1, skill[drawn] + 0.1)
        second = rng.random((3, 200)) < skill[drawn]
        interval = paired_interval(first, second)
        covered += interval.low <= np.mean(np.minimum(1, skill + 0.1) - skill) <= interval.high
    assert covered >= 280  # 95 % or more: the variance over items holds a part of that over seeds


def test_paired_interval_weighs_items_by_what_they_stand_for() -> None:
    first, second = np.array([[1, 1, 0, 0]]), np.array([[0, 0, 0, 0]])
    assert paired_interval(first, second, np.array([1.0, 1, 3, 3])).value == pytest.approx(0.25)
    assert paired_interval(first[:, :1], second[:, :1]).low == -1
    for wrong in (np.ones(3), np.zeros(4)):
        with pytest.raises(DataError, match="weights"):
            paired_interval(first, second, wrong)
    with pytest.raises(DataError, match="seeds"):
        paired_interval(first, second[:, :2])
