"""Means over seeds with intervals, paired differences, and what they allow to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.stats.seeds import mean_interval, paired

__all__ = ["compare", "mean_interval", "paired", "verdict"]


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
