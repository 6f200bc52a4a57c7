"""One chart per figure: a line per set, a mark per method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, PEER
from auditor.report.charts import BLUE, DARK, GREY, RED, YELLOW, chart_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour and shape of each mark: shapes for those who see no colours.
MARKS = {
    "default": (BLUE, "o"),
    "combined": (RED, "D"),
    "cleanlab's default": (GREY, "s"),
    "cleanlab's best": (DARK, "s"),
    "kNN vote": (YELLOW, "o"),
}


def plots(result: Mapping[str, Any]) -> dict[str, str]:
    """File name -> SVG of the average precisions and of F1; none without a set."""
    if not result["sets"]:
        return {}
    charts = {}
    for figure, name, title in (
        ("AP", "average-precision", "Average precision of the ranking, %"),
        ("F1", "f1", "F1 of the flags, each tool's own rule, %"),
    ):
        sets = {name: _values(of_set, figure) for name, of_set in result["sets"].items()}

        def draw(axes: Axes, sets: dict[str, dict[str, float]] = sets) -> None:
            # Ours last, so that they lie on top.
            for mark, (colour, shape) in reversed(MARKS.items()):
                at = [(100 * values[mark], row) for row, values in enumerate(sets.values()) if mark in values]
                if at:
                    axes.plot(*zip(*at, strict=True), marker=shape, color=colour, linestyle="none", label=mark)
            axes.set_yticks(range(len(sets)), list(sets))
            axes.invert_yaxis()
            axes.set_xlim(right=100)
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(MARKS), reverse=True)

        charts[f"plots/{name}.svg"] = chart_svg(draw, title, size=(900, 110 + 24 * len(sets)))
    return charts


def _values(of_set: dict[str, Any], figure: str) -> dict[str, float]:
    """Mark to its figure on one set."""
    by_name = {(row["tool"], row["what"]): row[figure] for row in of_set["rows"]}
    usual = "score self_confidence" if figure == "AP" else "filter prune_by_noise_rate"
    values = {
        "default": by_name[OURS, DEFAULT],
        "combined": by_name[OURS, COMBINED] if figure == "AP" else None,
        "cleanlab's default": by_name[PEER, usual],
        "cleanlab's best": max(v for (tool, _), v in by_name.items() if tool == PEER and v is not None),
        "kNN vote": next(value for (tool, _), value in by_name.items() if tool == KNN),
    }
    return {name: value for name, value in values.items() if value is not None}
