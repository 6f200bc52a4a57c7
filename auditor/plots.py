"""Plots of results, each on your axes (``ax``) or on a figure of its own, which it returns. Needs the extra ``report``.

Colours are those of the reports, and differ in brightness too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from auditor.benchmark.command import BenchmarkDone
from auditor.benchmark.result import BenchmarkResult
from auditor.core.errors import DataError, UsageError
from auditor.core.escaping import printable
from auditor.estimation.estimate import ErrorEstimate
from auditor.estimation.reliability_plot import draw_reliability
from auditor.improvement.compare import HARMS, HELPS
from auditor.improvement.improve import Improvement
from auditor.report.charts import BLUE, DARK, GREEN, GREY, RED, draw_on
from auditor.report.pictures import excerpt
from auditor.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_calibration", "plot_confusion", "plot_estimate", "plot_improvement", "plot_ranking", "plot_scores"]

#: Classes of `plot_confusion`, models of `plot_ranking`: what can be read.
CLASSES, MODELS = 20, 30
_BINS: Final = 60


def plot_scores(run: Run, ax: Axes | None = None) -> Figure:
    """How suspicious the audited items are: a histogram of the scores that rank them, flagged items in red.

    Parameters
    ----------
    run : Run
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Items (logarithmic) over the score of `Run.scores`.

    Raises
    ------
    UsageError
        If it is another object.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(run, Run, "a run: of auditor.find_errors, auditor.open_run, or audit.result")
    score, flagged = run.scores["score"].to_numpy(), run.scores["flagged"].to_numpy(bool)

    def draw(axes: Axes) -> None:
        edges = np.histogram_bin_edges(score, _BINS)
        labels = [f"not flagged ({np.count_nonzero(~flagged):,})", f"flagged ({np.count_nonzero(flagged):,})"]
        axes.hist([score[~flagged], score[flagged]], edges.tolist(), stacked=True, color=[BLUE, RED], label=labels)
        axes.set(yscale="log", xlabel="score (higher: more suspicious)", ylabel="audited items")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.legend()

    return draw_on(ax, draw, f"Scores of {_name(run.manifest['data']['name'], 40)}")


def plot_confusion(run: Run, ax: Axes | None = None) -> Figure:
    """Which classes are confused: flagged items by given and suggested class.

    Parameters
    ----------
    run : Run
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Given classes in rows, suggested ones in columns. Of more than `CLASSES` classes those with the most flags.

    Raises
    ------
    UsageError
        If it is another object.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(run, Run, "a run: of auditor.find_errors, auditor.open_run, or audit.result")
    suspects = run.suspects
    number = {name: k for k, name in enumerate(run.class_names)}
    given, suggested = (suspects[column].map(number).to_numpy(np.int64) for column in ("given", "suggested"))
    flags = np.bincount(given, minlength=len(number)) + np.bincount(suggested, minlength=len(number))
    shown = np.sort(np.argsort(-flags, kind="stable")[:CLASSES])
    place = np.full(len(number), -1)
    place[shown] = np.arange(len(shown))
    counts = np.zeros((len(shown), len(shown)), np.int64)
    inside = (place[given] >= 0) & (place[suggested] >= 0)
    np.add.at(counts, (place[given[inside]], place[suggested[inside]]), 1)
    names = [_name(run.class_names[k]) for k in shown]

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.ticker import MaxNLocator

        colours = LinearSegmentedColormap.from_list("auditor", ["#ffffff", BLUE])
        image = axes.imshow(counts, cmap=colours, vmin=0, vmax=max(1, counts.max(initial=0)))
        axes.figure.colorbar(image, ax=axes, label="flagged items", ticks=MaxNLocator(integer=True))
        turned = max(map(len, names), default=0) > 3
        axes.set_xticks(range(len(names)), names, rotation=90 if turned else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="suggested class", ylabel="given class")
        axes.grid(visible=False)
        for row, column in np.argwhere(counts):
            dark = counts[row, column] > counts.max() / 2
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color="w" if dark else DARK)

    of = "" if len(shown) == len(number) else f", {len(shown)} of {len(number):,} classes"
    side = 240 + 26 * len(shown)
    return draw_on(ax, draw, f"{inside.sum():,} flagged items{of}", (side + 90, side))


def plot_estimate(estimate: ErrorEstimate, ax: Axes | None = None) -> Figure:
    """How many labels are wrong: every estimate of the total with its interval.

    Parameters
    ----------
    estimate : ErrorEstimate
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Wrong labels, in items; an interval without a mark where the reviews are too few for a single number.

    Raises
    ------
    UsageError
        If it is another object.
    DataError
        If there is no estimate yet.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(estimate, ErrorEstimate, "an estimate: of auditor.estimate_errors, or audit.estimate()")
    if estimate.strict is None or estimate.lenient is None:
        raise DataError(f"there is no estimate for {estimate.state.run!r} yet.", "; ".join(estimate.notes) or None)
    rows = [
        (f"{name}, {treated.treatment}", total.estimate, total.says_a_number, colour)
        for treated, colour in ((estimate.strict, BLUE), (estimate.lenient, GREY))
        for name, total in (
            ("estimate", treated.total),
            ("exact, uniform draws", treated.uniform),
            ("exact, strata", treated.stratified),
            ("corrected for reviewer error", treated.corrected),
        )
        if total is not None
    ]

    def draw(axes: Axes) -> None:
        _draw_intervals(axes, [(name, e.value if says else None, e.low, e.high, c) for name, e, says, c in rows])
        axes.set_xlabel(f"wrong labels among {len(estimate.state):,} items, 95 % intervals")
        axes.set_xlim(left=0)

    return draw_on(ax, draw, f"Wrong labels in {_name(estimate.state.run, 40)}", (640, 130 + 30 * len(rows)))


