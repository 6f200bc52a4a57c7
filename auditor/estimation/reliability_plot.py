"""The reliability plot: P(label wrong) against what reviewers found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.report.charts import GREY, chart_svg, points
from auditor.stats.calibration import ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reliability_svg(bins: Sequence[ReliabilityBin]) -> str:
    """One mark per bin with its Wilson interval, and the diagonal on which they should lie.

    The title of the picture says the same as the marks: it can be read aloud.
    """

    spoken = "; ".join(f"predicted {b.predicted:.0%}, found {b.observed:.0%} of {b.n}" for b in bins)
    return chart_svg(
        lambda axes: draw_reliability(axes, bins),
        "P(label wrong) and what reviewers found",
        size=(400, 420),
        description=f"Reliability: {spoken}",
    )


def draw_reliability(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    """The marks and the diagonal."""
    axes.plot([0, 100], [0, 100], color=GREY, dashes=(5, 4))
    limits = [(100 * b.low, 100 * b.high) for b in bins]
    points(axes, [100 * b.predicted for b in bins], [100 * b.observed for b in bins], limits, gid="bins")
    axes.set(
        xlim=(0, 100), ylim=(0, 100), aspect="equal", xlabel="predicted wrong, %", ylabel="found wrong by reviewers, %"
    )
