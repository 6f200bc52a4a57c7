"""The curve of a search beside its random control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.report.charts import PALETTE, chart_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE, SUMMARY = "search-curve.svg", "results.md"
_ARMS = {"search": "search", "control": "random control"}


def curve_svg(document: Mapping[str, Any]) -> str:
    """Best validation accuracy so far over the MACs spent, with the random control at equal cost; bands are 95 % Wilson
    intervals over validation items, dots single children."""
    data, seeds = document["data"], document["seeds"]

    def draw(axes: Axes) -> None:
        for search in document["searches"]:
            for colour, (arm, label) in zip(PALETTE, _ARMS.items(), strict=False):
                curve = search[arm]["curve"]
                x = [point["spent"] / 1e12 for point in curve]
                y = {key: [100 * point[key] for point in curve] for key in ("accuracy", "best", "low", "high")}
                first = label if search is document["searches"][0] else None
                axes.step(x, y["best"], where="post", color=colour, linewidth=2, label=first)
                axes.fill_between(x, y["low"], y["high"], step="post", color=colour, alpha=0.18 / seeds, linewidth=0)
                axes.plot(x, y["accuracy"], "o", color=colour, markersize=4, alpha=0.6, linestyle="none")
        axes.set_xlabel("training cost so far, 10^12 MACs")
        axes.set_ylabel(f"validation accuracy, % ({data['validation']:,} images of the train split)")
        axes.set_xlim(left=0)
        legend = "line: best so far\nband: 95 % Wilson\ndot: one child"
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), title=legend, alignment="left")

    title = f"{document['space']}, {data['name']}, {seeds} search(es), budget {document['budget']}"
    return chart_svg(draw, f"{title}: {document['reproduction']}")
