"""Limits that respect the nature of the data: what most of the items are like is no fault of one of them."""

from __future__ import annotations

import numpy as np

#: Where more of the items than this lie beyond an absolute limit, it is how this data looks (X-rays are dark,
#: sketches are white), and only items that are far from the others count.
NATURE_SHARE = 0.1
#: Robust standard deviations (1.4826 times the median deviation) that are far.
FAR = 5.0


def robust_fence(values: np.ndarray, least: float) -> tuple[float, float]:
    """(low, high): median plus and minus `FAR` robust deviations, and at least `least`."""
    middle = float(np.median(values))
    width = max(FAR * 1.4826 * float(np.median(np.abs(values - middle))), least)
    return middle - width, middle + width


def beyond(values: np.ndarray, limit: float, below: bool) -> np.ndarray:
    """Which values lie beyond an absolute limit, bool (m,); NaN does not.

    Where more than `NATURE_SHARE` of them do, they must lie outside `robust_fence` as well.
    """
    known = np.isfinite(values)
    hit = known & ((values < limit) if below else (values > limit))
    if decided_by_nature(hit, known):
        low, high = robust_fence(values[known], 1e-6)
        hit &= (values < low) if below else (values > high)
    return hit


def decided_by_nature(hit: np.ndarray, known: np.ndarray) -> bool:
    """Whether so many lie beyond a limit that this is how the data looks."""
    return bool(hit.sum() > max(NATURE_SHARE * known.sum(), 1))
