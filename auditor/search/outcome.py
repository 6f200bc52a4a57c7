"""What a search gives back, its log, and the comparison with the random control."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.seeds import generator
from auditor.models.genotype import Genotype
from auditor.search.children import ChildScore
from auditor.stats.intervals import wilson

__all__ = ["Outcome", "SearchLog", "compare"]

#: Resamples of the comparison.
RESAMPLES = 4000


class SearchLog:
    """Every evaluation as a row, written to a JSON Lines file as it happens.

    A search is a deterministic function of its seed and of stored scores, so a search that starts again writes the
    same rows again.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")
        self.rows: list[dict[str, Any]] = []
        self._spent: dict[str, float] = {}

    def add(self, arm: str, step: int, score: ChildScore, extra_cost: float = 0.0, **facts: Any) -> dict[str, Any]:
        """One evaluated child of an arm (``search`` or ``control``), in step `step` of it."""
        self._spent[arm] = self._spent.get(arm, 0.0) + score.cost + extra_cost
        row = {
            "arm": arm, "step": step, **asdict(score), "accuracy": score.accuracy, "spent": self._spent[arm], **facts,
        }  # fmt: skip
        self.rows.append(row)
        self._write({"event": "child", **row})
        return row

    def note(self, event: str, **facts: Any) -> None:
        """Anything else worth keeping: rewards, losses, baselines."""
        self._write({"event": event, **facts})

    def spent(self, arm: str) -> float:
        """MACs the children of an arm have cost."""
        return self._spent.get(arm, 0.0)

    def arm(self, name: str) -> list[dict[str, Any]]:
        """Rows of an arm."""
        return [row for row in self.rows if row["arm"] == name]

    def _write(self, row: dict[str, Any]) -> None:
        with open(self.path, "a") as handle:
            handle.write(json.dumps(row, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Outcome:
    """The result of one search.

    Attributes
    ----------
    found, control : Genotype
        The architecture the search chose, and the best of the random control; both by validation items.
    rows : list of dict
        The log.
    facts : dict
        What belongs beside the numbers: settings, latency table, start.
    """

    found: Genotype
    control: Genotype
    rows: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)


def _best_so_far(rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    best: dict[str, Any] | None = None
    curve = []
    for row in rows:
        if best is None or row["accuracy"] > best["accuracy"]:
            best = row
        low_high = wilson(best["hits"], best["n"])
        curve.append({
            "spent": row["spent"], "accuracy": row["accuracy"], "best": best["accuracy"], "low": low_high.low,
            "high": low_high.high,
        })  # fmt: skip
    return curve


def compare(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The search beside its control.

    Returns
    -------
    dict
        By arm: ``curve`` (best so far with a 95 % Wilson interval over validation items), ``mean`` of all children,
        ``trained``, ``spent``. ``difference``: mean accuracy of the later half of the search's children minus the mean
        of the control's, with a 95 % bootstrap interval over children. ``improvement``: the later half of the search's
        children minus the earlier one. ``verdict``: one sentence.
    """
    arms: dict[str, Any] = {}
    values: dict[str, np.ndarray] = {}
    for name in ("search", "control"):
        own = [row for row in rows if row["arm"] == name]
        values[name] = np.array([row["accuracy"] for row in own])
        arms[name] = {
            "curve": _best_so_far(own), "mean": float(values[name].mean()), "children": len(own),
            "trained": sum(not row["repeated"] for row in own), "spent": own[-1]["spent"],
            "seconds": round(sum(row["seconds"] for row in own), 1),
        }  # fmt: skip
    half = len(values["search"]) // 2
    late, early = values["search"][half:], values["search"][:half]
    difference = _difference(late, values["control"], seed)
    improvement = _difference(late, early, seed) if len(early) else None
    if difference["low"] > 0:
        verdict = "The search beats its random control: the interval of the difference lies above 0."
    elif difference["high"] < 0:
        verdict = "The search is worse than its random control: the interval of the difference lies below 0."
    else:
        verdict = "The search does not beat its random control: the interval of the difference holds 0."
    return {**arms, "difference": difference, "improvement": improvement, "verdict": verdict}


def _difference(first: np.ndarray, second: np.ndarray, seed: int) -> dict[str, float]:
    """Difference of two means with a bootstrap interval over children."""
    random = generator(seed, "compare")
    a = random.choice(first, (RESAMPLES, len(first))).mean(1)
    b = random.choice(second, (RESAMPLES, len(second))).mean(1)
    low, high = np.quantile(a - b, [0.025, 0.975])
    return {"value": float(first.mean() - second.mean()), "low": float(low), "high": float(high)}
