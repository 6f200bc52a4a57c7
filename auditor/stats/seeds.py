"""Means over seeds with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean, low and high of Student's t interval. Of one value nothing is known about the spread: low and high are the
    value itself, and callers say "one seed"."""
    from scipy.stats import t

    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return mean, mean, mean
    half = float(t.ppf((1 + level) / 2, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return mean, mean - half, mean + half


def paired(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """First less second, seed by seed: mean and interval. ``seeds`` below 2: the spread is not known."""
    mean, low, high = mean_interval([a - b for a, b in zip(first, second, strict=True)])
    return {"difference": mean, "interval": [low, high], "seeds": len(first)}


def unpaired(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Mean of the first less mean of the second, with Welch's 95 % interval; the difference alone, as both limits,
    where either has fewer than two values or neither varies."""
    from scipy.stats import t

    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    difference, half = float(a.mean() - b.mean()), 0.0
    if min(len(a), len(b)) > 1 and (a.var() > 0 or b.var() > 0):
        errors = np.array([values.var(ddof=1) / len(values) for values in (a, b)])
        freedom = errors.sum() ** 2 / (errors**2 / (len(a) - 1, len(b) - 1)).sum()
        half = float(t.ppf(0.975, freedom) * np.sqrt(errors.sum()))
    return {"difference": difference, "interval": [difference - half, difference + half]}
