"""reports/cifake/report.md from its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.grid.report import grid_lines

__all__ = ["GOAL", "cifake_lines", "write_cifake_report"]

#: Test accuracy the chosen topology should reach when trained on the whole train split.
GOAL = 0.92


def cifake_lines(results: Mapping[str, Any]) -> list[str]:
    """The page, line by line."""
    seconds = ", ".join(f"{name} {value:,.0f}" for name, value in results["seconds"].items())
    machine = results["machine"]
    return [
        "# CIFAKE: copies, labels, networks, and what they look at",
        "",
        f"Made by `{results['command']}`; {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB. "
        f"Seconds "
        f"by part (near 0 where a part was kept from a run before; its own seconds stand with it): {seconds}.",
        "",
        "## Copies and leaks",
        "",
        *_copies(results),
        "",
        "## Labels",
        "",
        *_labels(results["labels"]),
        "",
        "## The grid of 36 networks",
        "",
        *grid_lines(results["grid"]),
        "",
        _goal(results["grid"]),
        "",
        "## What the network looks at",
        "",
        *_looks(results["looks"]),
    ]


def _copies(results: Mapping[str, Any]) -> list[str]:
    found = results["copies"]
    pairs = "one pair each" if found["largest"] == 2 else f"the largest of {found['largest']}"
    lines = [
        f"{found['n']:,} files, {found['distinct']:,} distinct contents; {found['groups']:,} groups of equal files "
        f"({pairs}). Across REAL and FAKE: {found['across_sources']}. Across classes: {found['across_classes']}. "
        f"**{found['test_fake_in_train']} of {found['test_fake']:,} test FAKE images "
        f"({100 * found['test_fake_in_train'] / found['test_fake']:.2f} %) also lie in the train split.** Exact copies "
        "only.",
        "",
        "| source | files | distinct |",
        "|---|---|---|",
        *(f"| {k} | {v['items']:,} | {v['distinct']:,} |" for k, v in found["by_source"].items()),
        "",
        "| where | class | groups |",
        "|---|---|---|",
        *(f"| {row['where']} | {row['class']} | {row['groups']:,} |" for row in found["pairs"]),
        "",
        "`auditor quality cifake --split test --against train --check exact_duplicates --check leakage`:",
        "",
        "| code | check | status | items |",
        "|---|---|---|---|",
    ]
    for check in results["quality"]["checks"]:
        lines.append(f"| {check['code']} | {check['name']} | {check['status']} | {check['n_items']} |")
    return lines


def _labels(labels: Mapping[str, Any]) -> list[str]:
    lines = [
        "Flags are suspicions of a model, not verdicts. **Nobody has reviewed the FAKE images**; the REAL or FAKE "
        "label "
        "comes from where a file comes from, so a flag there marks an image that looks like the other source, and a "
        "wrong "
        "label would mean that a file was put into the wrong folder. Copies stay in one fold; training items that are "
        "copies of audited ones are left out.",
        "",
        "| audit | plan, model, seconds | source | items | flagged | model agrees with the label | confident-joint "
        "errors |",
        "|---|---|---|---|---|---|---|",
    ]
    audits = {k: v for k, v in labels.items() if k != "fake_not_showing_its_class"}
    for name, audit in audits.items():
        for row in audit["sources"]:
            flagged, agrees = row["flagged_share"], row["agreement"]
            joint = f"{row['confident_joint_errors']:,}" if "confident_joint_errors" in row else "-"
            lines.append(
                f"| {name} | {audit['plan']}; {audit['model']}, {audit['budget']}, seed {audit['seed']}; "
                f"{audit['seconds']:,.0f} s | {row['source']} | {row['n']:,} | {row['flagged']:,} "
                f"({100 * flagged['value']:.2f} %) | {100 * agrees['value']:.2f} % [{100 * agrees['low']:.2f}, "
                f"{100 * agrees['high']:.2f}] | {joint} |"
            )
    lines += [
        "",
        "Confident-joint errors: the calibrated joint's estimate of wrong labels within the source, a model's figure "
        "without an interval of its own. With so short a training it counts much of the model's own error.",
        "",
        "### How many FAKE images do not show their class?",
        "",
        *_share(labels["fake_not_showing_its_class"]),
        "",
        "| class | " + " | ".join(f"{n}: FAKE flagged" for n in list(audits)[:2]) + " |",
        "|---|---|---|",
        *_class_rows(list(audits.values())[:2]),
    ]
    return lines


def _class_rows(audits: list[Mapping[str, Any]]) -> list[str]:
    tables = [
        {c["class"]: c for row in audit["sources"] if row["source"] == "FAKE" for c in row["by_class"]}
        for audit in audits
    ]
    return [
        f"| {name} | " + " | ".join(f"{t[name]['flagged']:,} of {t[name]['n']:,}" for t in tables) + " |"
        for name in tables[0]
    ]


def _share(found: Mapping[str, Any]) -> list[str]:
    if not found["available"]:
        return [f"Not said: {found['reason']}."]
    ref = found["reference"]
    return [
        f"**Between {100 * found['low']:.2f} % and {100 * found['high']:.2f} %, by a reference of other images; no "
        f"person "
        f"has looked at the FAKE images.** The audit trained on both sources flags {found['flagged_fake']:,} of "
        f"{found['n_fake']:,} FAKE images ({100 * found['flagged_share']:.2f} %). How often its flags are right is "
        f"carried "
        f"over from {ref['items']}: there it flags {ref['flagged']:,}, of which {ref['flagged_and_judged']} were "
        f"judged "
        f"and {ref['flagged_and_judged_wrong']} judged wrong (of {ref['judged_wrong']} judged wrong in all). Lower "
        f"end: "
        f"exact lower limit of {ref['flagged_and_judged_wrong']}/{ref['flagged']} (unjudged flags counted as right "
        f"labels); upper end: exact upper limit of {ref['flagged_and_judged_wrong']}/{ref['flagged_and_judged']}. It "
        f"rests "
        "on two assumptions nobody has checked: flags of generated images are right as often as flags of "
        "photographs, and "
        "unflagged images show their class. To replace it by a measurement: `auditor find-errors cifake:class "
        "--audit all`, "
        "`auditor sample RUN --budget 300`, `auditor review RUN`, `auditor estimate RUN`.",
    ]


def _goal(grid: Mapping[str, Any]) -> str:
    test = grid["final"]["tests"][0]
    mean, items, epochs = test["mean_accuracy"], grid["items"]["final_train"], grid["final"]["epochs"]
    without = next((t for t in grid["final"]["tests"] if t["items"] == "without leaked"), None)
    leak = (
        ""
        if without is None
        else f" Without the leaked test images: {without['mean_accuracy']:.4f}, a difference of "
        f"{100 * (mean - without['mean_accuracy']):+.2f} points."
    )
    if mean >= GOAL:
        return f"Goal: at least {GOAL} on test: **reached** ({mean:.4f}).{leak}"
    return (
        f"Goal: at least {GOAL} on test: **missed by {100 * (GOAL - mean):.2f} points** ({mean:.4f}), after {epochs} "
        f"epoch(s) "
        f"on {items:,} items.{leak}"
    )


_FIGURES = (
    ("centre_share", "map mass in the central quarter"),
    ("control_centre_share", "the same, shuffled map"),
    ("deletion_less_control", "deletion area less control's (lower = map is better)"),
    ("insertion_less_control", "insertion area less control's (higher = map is better)"),
    ("drop_centre_greyed", "drop of P with the centre greyed"),
    ("drop_border_greyed", "drop of P with the border greyed"),
    ("drop_centre_less_border", "centre less border"),
)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    mean, low, high = value
    return f"{mean:.3f}" if low is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _looks(found: Mapping[str, Any]) -> list[str]:
    groups = found["groups"]
    main = [name for name in ("all", "FAKE", "REAL", "right", "wrong") if name in groups]
    centre, border = found["occluded_areas"]
    lines = [
        f"Grad-CAM of the last convolution for the predicted class, network `{found['network']}`, {found['n']:,} "
        f"test images "
        "drawn by seed, equally many of each source and class, none with a copy in the train split; "
        f"{found['empty_maps']} maps are empty. Means with 95 % intervals over images; one network. Control: the "
        f"same map "
        "with its cells shuffled. Pixels are greyed to the mean of the training images, which is itself unlike any "
        "real "
        f"picture. Greyed centre: {100 * centre:.0f} % of the area, greyed border: {100 * border:.0f} %.",
        "",
        "| figure | " + " | ".join(f"{n} ({groups[n]['n']:,})" for n in main) + " |",
        "|---|" + "---|" * len(main),
        *(f"| {text} | " + " | ".join(_cell(groups[n][key]) for n in main) + " |" for key, text in _FIGURES),
        "",
        _claim(found),
        "",
        "By class:",
        "",
        "| class | FAKE: central mass | REAL: central mass | FAKE: centre less border | REAL: centre less border |",
        "|---|---|---|---|---|",
    ]
    for name in [g.removeprefix("FAKE ") for g in groups if g.startswith("FAKE ")]:
        cells = [_cell(groups[f"{s} {name}"][k]) for k in ("centre_share", "drop_centre_less_border") for s in
                 ("FAKE", "REAL")]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    rows = "; ".join(f"{k}: {row['group']}" for k, row in enumerate(found["sheet"], 1))
    return [
        *lines,
        "",
        "![pictures and maps](maps.png)",
        "",
        f"Drawn by seed, not chosen. Each picture beside its map. Rows: {rows}.",
    ]


def _claim(found: Mapping[str, Any]) -> str:
    """The paper's conclusion against the figures; the words follow from the intervals."""
    everything = found["groups"]["all"]
    area = found["centre_area"]
    mass, effect = everything["centre_share"], everything["drop_centre_less_border"]
    if mass is None or mass[1] is None or effect[1] is None:
        return "Too few maps for a statement."
    if mass[2] < area:
        place = f"less mass in the centre than its area ({100 * area:.0f} %)"
    elif mass[1] > area:
        place = f"more mass in the centre than its area ({100 * area:.0f} %)"
    else:
        place = f"as much mass in the centre as its area ({100 * area:.0f} %)"
    if effect[1] > 0:
        hurt = "greying the centre costs more than greying the border, although the border is larger"
    elif effect[2] < 0:
        hurt = "greying the border costs more than greying the centre"
    else:
        hurt = "greying centre or border costs alike"
    return (
        "The paper concludes that the entity itself holds no useful information and that the network attends to small "
        f"imperfections in the background (published, abstract). Measured here: the maps put {place}, and {hurt}. "
        f"Centre "
        "and border stand in for object and background, because CIFAKE has no outlines of its objects; one "
        "short-trained "
        "network of our choice, not the paper's."
    )


def write_cifake_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.md`` into `folder`."""
    path = Path(folder) / "report.md"
    with atomic_write(path) as handle:
        handle.write(("\n".join(cifake_lines(results)) + "\n").encode())
    return path
