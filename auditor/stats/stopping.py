"""When to stop reviewing: a bound on the errors that remain, valid however often one looks.

Prior-posterior ratio for sampling without replacement from a finite pool (Waudby-Smith and Ramdas 2020).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

from auditor.core.errors import DataError
from auditor.stats.intervals import Interval

#: (a, b) of the default prior: errors are expected to be rare.
PRIOR = (0.5, 20.0)


def _log_beta_binomial(k: np.ndarray, n: int | np.ndarray, a: float | np.ndarray, b: float | np.ndarray) -> np.ndarray:
    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return choose + betaln(k + a, n - k + b) - betaln(a, b)


def log_ratio(
    errors: np.ndarray, pool: int, looked: int | np.ndarray, found: int | np.ndarray, prior: tuple[float, float] = PRIOR
) -> np.ndarray:
    """``log(prior(k) / posterior(k))`` of k errors in a pool after t looks with s errors; arguments broadcast.

    For the true k this is the logarithm of a nonnegative supermartingale that starts at 1: by Ville's inequality it
    ever exceeds ``log(1 / alpha)`` with probability alpha at most, whatever the prior (Waudby-Smith and Ramdas 2020).

    Parameters
    ----------
    errors : array
        k, at least `found` and at most ``pool - looked + found``.
    pool : int
    looked, found : int or array
    prior : (a, b)
    """
    a, b = prior
    k = np.asarray(errors, np.float64)
    before = _log_beta_binomial(k, pool, a, b)
    return before - _log_beta_binomial(k - found, pool - looked, a + found, b + looked - found)


def remaining_errors(
    pool: int, looked: int, found: int, level: float = 0.95, prior: tuple[float, float] = PRIOR
) -> Interval:
    """Bound on the errors that remain in a pool.

    With k errors in the pool of M and a beta-binomial prior on k, after t looks with s errors
    ``C = {k : prior(k) / posterior(k) < 1 / (1 - level)}`` holds the truth at all t at once with probability `level`.

    Parameters
    ----------
    pool : int
        M, items in the pool: fixed before the first look, audited in random order without replacement.
    looked, found : int
        t and s.
    level : float
    prior : (a, b)
        Fixed before looking. It decides the width, never the validity; the default expects few errors.

    Returns
    -------
    Interval
        Posterior mean of the errors among the items not yet looked at, and the limits of the confidence sequence: with
        the stated level, the truth is inside at every look.
    """
    if not 0 <= found <= looked <= pool:
        raise DataError(f"{found} errors in {looked} looks at a pool of {pool} items cannot be.")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; it must lie between 0 and 1.")
    a, b = prior
    rest = pool - looked
    k = np.arange(found, pool - (looked - found) + 1, dtype=np.float64)
    inside = k[log_ratio(k, pool, looked, found, prior) < -np.log1p(-level)]
    expected = rest * (a + found) / (a + b + looked)
    return Interval(float(expected), float(inside.min()) - found, float(inside.max()) - found, level)
