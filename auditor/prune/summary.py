"""Means over seeds with intervals, paired differences, and what they allow to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["compare", "mean_interval", "paired", "verdict"]


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean, low and high of Student's t interval. Of one value nothing is known about the spread: low and high are the
    value itself, and callers say "one seed"."""
    from scipy.stats import t

    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    if len(found) < 2:
        return mean, mean, mean
    half = float(t.ppf((1 + level) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return mean, mean - half, mean + half


def paired(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """First less second, seed by seed: mean and interval. ``seeds`` below 2: the spread is not known."""
    mean, low, high = mean_interval([a - b for a, b in zip(first, second, strict=True)])
    return {"difference": mean, "interval": [low, high], "seeds": len(first)}


def compare(rows: Sequence[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    """The method less each other method at the same level, in shares of correct answers."""
    found = []
    for row in rows:
        if row["method"] != method:
            continue
        for other in rows:
            if other["level"] == row["level"] and other["method"] not in (method, "dense"):
                found.append(
                    {
                        "level": row["level"],
                        "other": other["method"],
                        **paired(row["accuracy_by_seed"], other["accuracy_by_seed"]),
                        "other_accuracy": other["accuracy"],
                    }
                )
    return found


def verdict(comparisons: Sequence[dict[str, Any]], method: str) -> list[str]:
    """One sentence per level: whether the method is better or worse than the best of the others, by the interval."""
    sentences = []
    for level in dict.fromkeys(row["level"] for row in comparisons):
        here = [row for row in comparisons if row["level"] == level]
        best = max(here, key=lambda row: row["other_accuracy"])
        low, high = best["interval"]
        points = f"{100 * best['difference']:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}], {best['seeds']} seeds"
        if best["seeds"] < 2:
            word = "cannot be told from (one seed)"
        elif low > 0:
            word = "is better than"
        elif high < 0:
            word = "is WORSE than"
        else:
            word = "is not distinguishable from"
        sentences.append(f"at {level}: {method} {word} the best of the others ({best['other']}): {points}")
    return sentences
