"""Two classifiers on the same items: exact tests of a difference, and their adjustment for many pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, t

from auditor.core.errors import DataError
from auditor.stats.intervals import Interval

#: Items multiplied at once: float32 sums of 0 and 1 stay exact below 2**24.
_BLOCK = 1 << 20


def discordant_counts(right: np.ndarray) -> np.ndarray:
    """How many items one classifier gets right and another wrong.

    Parameters
    ----------
    right : bool array (m, n)
        Whether classifier i is right on item j.

    Returns
    -------
    int64 array (m, m)
        ``[a, b]``: items that a has right and b wrong.
    """
    right = np.asarray(right, bool)
    result = np.zeros((len(right), len(right)), np.int64)
    for start in range(0, right.shape[1], _BLOCK):
        block = right[:, start : start + _BLOCK].astype(np.float32)
        both = np.rint(block @ block.T).astype(np.int64)
        result += np.diag(both)[:, None] - both
    return result


def mcnemar(first_only: np.ndarray, second_only: np.ndarray) -> np.ndarray:
    """Exact two-sided McNemar p: the binomial test of the discordant items at one half; 1 where there are none.

    Parameters
    ----------
    first_only, second_only : int array-like
        Items that only the first, only the second has right; any common shape.
    """
    b, c = _counts(first_only, second_only)
    return np.where(b == c, 1.0, np.minimum(1.0, 2 * binom.cdf(np.minimum(b, c), b + c, 0.5)))


def mcnemar_greater(first_only: np.ndarray, second_only: np.ndarray) -> np.ndarray:
    """Exact one-sided McNemar p for "the first is the better one": P(X >= first_only)."""
    b, c = _counts(first_only, second_only)
    return np.where(b + c == 0, 1.0, binom.sf(b - 1, b + c, 0.5))


def _counts(first_only: np.ndarray, second_only: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    b, c = np.asarray(first_only), np.asarray(second_only)
    if (b < 0).any() or (c < 0).any():
        raise DataError("counts of discordant items cannot be negative.")
    return b, c


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values (1979): rejecting those below a level keeps the family-wise error below it.

    Parameters
    ----------
    p : float array (k,)

    Returns
    -------
    float64 array (k,)
        At least `p`, at most 1, in the order of `p`.
    """
    p = np.asarray(p, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError("p-values must be a list of numbers from 0 to 1.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order]))
    result = np.empty_like(p)
    result[order] = stepped
    return result


def sign_flip(plus_one: int, minus_one: int, plus_two: int, minus_two: int) -> float:
    """Exact two-sided p that differences of -2, -1, 1, 2 are symmetric about zero.

    Under the null every difference has either sign with probability one half, given its size. The p is
    P(|S| >= |observed sum|), where S is the sum with random signs. With ones only this is the exact McNemar test.

    Parameters
    ----------
    plus_one, minus_one, plus_two, minus_two : int
        How many differences have each value.
    """
    ones, twos = plus_one + minus_one, plus_two + minus_two
    if min(plus_one, minus_one, plus_two, minus_two) < 0:
        raise DataError("counts of differences cannot be negative.")
    observed = abs(plus_one - minus_one + 2 * (plus_two - minus_two))
    if observed == 0:
        return 1.0
    first = binom.pmf(np.arange(ones + 1), ones, 0.5)
    second = np.zeros(2 * twos + 1)
    second[::2] = binom.pmf(np.arange(twos + 1), twos, 0.5)
    # Position k of the product holds S = 2 k - ones - 2 twos; the law is symmetric.
    law = np.convolve(first, second)
    sums = 2 * np.arange(len(law)) - ones - 2 * twos
    return float(min(1.0, law[np.abs(sums) >= observed].sum()))


def seeded_greater(difference: float, item_variance: float, seed_variances: list[tuple[float, int]]) -> float:
    """One-sided p for "the difference is above 0" where models were trained with several seeds.

    ``SE^2 = item_variance + sum s^2 / k`` and a t distribution with Satterthwaite's degrees of freedom: the
    spread over items is known well, the spread over k seeds only with k - 1 degrees.

    Parameters
    ----------
    difference : float
        Mean over items (and seeds).
    item_variance : float
        Of the mean over items of the paired differences.
    seed_variances : list of (float, int)
        Variance over seeds (ddof 1) of each model's mean, and its number of seeds; models with one seed left out.
    """
    variance, freedom = _satterthwaite(
        [(item_variance, math.inf), *((s2 / k, k - 1) for s2, k in seed_variances if k > 1)]
    )
    if variance <= 0:
        return 0.0 if difference > 0 else 1.0
    return float(t.sf(difference / math.sqrt(variance), freedom))


def paired_interval(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None, level: float = 0.95
) -> Interval:
    """Mean difference of two classifiers on the same items with the same seeds, with its limits.

    The variances over items and over seeds add up, as in `seeded_greater`; the first has n - 1 degrees of freedom.

    Parameters
    ----------
    first, second : bool or float array (seeds, n)
        What each has right on each item; seed by seed they belong together.
    weights : float64 array (n,), optional
        What each item stands for, e.g. the inverse of its probability to be drawn; 1 by default.
    level : float

    Returns
    -------
    Interval
        Of first less second, in [-1, 1]. With fewer than two items nothing is known: all of that range.

    Raises
    ------
    DataError
        For arrays of different or other shape, or without weight.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise DataError(f"what two classifiers have right is (seeds, items) for both: {first.shape}, {second.shape}.")
    seeds, n = first.shape
    if n < 2:
        return Interval(math.nan, -1.0, 1.0, level)
    share = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if share.shape != (n,) or not share.sum() > 0:
        raise DataError(f"weights of shape {share.shape} for {n} items, with the sum {share.sum()}.")
    share = share / share.sum()
    gaps = first - second
    by_item, by_seed = gaps.mean(axis=0), gaps @ share
    mean = float(by_item @ share)
    parts = [(float((share**2 * (by_item - mean) ** 2).sum()) * n / (n - 1), n - 1.0)]
    if seeds > 1:
        parts.append((float(by_seed.var(ddof=1)) / seeds, seeds - 1.0))
    variance, freedom = _satterthwaite(parts)
    half = float(t.ppf((1 + level) / 2, freedom)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, level)


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Sum of variances, each with its degrees of freedom, and the degrees of freedom of the sum."""
    variance = sum(v for v, _ in parts)
    spread = sum(v * v / df for v, df in parts)
    return variance, min(variance**2 / spread, 1e9) if spread > 0 else 1e9
