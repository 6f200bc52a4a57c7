"""A search beside its random control: differences of validation accuracy with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditor.core.seeds import generator
from auditor.stats.intervals import wilson

#: Resamples of the comparison.
RESAMPLES = 4000


def _best_so_far(rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    best: dict[str, Any] | None = None
    curve = []
    for row in rows:
        if best is None or row["accuracy"] > best["accuracy"]:
            best = row
        interval = wilson(best["hits"], best["n"])
        point = {"spent": row["spent"], "accuracy": row["accuracy"], "best": best["accuracy"]}
        curve.append({**point, "low": interval.low, "high": interval.high})
    return curve


def compare(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The search beside its control, of one seed.

    Returns
    -------
    dict
        By arm: ``curve`` (best so far with a 95 % Wilson interval over validation items), ``mean`` of all children,
        ``trained``, ``spent``. And what `pool` says of this one seed.
    """
    return {**{name: _arm(rows, name) for name in ("search", "control")}, **pool([rows], seed)}


def pool(searches: Sequence[Sequence[dict[str, Any]]], seed: int) -> dict[str, Any]:
    """Searches of several seeds beside their controls.

    Returns
    -------
    dict
        ``difference``: mean accuracy of the later half of a search's children minus the mean of its control's, averaged
        over the seeds, with a 95 % bootstrap interval. ``improvement``: the later half minus the earlier one; None
        where a search has one child. ``verdict``, ``progress``: a sentence on each.
    """
    late, early, control = [], [], []
    for rows in searches:
        own = [row for row in rows if row["arm"] == "search"]
        late.append(own[len(own) // 2 :])
        early.append(own[: len(own) // 2])
        control.append([row for row in rows if row["arm"] == "control"])
    difference = _difference(late, control, seed)
    improvement = _difference(late, early, seed) if all(early) else None
    return {
        "difference": difference,
        "improvement": improvement,
        "verdict": _sentence(difference, "The search", "its random control"),
        "progress": "One child: whether the search improves cannot be seen."
        if improvement is None
        else _sentence(improvement, "The later half of the search's children", "the earlier half"),
    }


def _arm(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    own = [row for row in rows if row["arm"] == name]
    return {
        "curve": _best_so_far(own),
        "mean": float(np.mean([row["accuracy"] for row in own])),
        "children": len(own),
        "trained": sum(not row["repeated"] for row in own),
        "spent": own[-1]["spent"],
        "seconds": round(sum(row["seconds"] for row in own), 1),
    }


def _sentence(difference: dict[str, float], who: str, other: str) -> str:
    if difference["low"] > 0:
        return f"{who} beats {other}: the interval of the difference lies above 0."
    if difference["high"] < 0:
        return f"{who} is worse than {other}: the interval of the difference lies below 0."
    return f"{who} does not beat {other}: the interval of the difference holds 0."


def _means(groups: Sequence[Sequence[dict[str, Any]]], random: np.random.Generator) -> tuple[float, np.ndarray]:
    """Mean accuracy, and resampled ones: architectures drawn again, each with all its children, and the right answers
    of each among as many validation items, so that one alone is not taken for certain. A child that was seen before was
    not trained again: it weighs in the mean, and is no second witness of it. Averaged over the groups."""
    drawn = []
    for rows in groups:
        own: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            own.setdefault(row["key"], []).append(row)
        children = np.array([len(same) for same in own.values()])
        n = np.array([same[0]["n"] for same in own.values()])
        share = np.array([np.mean([row["hits"] / row["n"] for row in same]) for same in own.values()])
        chosen = random.integers(len(own), size=(RESAMPLES, len(own)))
        right = random.binomial(n[chosen], share[chosen]) / n[chosen]
        drawn.append((children[chosen] * right).sum(1) / children[chosen].sum(1))
    value = float(np.mean([np.mean([row["hits"] / row["n"] for row in rows]) for rows in groups]))
    return value, np.mean(drawn, axis=0)


def _difference(
    first: Sequence[Sequence[dict[str, Any]]], second: Sequence[Sequence[dict[str, Any]]], seed: int
) -> dict[str, float]:
    """Difference of two means with a 95 % bootstrap interval."""
    random = generator(seed, "compare")
    (a, first_drawn), (b, second_drawn) = _means(first, random), _means(second, random)
    low, high = np.quantile(first_drawn - second_drawn, [0.025, 0.975])
    return {"value": a - b, "low": float(low), "high": float(high)}
