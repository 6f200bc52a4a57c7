"""Exact and score intervals for a share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import beta, norm

from auditor.core.errors import DataError


@dataclass(frozen=True)
class Interval:
    """A value with its limits.

    Attributes
    ----------
    value, low, high : float
        In the unit of the value.
    level : float
        Nominal coverage, e.g. 0.95.
    """

    value: float
    low: float
    high: float
    level: float

    def scaled(self, factor: float) -> Interval:
        """The interval of `factor` times the value, `factor` above 0."""
        return Interval(self.value * factor, self.low * factor, self.high * factor, self.level)


def _check(hits: int, n: int, level: float) -> None:
    if not 0 <= hits <= n:
        raise DataError(f"{hits} of {n} is not a share.")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1.")


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval for a binomial share (Clopper and Pearson 1934).

    Parameters
    ----------
    hits, n : int
        ``n = 0`` gives the whole of [0, 1] and the value NaN.
    level : float

    Returns
    -------
    Interval
        Of the share, in [0, 1]. Each side is wrong with probability (1 - level) / 2 at most.
    """
    _check(hits, n, level)
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, level)
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.isf(tail, hits + 1, n - hits))
    return Interval(hits / n, low, high, level)


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Score interval for a binomial share (Wilson 1927); about right also for small `n`."""
    _check(hits, n, level)
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, level)
    z = float(norm.isf((1 - level) / 2))
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), level)