def plot_calibration(estimate: ErrorEstimate, ax: Axes | None = None) -> Figure:
    """Whether P(label wrong) holds: what reviewers found over what was predicted, with Wilson intervals.

    Parameters
    ----------
    estimate : ErrorEstimate
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Both axes in per cent; the marks should lie on the diagonal.

    Raises
    ------
    UsageError
        If it is another object.
    DataError
        If too few verdicts were given.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(estimate, ErrorEstimate, "an estimate: of auditor.estimate_errors, or audit.estimate()")
    calibration = estimate.calibration
    if calibration is None or not calibration.bins:
        raise DataError("there are too few verdicts of the audit sample to compare P(label wrong) with.")
    return draw_on(
        ax, lambda axes: draw_reliability(axes, calibration.bins), "P(label wrong) and what was found", (400, 420)
    )


def plot_ranking(benchmark: BenchmarkResult | BenchmarkDone, ax: Axes | None = None) -> Figure:
    """How correcting the labels re-ranks the models.

    Parameters
    ----------
    benchmark : BenchmarkResult or BenchmarkDone
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Ranks on the given labels left, on the corrected ones right; models that win places green, those that lose some
        red. The `MODELS` best on corrected labels.

    Raises
    ------
    UsageError
        If it is another object.
    DataError
        If no models were ranked.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(benchmark, BenchmarkResult | BenchmarkDone, "a benchmark: of auditor.benchmark.command.run_benchmark")
    result = benchmark.result if isinstance(benchmark, BenchmarkDone) else benchmark
    if not result.models:
        raise DataError(
            "no models were ranked.", "Give their stored predictions: auditor benchmark --predictions FOLDER"
        )
    best = sorted(result.models, key=lambda m: (m.rank["corrected"], m.name))[:MODELS]
    before = sorted(best, key=lambda m: (m.rank["original"], m.name))

    def draw(axes: Axes) -> None:
        for right, model in enumerate(best):
            left, change = before.index(model), model.rank_change
            colour = GREEN if change > 0 else RED if change < 0 else GREY
            axes.plot([0, 1], [left, right], color=colour, marker="o", linewidth=2 if change else 1)
            name, low, high = _name(model.name), *model.rank_interval["corrected"]
            axes.text(-0.04, left, f"{name}  {model.rank['original']}", ha="right", va="center")
            axes.text(
                1.04, right, f"{model.rank['corrected']}  {name} (possible: {low} to {high})", ha="left", va="center"
            )
        axes.set(xlim=(-0.9, 2.3), ylim=(len(best) - 0.4, -0.6), ylabel="rank, best at the top")
        axes.set_xticks([0, 1], ["given labels", "corrected labels"])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.grid(visible=False)

    return draw_on(ax, draw, f"Models on {_name(result.dataset, 40)}", (720, 110 + 24 * len(best)))


def plot_improvement(improvement: Improvement, ax: Axes | None = None) -> Figure:
    """Whether cleaning helps: how far each way of cleaning moves the accuracy, with its interval.

    Parameters
    ----------
    improvement : Improvement
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
        Points of accuracy on held-out items, against the given labels; green helps, red harms, grey cannot be told.

    Raises
    ------
    UsageError
        If it is another object.
    DataError
        If nothing was compared.
    MissingExtraError
        If matplotlib is not installed.
    """
    _require(improvement, Improvement, "a comparison: of auditor.improve, or audit.improvement()")
    rows = improvement.to_frame().dropna(subset=["difference"]).to_dict("records")
    if not rows:
        raise DataError(improvement.conclusion, improvement.document["next"])

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=DARK, linewidth=1)
        colours = [{HELPS: GREEN, HARMS: RED}.get(row["verdict"], GREY) for row in rows]
        points = [(100 * row["difference"], *(100 * limit for limit in row["interval"])) for row in rows]
        names = [f"{row['name']}: {row['verdict']}" for row in rows]
        _draw_intervals(axes, [(name, *p, colour) for name, p, colour in zip(names, points, colours, strict=True)])
        axes.set_xlabel("difference of accuracy from the given labels, points")

    return draw_on(
        ax, draw, f"Does cleaning help {_name(improvement.document['data'], 40)}?", (640, 130 + 40 * len(rows))
    )


def _draw_intervals(axes: Axes, rows: Sequence[tuple[str, float | None, float, float, str]]) -> None:
    """One below the other: name, value (None: not marked), lower and upper limit, colour."""
    for place, (_, value, low, high, colour) in enumerate(rows):
        axes.hlines(place, low, high, color=colour, linewidth=2.5)
        if value is not None:
            axes.plot([value], [place], marker="o", color=colour)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _require(given: object, kind: Any, wanted: str) -> None:
    if not isinstance(given, kind):
        raise UsageError(f"a {type(given).__name__} cannot be drawn here.", f"Give {wanted}.")


def _name(text: str, length: int = 24) -> str:
    return excerpt(printable(text), length)
