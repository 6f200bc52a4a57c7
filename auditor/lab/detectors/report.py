"""The results as one Markdown page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.detect.findings import STREAMED_FLAG_RULE
from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, PEER

__all__ = ["report_text", "write_report"]

COLUMNS = ("AP", "AUROC", "P@N", "P@100", "best F1", "F1", "flagged", "precision", "recall", "seconds")


def write_report(path: Path, result: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Write `report_text` atomically."""
    with atomic_write(path) as handle:
        handle.write(report_text(result, manifest).encode())


def report_text(result: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The page: conditions, short tables over all sets, differences, then every figure per set."""
    lines = ["# Detection benchmark", "", *_conditions(manifest), "", *_not_run(result)]
    if result["sets"]:
        lines += ["## Ranking: average precision", "", *_rankings(result), ""]
        lines += ["## Flags without any verdict: the default rule", "", *_flags(result), ""]
        lines += [*_differences(result), "", "## Time", "", *_time(result), ""]
        for name in result["sets"]:
            lines += [f"## {name}", "", *_one_set(result, name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _conditions(manifest: dict[str, Any]) -> list[str]:
    machine, versions = manifest["machine"], manifest["versions"]
    listed = ", ".join(
        f"{name} {versions[name]}"
        for name in ("auditor", "numpy", "scipy", "scikit-learn", "torch", "cleanlab")
        if name in versions
    )
    return [
        f"Command: `{manifest['command']}`." if manifest["command"] else "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}; "
        f"{listed}. Up to {manifest['seeds']} seeds; {manifest['draws']} draws of the paired bootstrap; budget "
        f"{manifest['budget']}; noise rate {manifest['options']['noise_rate']}; CIFAR-10 subset "
        f"{manifest['options']['subset']}. Computing took {manifest['seconds of all parts']:.0f} s in all, training "
        "included; other jobs may have shared the machine, so seconds are rough.",
        "",
        "All contestants of a set get the same probabilities. Figures are in per cent, means over seeds. `best F1` "
        "chooses its cut with the truth: an upper bound. Where a recipe is below a paper's this is "
        "not a reproduction, and no paper's figure belongs beside these.",
    ]


def _not_run(result: dict[str, Any]) -> list[str]:
    if not result["not run"]:
        return []
    lines = ["## Not run", "", "| set | reason |", "|---|---|"]
    lines += [f"| {row['set']} | {row['reason'].replace(chr(10), ' ')} |" for row in result["not run"]]
    return [*lines, ""]


def _row(one: dict[str, Any], tool: str, what: str) -> dict[str, Any]:
    return next(row for row in one["rows"] if (row["tool"], row["what"]) == (tool, what))


def _second(result: dict[str, Any], name: str, figure: str, note: str) -> dict[str, Any]:
    return next(
        row for row in result["comparisons"] if (row["set"], row["figure"], row["note"]) == (name, figure, note)
    )


def _rankings(result: dict[str, Any]) -> list[str]:
    lines = [
        "`find-errors` ranks by `combined`; `margin` is the log-odds margin. The best single detector and the best "
        "score of cleanlab are chosen with the truth. Last column: `combined` less the best single detector, points, "
        "95 % interval.",
        "",
        "| set | items | wrong | seeds | margin | combined | best single | cleanlab best | kNN vote | difference |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in result["sets"].items():
        single = _second(result, name, "AP", "best single detector")
        peer = _second(result, name, "AP", "cleanlab's best score")
        vote = next(row for row in one["rows"] if row["tool"] == KNN)
        lines.append(
            f"| {name} | {one['n']} | {100 * one['errors'] / one['n']:.2f} % | {one['seeds']} "
            f"| {_ap(_row(one, OURS, 'log_odds_margin'))} | {_ap(_row(one, OURS, COMBINED))} "
            f"| {_ap(_named(one, single['second']))} ({_short(single['second'])}) "
            f"| {_ap(_named(one, peer['second']))} ({_short(peer['second'])}) | {_ap(vote)} | {_points(single)} |"
        )
    return lines


def _named(one: dict[str, Any], name: str) -> dict[str, Any]:
    tool, _, what = name.partition("/")
    return _row(one, tool, what)


def _short(name: str) -> str:
    return name.partition("/")[2].removeprefix("score ").removeprefix("filter ")


def _ap(row: dict[str, Any]) -> str:
    spread = "" if row["AP sd"] is None else f" ± {100 * row['AP sd']:.2f}"
    return f"{100 * row['AP']:.2f}{spread}"


def _points(row: dict[str, Any]) -> str:
    return f"{100 * row['difference']:+.2f} [{100 * row['low']:+.2f}, {100 * row['high']:+.2f}]"


def _flags(result: dict[str, Any]) -> list[str]:
    lines = [
        "The default flags are those of `combined`; the last two columns are those of `class_adjusted`, which larger "
        "data get (`--detector class_adjusted`).",
        "",
        "| set | flagged | wrong | precision | recall | F1 | cleanlab's default F1 | its best rule F1 | "
        "default - cleanlab's default | F1 of class_adjusted (flagged) | class_adjusted - cleanlab's default |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in result["sets"].items():
        mine, streamed = _row(one, OURS, DEFAULT), _row(one, OURS, STREAMED_FLAG_RULE)
        usual = _second(result, name, "F1", "cleanlab's default")
        best = _second(result, name, "F1", "cleanlab's best rule")
        larger = "flags of larger data, cleanlab's default"
        lines.append(
            f"| {name} | {mine['flagged']:.0f} | {one['errors']:.0f} | {_cell('precision', mine['precision'])} "
            f"| {_cell('recall', mine['recall'])} | {_cell('F1', mine['F1'])} "
            f"| {_cell('F1', _named(one, usual['second'])['F1'])} "
            f"| {_cell('F1', _named(one, best['second'])['F1'])} ({_short(best['second'])}) | {_points(usual)} "
            f"| {_cell('F1', streamed['F1'])} ({streamed['flagged']:.0f}) "
            f"| {_points(_second(result, name, 'F1', larger))} |"
        )
    return lines


def _differences(result: dict[str, Any]) -> list[str]:
    lines = [
        "## Differences, in points",
        "",
        "95 % paired bootstrap over items and, where there are several, over seeds. Beside it the smallest and the "
        "largest difference of a single seed.",
        "",
        "| set | figure | first | second | points | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["comparisons"]:
        note = f" ({row['note']})" if row["note"] else ""
        spread = f"{100 * row['smallest']:+.2f} to {100 * row['largest']:+.2f}" if row["seeds"] > 1 else "1"
        lines.append(
            f"| {row['set']} | {row['figure']} | {row['first']} | {row['second']}{note} | {_points(row)} | {spread} |"
        )
    return lines


def _time(result: dict[str, Any]) -> list[str]:
    lines = [
        "What `combined` costs over plain confident learning, beside the training of the networks (sum over folds, "
        "embeddings not counted where they were kept).",
        "",
        "| set | combined, s | cleanlab confident_learning, s | training, s | extra as share of training |",
        "|---|---|---|---|---|",
    ]
    for name, one in result["sets"].items():
        mine = _row(one, OURS, COMBINED)["seconds"]
        plain = _row(one, PEER, "filter confident_learning")["seconds"]
        trained = one["training seconds"]
        share = "" if not trained else f"{100 * (mine - plain) / trained:.1f} %"
        shown = "not trained here" if trained is None else f"{trained:.1f}"
        lines.append(f"| {name} | {mine:.2f} | {plain:.2f} | {shown} | {share} |")
    return lines


def _one_set(result: dict[str, Any], name: str) -> list[str]:
    about, one = result["about"][name], result["sets"][name]
    lines = [
        f"{about['summary']}. {about['limits']}",
        "",
        f"{one['n']} items, {one['errors']:.0f} wrong labels, {one['seeds']} seed(s); accuracy "
        f"{100 * one['accuracy against given labels']:.2f} % against the given labels, "
        f"{100 * one['accuracy against truth']:.2f} % against the truth.",
        "",
        "| tool | what | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    absent = []
    for row in one["rows"]:
        if row["reason"]:
            absent.append(f"{row['what']} ({row['reason']})")
            continue
        cells = [_cell(column, row[column], row.get(f"{column} sd")) for column in COLUMNS]
        lines.append(f"| {row['tool']} | {row['what']} | " + " | ".join(cells) + " |")
    return [*lines, "", f"Not applicable: {'; '.join(absent)}."] if absent else lines


def _cell(column: str, value: float | None, spread: float | None = None) -> str:
    if value is None:
        return ""
    if column == "flagged":
        return f"{value:.0f}"
    if column == "seconds":
        return f"{value:.2f}"
    shown = f"{100 * value:.2f}"
    return f"{shown} ± {100 * spread:.2f}" if spread is not None and column in ("AP", "F1") else shown
