"""From figures per set and seed to means, spreads and differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from auditor.core.seeds import generator
from auditor.detect.findings import STREAMED_FLAG_RULE
from auditor.lab.detectors.measure import FLAGS, RANKING
from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, PEER, method_name

FIGURES = (*RANKING, *FLAGS, "seconds")
LEVEL = 0.95
BASE = method_name(OURS, "log_odds_margin")
MIXED = method_name(OURS, COMBINED)
STREAMED = method_name(OURS, STREAMED_FLAG_RULE)
USUAL = method_name(OURS, DEFAULT)
#: Not single detectors: the first two are mixtures or copies of others, the third needs verdicts.
NOT_SINGLE = (COMBINED, DEFAULT, "verdict")


@dataclass(frozen=True, eq=False)
class Cell:
    """What is stored of one set and seed: the document of `measure_case` with ``set, seed``, and its resamples."""

    document: dict[str, Any]
    drawn: dict[str, np.ndarray]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Method to its figures."""
        return {method_name(row["tool"], row["what"]): row for row in self.document["rows"]}

    def resamples(self, figure: str, name: str) -> np.ndarray:
        """One figure of one method, float32 (draws,)."""
        return self.drawn[figure][self.document["methods"].index(name)]


def summarise(cells: Sequence[Cell]) -> dict[str, Any]:
    """``sets`` (conditions, rows with mean and spread over seeds), ``comparisons`` and ``seeds`` (rows per seed)."""
    by_set = {name: list(group) for name, group in groupby(cells, key=lambda cell: str(cell.document["set"]))}
    return {
        "sets": {name: _of_set(members) for name, members in by_set.items()},
        "comparisons": [row for name, members in by_set.items() for row in _comparisons(name, members)],
        "seeds": [
            {key: cell.document[key] for key in ("set", "seed", "n", "errors", "facts", "rows")} for cell in cells
        ],
    }


def _of_set(cells: Sequence[Cell]) -> dict[str, Any]:
    rows = []
    for name, first in cells[0].rows.items():
        row: dict[str, Any] = {"tool": first["tool"], "what": first["what"], "reason": first["reason"]}
        for figure in FIGURES:
            values = [cell.rows[name][figure] for cell in cells]
            here = [float(v) for v in values if v is not None]
            row[figure] = float(np.mean(here)) if len(here) == len(values) else None
            row[f"{figure} sd"] = float(np.std(here, ddof=1)) if len(here) == len(values) > 1 else None
        rows.append(row)
    trained = [cell.document["facts"].get("training seconds") for cell in cells]
    return {
        "n": cells[0].document["n"],
        "errors": float(np.mean([cell.document["errors"] for cell in cells])),
        "seeds": len(cells),
        "facts": cells[0].document["facts"],
        **{
            fact: float(np.mean([cell.document["facts"][fact] for cell in cells]))
            for fact in ("accuracy against given labels", "accuracy against truth")
        },
        "training seconds": float(np.mean(trained)) if all(t is not None for t in trained) else None,
        "rows": rows,
    }


def _comparisons(name: str, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The pairs the report speaks about. "Best" is chosen with the truth, which favours the one chosen."""
    scores = _best(cells, "AP", lambda tool, what: tool == PEER)
    rules = _best(cells, "F1", lambda tool, what: tool == PEER)
    single = _best(cells, "AP", lambda tool, what: tool == OURS and what not in NOT_SINGLE)
    vote = _best(cells, "AP", lambda tool, what: tool == KNN)
    pairs = [
        ("AP", MIXED, single, "best single detector"),
        ("AP", MIXED, BASE, ""),
        ("AP", MIXED, method_name(PEER, "score self_confidence"), "cleanlab's usual score"),
        ("AP", MIXED, scores, "cleanlab's best score"),
        ("AP", MIXED, vote, "vote of neighbours"),
        ("AP", BASE, method_name(PEER, "score self_confidence"), "cleanlab's usual score"),
        ("P@N", MIXED, scores, "cleanlab's best score"),
        ("P@50", USUAL, method_name(PEER, "score self_confidence"), "cleanlab's order"),
        ("P@100", USUAL, method_name(PEER, "score self_confidence"), "cleanlab's order"),
        ("F1", USUAL, method_name(PEER, "filter prune_by_noise_rate"), "cleanlab's default"),
        ("F1", USUAL, method_name(PEER, "filter predicted_neq_given"), ""),
        ("F1", USUAL, rules, "cleanlab's best rule"),
        ("F1", STREAMED, method_name(PEER, "filter prune_by_noise_rate"), "flags of larger data, cleanlab's default"),
        ("F1", USUAL, STREAMED, "flags of larger data"),
    ]
    return [
        {"set": name, "figure": figure, "first": first, "second": second, "note": note}
        | _difference(cells, figure, first, second)
        for figure, first, second, note in pairs
        if all(cell.rows[method][figure] is not None for cell in cells for method in (first, second))
    ]


def _best(cells: Sequence[Cell], figure: str, among: Any) -> str:
    """The method with the largest mean figure."""
    means = {
        name: float(np.mean([cell.rows[name][figure] for cell in cells]))
        for name, row in cells[0].rows.items()
        if among(row["tool"], row["what"]) and all(cell.rows[name][figure] is not None for cell in cells)
    }
    return max(means, key=lambda name: means[name])


def _difference(cells: Sequence[Cell], figure: str, first: str, second: str) -> dict[str, Any]:
    """Mean difference over seeds, with intervals.

    ``low, high``: over items and seeds; in each draw the items are resampled (the same for all seeds) and the seeds
    are drawn with replacement. With one seed it is over items alone. With three seeds the part of the seeds is
    rough: ``smallest, largest`` are the differences of single seeds.
    """
    points = np.array([cell.rows[first][figure] - cell.rows[second][figure] for cell in cells])
    drawn = np.stack([cell.resamples(figure, first) - cell.resamples(figure, second) for cell in cells])
    draws = drawn.shape[1]
    rng = generator(0, "detection-benchmark-seeds", len(cells), draws)
    picked = rng.integers(0, len(cells), (len(cells), draws))
    both = np.take_along_axis(drawn, picked, axis=0).mean(axis=0)
    low, high = np.nanquantile(both, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "difference": float(points.mean()),
        "low": float(low),
        "high": float(high),
        "smallest": float(points.min()),
        "largest": float(points.max()),
        "seeds": len(cells),
    }
