"""Accuracy of pruned networks against what is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.report.charts import DARK, chart_svg, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE, SUMMARY = "rate-accuracy.svg", "results.md"


def _left(row: Mapping[str, Any], dynamic: bool) -> float:
    """What is left, per cent: weights, or executable MACs."""
    if dynamic:
        return 100 * row["macs_executable"] / row["macs_dense"]
    return 100 * (1 - (row["sparsity"] or 0.0))


def rate_accuracy_svg(document: Mapping[str, Any]) -> str:
    """Accuracy against what is left: one line per method, bars for the interval over seeds."""
    dynamic = document["dynamic"]
    dense = next(row for row in document["rows"] if row["method"] == "dense")
    methods = [m for m in dict.fromkeys(row["method"] for row in document["rows"]) if m != "dense"]
    bars = "bars: 95 % interval over seeds" if document["seeds"] > 1 else "one seed: no interval"

    def draw(axes: Axes) -> None:
        axes.axhline(100 * dense["accuracy"], color=DARK, linestyle="--", label="dense")
        for position, method in enumerate(methods):
            rows = [row for row in document["rows"] if row["method"] == method]
            rows.sort(key=lambda row: _left(row, dynamic))
            # A little aside per method, so that bars at the same rate can be told apart.
            x = [_left(row, dynamic) + 0.1 * position for row in rows]
            limits = [(100 * row["interval"][0], 100 * row["interval"][1]) for row in rows]
            points(axes, x, [100 * row["accuracy"] for row in rows], limits, linestyle="-", label=method)
        axes.set_xlabel(f"{'executable MACs' if dynamic else 'weights'} left, % ({bars})")
        axes.set_ylabel("accuracy, %")
        axes.set_xlim(left=0)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    title = f"{document['network']}, {document['data']}, {document['seeds']} seeds: {document['reproduction']}"
    return chart_svg(draw, title)
