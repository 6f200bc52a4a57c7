"""Deletion and insertion curves of saliency maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.report.charts import BLUE, RED, chart_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves_svg(curves: Mapping[str, Any]) -> str:
    """Deletion and insertion curves of maps and their controls, a panel each; `curves` are those of `measure_maps`."""

    def draw(deletion: Axes, insertion: Axes) -> None:
        for axes, kind in ((deletion, "deletion"), (insertion, "insertion")):
            for name, colour in (("FAKE", RED), ("REAL", BLUE)):
                if name in curves:
                    share = [100 * value for value in curves["share"]]
                    axes.plot(share, curves[name][kind], color=colour, label=f"{name}, map")
                    control = curves[name][f"control_{kind}"]
                    axes.plot(share, control, color=colour, linestyle="--", label=f"{name}, shuffled map")
            axes.set_xlabel("pixels, %")
            axes.set_ylim(0, 1)
        deletion.set_title("Deletion: greyed, highest first")
        insertion.set_title("Insertion: onto grey, highest first")
        insertion.legend(loc="lower right")

    return chart_svg(draw, "Mean P(predicted class)", size=(900, 360), panels=2)
