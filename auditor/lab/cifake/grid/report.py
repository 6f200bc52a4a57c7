"""The results of a grid as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write

__all__ = ["grid_lines", "write_grid_report"]

REPORT = "report.md"


def _share(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """``0.912 [0.905, 0.918]``, or a dash where nothing could be divided by."""
    if found is None or found["value"] is None:
        return "-"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def grid_lines(results: Mapping[str, Any]) -> list[str]:
    """The grid, the choice and the test of one results document."""
    budget, items = results["budget"], results["items"]
    below = " **Not a reproduction**: the budget is below the paper's recipe."
    reproduction = "" if results["reproduction"] else below
    return [
        f"Budget class `{budget['name']}`; {items['grid_train']:,} training and {items['validation']:,} validation "
        f"items from the train split (equal parts of 2 sources x 10 classes, no content on both sides), "
        f"{budget['epochs']} epoch(s), batch {budget['batch']}, Adam 1e-3 falling linearly to 0, no augmentation, one "
        f"seed ({results['seed']}).{reproduction} Positive class of precision, recall and F1: FAKE; those of REAL are "
        "in the results file. Intervals are 95 % over items, not over seeds.",
        "",
        *_networks(results),
        "",
        *_choice(results),
        "",
        *_test(results),
        "",
        _machine(results),
    ]


def _networks(results: Mapping[str, Any]) -> list[str]:
    lines = [
        "| stage | topology | parameters | MMAC | accuracy | precision | recall | F1 | loss | p | fit, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["networks"]:
        measured = row["validation"]
        fake = measured["classes"][0]
        mark = " **chosen**" if row["topology"] == results["selected"] else ""
        p = "-" if row["p_against_selected"] is None else f"{row['p_against_selected']:.3f}"
        lines.append(
            f"| {row['stage']} | `{row['topology']}`{mark} | {row['parameters']:,} | {row['macs'] / 1e6:.1f} | "
            f"{_share(measured['accuracy'])} | {_share(fake['precision'])} | {_share(fake['recall'])} | "
            f"{_share(fake['f1'])} | {_share(measured['loss'])} | {p} | {row['seconds']:.0f} |"
        )
    return lines


def _choice(results: Mapping[str, Any]) -> list[str]:
    others = [row["p_against_selected"] for row in results["networks"] if row["p_against_selected"] is not None]
    alike = sum(p >= 0.05 for p in others)
    return [
        f"Extractor of stage 2: `{results['extractor']}`. Chosen by validation accuracy: `{results['selected']}`. "
        f"p: McNemar's exact test against the chosen one, adjusted by Holm over {len(others)}; {alike} of "
        f"{len(others)} networks cannot be told from it at 5 %. One seed a network: the order among those would "
        "change with another."
    ]


def _test(results: Mapping[str, Any]) -> list[str]:
    final, published = results["final"], results["published"]["accuracy"]
    lines = [
        f"`{results['selected']}`, trained again on {results['items']['final_train']:,} items of the train split for "
        f"{final['epochs']} epoch(s) with {len(final['tasks'])} seed(s). Each network predicted the test items once, "
        "after its last step.",
        "",
        "| test items | n | accuracy by seed (95 % over items) | mean | published |",
        "|---|---|---|---|---|",
    ]
    for row in final["tests"]:
        seeds = "; ".join(_share(m["accuracy"], 4) for m in row["seeds"])
        shown = f"{published:.4f}" if row["items"] == "all" else "-"
        lines.append(f"| {row['items']} | {row['n']:,} | {seeds} | {row['mean_accuracy']:.4f} | {shown} |")
    lines += ["", "| all test items | precision | recall | F1 |", "|---|---|---|---|"]
    for k, name in enumerate(("FAKE", "REAL")):
        for s, m in enumerate(final["tests"][0]["seeds"]):
            c = m["classes"][k]
            lines.append(
                f"| {name} positive, seed {s} | {_share(c['precision'], 4)} | {_share(c['recall'], 4)} | "
                f"{_share(c['f1'], 4)} |"
            )
    return lines


def _machine(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{k} {versions[k]}" for k in ("auditor", "numpy", "torch") if k in versions)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['device']}, "
        f"{machine['precision']}; {packages}. Grid: {results['fit_seconds']:.0f} s of fits. `{results['command']}`"
    )


def write_grid_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.md`` into `folder`."""
    path = Path(folder) / REPORT
    text = "\n".join(["# Grid of CIFAKE networks", "", *grid_lines(results), ""])
    with atomic_write(path) as handle:
        handle.write(text.encode())
    return path
