"""Results of a pruning run: the page, and accuracy against what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.lab.experiment.verdicts import accuracy_cell, conditions_line, expectation_lines
from auditor.report.charts import DARK, chart_svg, points
from auditor.report.markdown import number, percent, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE, SUMMARY = "rate-accuracy.svg", "results.md"


def results_markdown(document: Mapping[str, Any]) -> str:
    """Table, verdicts and conditions."""
    lines = [
        f"# {document['method']} on {document['network']}, {document['data']}: **{document['reproduction']}**",
        "",
        f"Budget class `{document['budget']}`, {document['seeds']} seeds, {document['test_items']:,} test items, each "
        f"network shown them once. {conditions_line(document)}",
        "",
        *expectation_lines(document),
        *(_dynamic_table(document) if document["dynamic"] else _static_table(document)),
        "",
        *(f"- {sentence}." for sentence in document["verdict"]),
        *_notes(document),
    ]
    return "\n".join(lines) + "\n"


def _first_cells(row: Mapping[str, Any]) -> list[str | None]:
    less = row["against_dense"]
    return [row["name"], accuracy_cell(row), None if less is None else f"{100 * less['difference']:+.2f}"]


def _static_table(document: Mapping[str, Any]) -> list[str]:
    header = ["network", "accuracy % (95 % over seeds)", "less dense", "sparsity %", "MMAC dense", "masked"]
    rows = [
        [
            *_first_cells(row),
            percent(row["sparsity"]),
            *(number(row[key], ".2f", 1e-6) for key in ("macs_dense", "macs_masked", "macs_executable")),
            ", ".join(f"{v:.2f}" for v in row.get("additivity", [])) or None,
        ]
        for row in document["rows"]
    ]
    return table([*header, "executable", "joint / sum of distortions"], rows)


def _dynamic_table(document: Mapping[str, Any]) -> list[str]:
    columns = {
        "saved: estimated, paper's count %": "reduction_estimated",
        "achieved, paper's count %": "reduction_achieved",
        "achieved, executable %": "reduction_executable",
        "masks right %": "mask_accuracy",
        "filters that vary %": "varying_filters",
    }
    rows = [[*_first_cells(row), *(percent(row.get(key)) for key in columns.values())] for row in document["rows"]]
    return table(["network", "accuracy % (95 % over seeds)", "less dense", *columns], rows)


def _notes(document: Mapping[str, Any]) -> list[str]:
    if not document["dynamic"]:
        return [
            "- *masked*: MACs whose weight is not zero; no ordinary kernel is faster by it. *Executable*: what a dense "
            "kernel computes that leaves out filters and input channels that are zero throughout.",
            "- *joint / sum*: distortion of the last iteration's rates together, over the sum of each alone, per seed; "
            "RD assumes 1.",
        ]
    gathered = document["gathered_execution"]
    return [
        "- The paper's count takes 0 for a depthwise convolution as soon as one input channel is off, and ignores that "
        "a sum of branches is dense; *executable* counts input channels, shortcuts, head and predictors.",
        "- *Masks right*: predictor and target agree, validation images. *Vary*: filters that are on for some of these "
        "images and off for others; 0 is a static mask.",
        f"- Masking after the full convolution saves no time. Gathered execution of one {gathered['channels']}-channel "
        f"3x3 convolution, one image of {gathered['side']} px, {gathered['active_filters']} filters and "
        f"{gathered['present_channels']} input channels on, one thread: {gathered['whole_ms']:.2f} ms whole, "
        f"{gathered['masked_ms']:.2f} ms masked, {gathered['gathered_ms']:.2f} ms gathered.",
    ]


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
