"""The results of a grid as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.lab.experiment.verdicts import expectation_lines
from auditor.report.markdown import ABSENT, interval, number, table

REPORT = "report.md"


def _share(found: Mapping[str, Any] | None, form: str = ".3f") -> str:
    """``0.912 [0.905, 0.918]``, or a dash where nothing could be divided by."""
    return ABSENT if found is None else interval(found["value"], (found["low"], found["high"]), form, 1)


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
        *expectation_lines(results),
        *_networks(results),
        "",
        *_choice(results),
        "",
        *_test(results),
        "",
        _machine(results),
    ]


def _networks(results: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in results["networks"]:
        measured = row["validation"]
        fake = measured["classes"][0]
        shares = (measured["accuracy"], fake["precision"], fake["recall"], fake["f1"], measured["loss"])
        rows.append(
            [
                row["stage"],
                f"`{row['topology']}`" + (" **chosen**" if row["topology"] == results["selected"] else ""),
                number(row["parameters"]),
                number(row["macs"], ".1f", 1e-6),
                *map(_share, shares),
                number(row["p_against_selected"], ".3f"),
                number(row["seconds"]),
            ]
        )
    header = ["stage", "topology", "parameters", "MMAC", "accuracy", "precision", "recall", "F1", "loss", "p"]
    return table([*header, "fit, s"], rows)


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
    by_class = [
        [f"{name} positive, seed {s}", *(_share(m["classes"][k][key], ".4f") for key in ("precision", "recall", "f1"))]
        for k, name in enumerate(("FAKE", "REAL"))
        for s, m in enumerate(final["tests"][0]["seeds"])
    ]
    tests = [
        [
            row["items"],
            number(row["n"]),
            "; ".join(_share(m["accuracy"], ".4f") for m in row["seeds"]),
            number(row["mean_accuracy"], ".4f"),
            number(published if row["items"] == "all" else None, ".4f"),
        ]
        for row in final["tests"]
    ]
    return [
        f"`{results['selected']}`, trained again on {results['items']['final_train']:,} items of the train split for "
        f"{final['epochs']} epoch(s) with {len(final['tasks'])} seed(s). Each network predicted the test items once, "
        "after its last step.",
        "",
        *table(["test items", "n", "accuracy by seed (95 % over items)", "mean", "published"], tests),
        "",
        *table(["all test items", "precision", "recall", "F1"], by_class),
    ]


def _machine(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{k} {versions[k]}" for k in ("auditor", "numpy", "torch") if k in versions)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['device']}, "
        f"{machine['precision']}; {packages}. Grid: {results['fit_seconds']:.0f} s of fits. `{results['command']}`"
    )
