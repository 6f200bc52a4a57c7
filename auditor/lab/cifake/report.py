"""reports/cifake from its results: one text, as Markdown and as one HTML file, and a manifest of all files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.lab.cifake.grid.report import grid_lines
from auditor.lab.cifake.sections import copies_lines, labels_lines
from auditor.lab.experiment.shell import write_report
from auditor.lab.saliency.report import conclusion, curves_svg, saliency_lines
from auditor.report.page import page_html
from auditor.train.budget import reproduction_label

#: Test accuracy the chosen topology should reach when trained on the whole train split.
GOAL = 0.92


def cifake_lines(results: Mapping[str, Any]) -> list[str]:
    """The page, line by line; its pictures are ``curves.svg`` and ``maps.png``."""
    seconds = ", ".join(f"{name} {value:,.0f}" for name, value in results["seconds"].items())
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{k} {versions[k]}" for k in ("auditor", "numpy", "torch") if k in versions)
    return [
        "# CIFAKE: copies, labels, networks, and what they look at",
        "",
        f"Made by `{results['command']}`; {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; "
        f"{packages}. Seconds by part (near 0 where a part was kept from a run before; the seconds it took then stand "
        f"with it): {seconds}.",
        "",
        "## In short",
        "",
        *_short(results),
        "",
        "## Copies and leaks",
        "",
        *copies_lines(results),
        "",
        "## Labels",
        "",
        *labels_lines(results["labels"]),
        "",
        f"## The grid of {len(results['grid']['networks'])} networks",
        "",
        *grid_lines(results["grid"]),
        "",
        goal_line(results["grid"]),
        "",
        "## What the network looks at",
        "",
        *saliency_lines(results["looks"]),
    ]


def _short(results: Mapping[str, Any]) -> list[str]:
    copies, grid, share = results["copies"], results["grid"], results["labels"]["fake_not_showing_its_class"]
    test, published = grid["final"]["tests"][0], grid["published"]["accuracy"]
    reproduction = "a reproduction" if grid["reproduction"] else "not a reproduction"
    range_ = (
        f"between {100 * share['low']:.2f} % and {100 * share['high']:.2f} % by a reference of other images; nobody "
        "has reviewed them"
        if share["available"]
        else f"not said ({share['reason']})"
    )
    return [
        f"- **Leak**: {copies['test_fake_in_train']} of {copies['test_fake']:,} test FAKE images "
        f"({100 * copies['test_fake_in_train'] / copies['test_fake']:.2f} %) also lie in the train split; "
        f"{copies['groups']:,} groups of equal files in all.",
        f"- **Accuracy**: `{grid['selected']}`, the best of {len(grid['networks'])} networks by validation, has "
        f"{test['mean_accuracy']:.4f} on the test split (mean of {len(test['seeds'])} seed(s), "
        f"{test['min_accuracy']:.4f} to {test['max_accuracy']:.4f}); published for the best of 36: "
        f"{published:.4f}. Ours is {reproduction}. {goal_line(grid)}",
        f"- **FAKE images that do not show their class**: {range_}.",
        f"- **Where the network looks**: {conclusion(results['looks'])}",
    ]


def goal_line(grid: Mapping[str, Any]) -> str:
    """Whether the goal is reached, by how much it is missed and why, and what the leak is worth."""
    tests = grid["final"]["tests"]
    mean = tests[0]["mean_accuracy"]
    without = next((t for t in tests if t["items"] == "without leaked"), None)
    leak = (
        ""
        if without is None
        else f" Without the leaked test images: {without['mean_accuracy']:.4f}; with them it is "
        f"{100 * (mean - without['mean_accuracy']):+.2f} points."
    )
    if mean >= GOAL:
        return f"Goal of at least {GOAL} on test: **reached** ({mean:.4f}).{leak}"
    missed = f"**missed by {100 * (GOAL - mean):.2f} points** ({mean:.4f})"
    return f"Goal of at least {GOAL} on test: {missed}. {_why(grid)}{leak}"


def _why(grid: Mapping[str, Any]) -> str:
    """What the losses say of a missed goal: too few items, too short a training, or too little in common with test."""
    final, items = grid["final"], grid["items"]["final_train"]
    training = f"Trained on {items:,} items for {final['epochs']} epoch(s)"
    train = sum(final["train_loss"]) / len(final["train_loss"])
    test = [seed["loss"]["value"] for seed in final["tests"][0]["seeds"]]
    losses = f"mean training loss of the last epoch {train:.3f}, test loss {sum(test) / len(test):.3f}"
    if items < 100_000:
        return f"{training}, a part of the 100,000 ({losses})."
    if train > 0.9 * sum(test) / len(test):
        return f"{training}: too short, the network does not fit the training images either ({losses})."
    return f"{training}: the network fits the training images better than the test images ({losses})."


def write_cifake_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write ``results.json``, ``curves.svg``, ``report.md``, ``report.html`` and, last, the manifest.

    ``maps.png`` must be there. Returns the path of the page.
    """
    folder, grid, lines = Path(folder), results["grid"], cifake_lines(results)
    with atomic_write(folder / "curves.svg") as handle:  # the page holds it
        handle.write(curves_svg(results["looks"]["curves"]).encode())
    write_report(
        folder,
        results,
        {"report.md": "\n".join(lines) + "\n", "report.html": page_html(lines, folder)},
        ["curves.svg", "maps.png"],
        **{key: results[key] for key in ("command", "started", "seconds", "machine", "versions")},
        budget=grid["budget"],
        seed=grid["seed"],
        reproduction=reproduction_label(grid["budget"]["name"]),
    )
    return folder / "report.html"
