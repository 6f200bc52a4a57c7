"""Results of a search: the page, and the search curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.lab.experiment.verdicts import accuracy_cell, conditions_line, expectation_lines, points
from auditor.report.charts import PALETTE, chart_svg
from auditor.report.markdown import number, percent, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE, SUMMARY = "search-curve.svg", "results.md"
_ROLES = {"found": "found", "control": "best random", "start": "start"}
_ARMS = {"search": "search", "control": "random control"}


def results_markdown(document: Mapping[str, Any]) -> str:
    """Tables, verdicts, pictures and conditions."""
    data, pooled = document["data"], document["pooled"]
    progress = f"- {pooled['progress']}"
    lines = [
        f"# Architecture search: {document['space']}, {data['name']}: **{document['reproduction']}**",
        "",
        f"Budget class `{document['budget']}`; {document['seeds']} search(es), {document['train_seeds']} final "
        f"training(s) of each network. {document['split_note']} The search trained on {data['train']:,} images and "
        f"chose by {data['validation']:,} others. {conditions_line(document)}",
        "",
        *expectation_lines(document),
        "## The search beside random architectures",
        "",
        *_arms_table(document),
        "",
        f"- {pooled['verdict']} {points(**pooled['difference'])}, later half less control.",
        progress + (f" {points(**pooled['improvement'])}." if pooled["improvement"] else ""),
        *_gains(document),
        *_latency(document),
        "- The best child of an arm is the best of many on the same validation items, and flattered by it: the final "
        "training below is the fair comparison.",
        "",
        f"![search curve]({CURVE})",
        "",
        "## Trained alike, tested once",
        "",
        *_final_table(document),
        "",
        *(f"- {sentence}." for sentence in document["final"]["verdict"]),
        "- Every network is trained from scratch by the recipe of the budget class, and its test labels are looked at "
        "once per network and seed.",
    ]
    for role in document["chosen"]:
        lines += ["", f"![{role} architecture]({role}.svg)"]
    return "\n".join(lines) + "\n"


def _arms_table(document: Mapping[str, Any]) -> list[str]:
    rows = []
    for search in document["searches"]:
        for name in _ARMS:
            arm = search[name]
            accuracies = percent(arm["mean"]), percent(arm["curve"][-1]["best"])
            cost = number(arm["spent"], ".3g", 1e-12), number(arm["seconds"])
            rows.append([search["seed"], name, arm["children"], arm["trained"], *accuracies, *cost])
    header = ["seed", "arm", "children", "trained", "mean %", "best %", "cost, 10^12 MACs", "seconds"]
    return table(header, rows)


def _gains(document: Mapping[str, Any]) -> list[str]:
    """Of searches that grow networks from a start: their children beside the start trained on for as long."""
    lines = []
    for search in document["searches"]:
        for arm, gains in search["facts"].get("gains", {}).items():
            for gain in gains:
                best = gain["best_gain"]
                lines.append(
                    f"- Seed {search['seed']}, {arm}: children less their start trained on for as long: mean "
                    f"{100 * gain['mean_gain']:+.2f} points, best {points(**best)}."
                )
    return lines


def _latency(document: Mapping[str, Any]) -> list[str]:
    """Of searches with a latency term: what became of the latency."""
    lines = []
    for search in document["searches"]:
        if not (latency := search["facts"].get("latency")):
            continue
        checked = latency["validation"]
        lines.append(
            f"- Seed {search['seed']}, latency by the measured table: found network {latency['found_ms']:.2f} ms, "
            f"derived before the search {latency['start_ms']:.2f} ms, mean of the random ones "
            f"{latency['control_mean_ms']:.2f} ms. The table misses the measured latency of {checked['networks']} "
            f"random networks by {checked['rmse_ms']:.2f} ms (RMSE)."
        )
        if whole := latency.get("measured"):  # absent from searches stored before it was measured
            times = ", ".join(f"{_ROLES[role]} {ms:.2f} ms" for role, ms in whole["ms"].items())
            less = "; ".join(
                f"less {_ROLES[role]} {100 * d['value'] / whole['ms'][role]:+.1f} % "
                f"[{100 * d['low'] / whole['ms'][role]:+.1f}, {100 * d['high'] / whole['ms'][role]:+.1f}]"
                for role, d in whole["found_less"].items()
            )
            lines.append(
                f"- Seed {search['seed']}, latency of whole networks, timed in turns ({whole['passes']} passes each): "
                f"{times}; found {less}."
            )
    return lines


def _final_table(document: Mapping[str, Any]) -> list[str]:
    rows: list[list[object]] = [
        [
            row["name"],
            _ROLES[row["role"]],
            number(row["parameters"]),
            number(row["macs"], ".2f", 1e-6),
            accuracy_cell(row),
            f"{row['epochs']} x {row['images']:,}",
            len(row["accuracy_by_seed"]),
            document["reproduction"],
        ]
        for row in document["final"]["networks"]
    ]
    for paper in document["published"]:
        rows.append([paper["network"], "published", "", "", f"{100 - paper['error']:.2f}", "", "", "the paper"])
    header = ["network", "role", "parameters", "MMAC", "accuracy % (95 % over seeds)", "epochs x images", "seeds", ""]
    return table(header, rows)


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
