"""Flag lists with a promise, and the stop rule: the promise holds over replays, and impossible ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control

from auditor.core.errors import DataError
from auditor.stats.fdr import select_fdr
from auditor.stats.precision import reviews_for_first_cut, select_precision
from auditor.stats.stopping import log_ratio, remaining_errors


def _p_values(score: np.ndarray, calibration: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Conformal p-values of "the label is right", item by item."""
    return np.array([(1 + int((calibration[~wrong] >= one).sum())) / (len(wrong) + 1) for one in score])


def test_p_values_by_hand() -> None:
    p = _p_values(np.array([5.0, 2.0, 0.0]), np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 0, 0, 1], bool))
    np.testing.assert_allclose(p, [1 / 5, 3 / 5, 4 / 5])  # the wrong one at 9 does not count


@pytest.mark.parametrize("q", [0.05, 0.3, 0.9])
def test_the_quick_selection_is_benjamini_hochberg_on_the_p_values(q: float) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 300))
        wrong = rng.random(n) < 0.4
        score = np.round(rng.normal(size=n) + 2 * wrong, 1)  # with ties
        reviewed = rng.choice(n, n // 3 + 1, replace=False)
        rest = np.setdiff1d(np.arange(n), reviewed)
        p = _p_values(score[rest], score[reviewed], wrong[reviewed])
        expected = np.zeros(n, bool)
        expected[rest] = false_discovery_control(p) <= q + 1e-12
        np.testing.assert_array_equal(select_fdr(score, reviewed, wrong[reviewed], q).flagged, expected)


def test_fdr_on_real_margins(aggre) -> None:
    score, wrong = aggre("swin_base_patch4_window7_224")
    shares, power = [], []
    for replay in range(40):
        reviewed = np.random.default_rng(replay).choice(len(score), 300, replace=False)
        found = select_fdr(score, reviewed, wrong[reviewed], 0.1)
        assert not found.flagged[reviewed].any()
        shares.append((~wrong[found.flagged]).mean() if found.flagged.any() else 0.0)
        power.append(wrong[found.flagged].sum() / wrong.sum())
    assert np.mean(shares) <= 0.1 + 2 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(power) > 0.8  # 0.92 in the specification's table


def test_fdr_with_too_few_reviews_says_how_many_more() -> None:
    score = np.random.default_rng(0).normal(size=5000)
    found = select_fdr(score, np.arange(10), np.zeros(10, bool), 0.05)
    assert not found.flagged.any()
    assert found.more_reviews > 0
    with pytest.raises(DataError, match="twice"):
        select_fdr(score, np.array([1, 1]), np.zeros(2, bool), 0.1)
    with pytest.raises(DataError, match="between 0 and 1"):
        select_fdr(score, np.array([1]), np.zeros(1, bool), 1.0)


def test_everything_reviewed() -> None:
    found = select_fdr(np.arange(5.0), np.arange(5), np.ones(5, bool), 0.1)
    assert not found.flagged.any()


def test_first_cut() -> None:
    assert [reviews_for_first_cut(a, 0.1) for a in (0.2, 0.1, 0.05)] == [11, 22, 45]
    for alpha in (0.05, 0.1, 0.2):
        n = reviews_for_first_cut(alpha, 0.1)
        assert binom.cdf(0, n, alpha) <= 0.1 < binom.cdf(0, n - 1, alpha)


@pytest.mark.parametrize(("network", "least_recall"), [("swin_base_patch4_window7_224", 0.85), ("resnet18", 0.25)])
def test_precision_on_real_margins(aggre, network: str, least_recall: float) -> None:
    score, wrong = aggre(network)
    candidates = np.flatnonzero(score > 0)
    rank = np.empty(len(candidates), int)
    rank[np.argsort(-score[candidates], kind="stable")] = np.arange(len(candidates))
    errors = wrong[candidates]
    violations, recall = 0, []
    for replay in range(150):
        reviewed = np.random.default_rng(replay).integers(0, len(candidates), 200)
        found = select_precision(rank, reviewed, errors[reviewed], 0.9, 0.9)
        hits = errors[found.flagged]
        violations += bool(found.flagged.any() and hits.mean() < 0.9)
        recall.append(hits.sum() / wrong.sum())
    assert violations <= 0.1 * 150 + 2 * np.sqrt(150 * 0.1 * 0.9)
    assert np.mean(recall) > least_recall


def test_no_cut_is_an_empty_list_with_the_way_out() -> None:
    rank = np.arange(100)
    few = select_precision(rank, np.arange(5), np.ones(5, bool), 0.9, 0.95)
    assert not few.flagged.any()
    assert few.more_reviews >= 1
    bad = select_precision(rank, np.arange(50), np.zeros(50, bool), 0.9, 0.95)
    assert not bad.flagged.any()
    assert bad.more_reviews >= 1
    with pytest.raises(DataError):
        select_precision(rank, np.arange(5), np.ones(4, bool), 0.9, 0.95)


@pytest.mark.parametrize("errors", [0, 5, 60, 1500])
def test_the_stop_rule_at_every_look(errors: int) -> None:
    pool, runs, outside = 2000, 100, 0
    for run in range(runs):
        order = np.random.default_rng(run).permutation(pool) < errors
        found = np.cumsum(order)
        bad = False
        for look in (*range(1, 40, 6), *range(40, 1000, 120), 1500, 1999):
            r = remaining_errors(pool, look, int(found[look - 1]))
            bad |= not r.low <= errors - found[look - 1] <= r.high
        outside += bad
    assert outside <= 0.05 * runs + 2 * np.sqrt(runs * 0.05 * 0.95)


@pytest.mark.parametrize("prior", [(0.5, 20.0), (1.0, 1.0)])
def test_the_ratio_of_the_truth_is_a_supermartingale(prior: tuple[float, float]) -> None:
    """Its mean over all orders of a small pool begins at 1 and never rises: that makes the bound hold at every look."""
    from itertools import permutations

    pool, errors = 6, 2
    orders = np.array(sorted(set(permutations([1] * errors + [0] * (pool - errors)))))
    found = np.cumsum(orders, axis=1)
    ratio = np.exp(log_ratio(np.full(found.shape, errors), pool, np.arange(1, pool + 1), found, prior))
    mean = ratio.mean(axis=0)
    # Equal to 1 as long as every outcome is possible with two errors and four others.
    np.testing.assert_allclose(mean[:2], 1.0, rtol=1e-9)
    assert (np.diff(mean) <= 1e-12).all()


def test_the_stop_rule_at_the_ends() -> None:
    done = remaining_errors(50, 50, 7)
    assert (done.low, done.high, done.value) == (0, 0, 0)
    start = remaining_errors(50, 0, 0)
    assert start.low == 0
    assert start.high <= 50
    assert remaining_errors(45_314, 300, 0).high / 45_314 == pytest.approx(4.3 / 300, rel=0.1)
    with pytest.raises(DataError, match="cannot be"):
        remaining_errors(10, 5, 6)
