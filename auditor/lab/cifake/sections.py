"""The sections of the CIFAKE report, line by line: copies, labels, what the network looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["claim", "copies_lines", "labels_lines", "looks_lines", "share_lines"]


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def copies_lines(results: Mapping[str, Any]) -> list[str]:
    """Exact copies by source, place and class, and what the command finds."""
    found = results["copies"]
    pairs = "all of them pairs" if found["largest"] == 2 else f"the largest of {found['largest']}"
    lines = [
        f"{found['n']:,} files hold {found['distinct']:,} distinct contents; {found['groups']:,} groups of equal "
        f"files, {pairs}. Groups across REAL and FAKE: {found['across_sources']}; across classes: "
        f"{found['across_classes']}. **{found['test_fake_in_train']} of {found['test_fake']:,} test FAKE images "
        f"({_percent(found['test_fake_in_train'] / found['test_fake'])}) also lie in the train split.** Counted by the "
        "bytes of the files; near copies are not.",
        "",
        "| source | files | distinct |",
        "|---|---|---|",
        *(f"| {k} | {v['items']:,} | {v['distinct']:,} |" for k, v in found["by_source"].items()),
        "",
        "| where | class | groups |",
        "|---|---|---|",
        *(f"| {row['where']} | {row['class']} | {row['groups']:,} |" for row in found["pairs"]),
        "",
        "The same by the command a user would give, which also compares decoded pixels: "
        "`auditor quality cifake --split test --against train --check exact_duplicates --check leakage`. Exact "
        "duplicates counts the items of both splits that have a copy, leakage the test items.",
        "",
        "| code | check | status | groups | items |",
        "|---|---|---|---|---|",
    ]
    for check in results["quality"]["checks"]:
        lines.append(
            f"| {check['code']} | {check['name']} | {check['status']} | {check['n_groups']:,} | {check['n_items']:,} |"
        )
    return lines


def labels_lines(labels: Mapping[str, Any]) -> list[str]:
    """The audits, what they say of each source, and the range for FAKE."""
    audits = {k: v for k, v in labels.items() if k != "fake_not_showing_its_class"}
    lines = [
        "Flags are suspicions of a model, not verdicts. **Nobody has reviewed the FAKE images.** The label REAL or "
        "FAKE comes from where a file comes from: a flag there marks an image that looks like the other source, and a "
        "wrong label would mean a file in the wrong folder. Copies stay in one fold; training items that are copies "
        "of audited ones are left out.",
        "",
        "| audit | plan | model, budget, seed | agreement with the labels | left out | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, audit in audits.items():
        lines.append(
            f"| {name} | {audit['plan']} | {audit['model']}, {audit['budget']}, {audit['seed']} | "
            f"{_percent(audit['accuracy'])} | {audit['left_out']:,} | {audit['seconds']:,.0f} |"
        )
    lines += [
        "",
        "| audit | source | items | flagged | share flagged | model agrees with the label (95 % over items) | "
        "confident-joint errors |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, audit in audits.items():
        for row in audit["sources"]:
            agrees = row["agreement"]
            joint = f"{row['confident_joint_errors']:,}" if "confident_joint_errors" in row else "-"
            lines.append(
                f"| {name} | {row['source']} | {row['n']:,} | {row['flagged']:,} | "
                f"{_percent(row['flagged_share']['value'])} | {_percent(agrees['value'])} "
                f"[{100 * agrees['low']:.2f}, {100 * agrees['high']:.2f}] | {joint} |"
            )
    return [
        *lines,
        "",
        "Confident-joint errors: the calibrated joint's estimate of wrong labels within the source, a model's figure "
        "without an interval of its own. With so short a training it counts much of the model's own error.",
        "",
        "### How many FAKE images do not show their class?",
        "",
        *share_lines(labels["fake_not_showing_its_class"]),
        "",
        "| FAKE images of the class | " + " | ".join(f"flagged: {n}" for n in list(audits)[:2]) + " |",
        "|---|---|---|",
        *_class_rows(list(audits.values())[:2]),
    ]


def _class_rows(audits: list[Mapping[str, Any]]) -> list[str]:
    tables = [
        {c["class"]: c for row in audit["sources"] if row["source"] == "FAKE" for c in row["by_class"]}
        for audit in audits
    ]
    return [
        f"| {name} | " + " | ".join(f"{t[name]['flagged']:,} of {t[name]['n']:,}" for t in tables) + " |"
        for name in tables[0]
    ]


def share_lines(found: Mapping[str, Any]) -> list[str]:
    """The range for the share of FAKE images that do not show their class, and all it rests on."""
    if not found["available"]:
        return [f"Not said: {found['reason']}."]
    ref = found["reference"]
    return [
        f"**Between {_percent(found['low'])} and {_percent(found['high'])}, by a reference of other images; no person "
        "has looked at the FAKE images.**",
        "",
        f"- The audit trained on both sources flags {found['flagged_fake']:,} of {found['n_fake']:,} FAKE images "
        f"({_percent(found['flagged_share'])}).",
        f"- How often its flags are right is carried over from {ref['items']}: there it flags {ref['flagged']:,}, of "
        f"which {ref['flagged_and_judged']} were judged and {ref['flagged_and_judged_wrong']} judged wrong (of "
        f"{ref['judged_wrong']} judged wrong in all).",
        f"- Lower end: exact lower limit of {ref['flagged_and_judged_wrong']}/{ref['flagged']}, unjudged flags counted "
        f"as right labels. Upper end: exact upper limit of {ref['flagged_and_judged_wrong']}/"
        f"{ref['flagged_and_judged']}. Both 95 %.",
        "- Two assumptions that nobody has checked: flags of generated images are right as often as flags of "
        "photographs, and images without a flag show their class.",
        "- A measurement takes people: `auditor find-errors cifake:class --audit all`, `auditor sample RUN --budget "
        "300`, `auditor review RUN`, `auditor estimate RUN`.",
    ]


_FIGURES = (
    ("centre_share", "map mass in the central quarter (the rest is border)"),
    ("control_centre_share", "the same, shuffled map"),
    ("deletion_area", "deletion area"),
    ("deletion_less_control", "deletion area less control's (below 0: the map is better)"),
    ("insertion_area", "insertion area"),
    ("insertion_less_control", "insertion area less control's (above 0: the map is better)"),
    ("drop_centre_greyed", "drop of P with the centre greyed"),
    ("drop_border_greyed", "drop of P with the border greyed"),
    ("drop_centre_less_border", "drop by the centre less drop by the border"),
)
_BY_CLASS = (
    ("centre_share", "central mass"),
    ("deletion_less_control", "deletion less control"),
    ("insertion_less_control", "insertion less control"),
    ("drop_centre_less_border", "centre less border"),
)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    mean, low, high = value
    return f"{mean:.3f}" if low is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def looks_lines(found: Mapping[str, Any]) -> list[str]:
    """Measures of the maps by source, by right and wrong, by class; curves; pictures."""
    groups = found["groups"]
    main = [name for name in ("all", "FAKE", "REAL", "right", "wrong") if name in groups]
    centre, border = found["occluded_areas"]
    lines = [
        f"Grad-CAM of the last convolution for the predicted class, network `{found['network']}`, {found['n']:,} test "
        "images drawn by seed, equally many of each source and class, none with a copy in the train split; "
        f"{found['empty_maps']} maps are empty. Means with 95 % intervals over images; one network, so the spread over "
        "trainings is not in them. Control: the same map with its cells shuffled. P: probability of the predicted "
        "class. Pixels are greyed to the mean of the training images, which is itself unlike any real picture; greyed "
        f"centre {100 * centre:.0f} % of the area, greyed border {100 * border:.0f} %.",
        "",
        claim(found),
        "",
        "| figure | " + " | ".join(f"{n} ({groups[n]['n']:,})" for n in main) + " |",
        "|---|" + "---|" * len(main),
        *(f"| {text} | " + " | ".join(_cell(groups[n][key]) for n in main) + " |" for key, text in _FIGURES),
        "",
        "![Mean probability of the predicted class while pixels are deleted and inserted, map and control](curves.svg)",
        "",
        "Mean over the images of each source. A map that points at what carries the decision makes deletion fall, and "
        "insertion rise, before its control.",
        "",
        "By source and class:",
        "",
        "| images (n) | " + " | ".join(text for _, text in _BY_CLASS) + " |",
        "|---|" + "---|" * len(_BY_CLASS),
    ]
    for name in [g for g in groups if g.startswith(("FAKE ", "REAL "))]:
        cells = [_cell(groups[name][key]) for key, _ in _BY_CLASS]
        lines.append(f"| {name} ({groups[name]['n']:,}) | " + " | ".join(cells) + " |")
    rows = "; ".join(f"{row['group']} ({len(row['ids'])})" for row in found["sheet"])
    return [
        *lines,
        "",
        "![Test images beside their Grad-CAM overlays, right and wrong predictions of both sources](maps.png)",
        "",
        f"Drawn by seed, not chosen; each picture beside its map for the predicted class. Rows from the top: {rows}. "
        "Ids: `looks.sheet` in `results.json`.",
    ]


def claim(found: Mapping[str, Any]) -> str:
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
        "Centre and border stand in for object and background, because CIFAKE has no outlines of its objects; one "
        "short-trained network of our choice, not the paper's."
    )
