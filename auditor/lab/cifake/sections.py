"""The sections of the CIFAKE report, line by line: copies and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.report.markdown import number, percent, table


def copies_lines(results: Mapping[str, Any]) -> list[str]:
    """Exact copies by source, place and class, and what the command finds."""
    copies = results["copies"]
    pairs = "all of them pairs" if copies["largest"] == 2 else f"the largest of {copies['largest']}"
    by_source = copies["by_source"].items()
    return [
        f"{copies['n']:,} files hold {copies['distinct']:,} distinct contents; {copies['groups']:,} groups of equal "
        f"files, {pairs}. Groups across REAL and FAKE: {copies['across_sources']}; across classes: "
        f"{copies['across_classes']}. **{copies['test_fake_in_train']} of {copies['test_fake']:,} test FAKE images "
        f"({percent(copies['test_fake_in_train'] / copies['test_fake'])} %) also lie in the train split.** Counted by "
        "the bytes of the files; near copies are not.",
        "",
        *table(
            ["source", "files", "distinct"],
            [[source, number(row["items"]), number(row["distinct"])] for source, row in by_source],
        ),
        "",
        *table(
            ["where", "class", "groups"],
            [[row["where"], row["class"], number(row["groups"])] for row in copies["pairs"]],
        ),
        "",
        "The same by the command a user would give, which also compares decoded pixels: "
        "`auditor quality cifake --split test --against train --check exact_duplicates --check leakage`. Exact "
        "duplicates counts the items of both splits that have a copy, leakage the test items.",
        "",
        *table(
            ["code", "check", "status", "groups", "items"],
            [
                [check["code"], check["name"], check["status"], number(check["n_groups"]), number(check["n_items"])]
                for check in results["quality"]["checks"]
            ],
        ),
    ]


def labels_lines(labels: Mapping[str, Any]) -> list[str]:
    """The audits, what they say of each source, and the range for FAKE."""
    audits = {k: v for k, v in labels.items() if k != "fake_not_showing_its_class"}
    made = [
        [
            name,
            audit["plan"],
            f"{audit['model']}, {audit['budget']}, {audit['seed']}",
            f"{percent(audit['accuracy'])} %",
            number(audit["left_out"]),
            number(audit["seconds"]),
        ]
        for name, audit in audits.items()
    ]
    said = [
        [
            name,
            row["source"],
            number(row["n"]),
            number(row["flagged"]),
            f"{percent(row['flagged_share']['value'])} %",
            f"{percent(agrees['value'])} % [{percent(agrees['low'])}, {percent(agrees['high'])}]",
            number(row.get("confident_joint_errors")),
        ]
        for name, audit in audits.items()
        for row in audit["sources"]
        for agrees in [row["agreement"]]
    ]
    both = dict(list(audits.items())[:2])
    tables = [
        {c["class"]: c for row in audit["sources"] if row["source"] == "FAKE" for c in row["by_class"]}
        for audit in both.values()
    ]
    return [
        "Flags are suspicions of a model, not verdicts. **Nobody has reviewed the FAKE images.** The label REAL or "
        "FAKE comes from where a file comes from: a flag there marks an image that looks like the other source, and a "
        "wrong label would mean a file in the wrong folder. Copies stay in one fold; training items that are copies "
        "of audited ones are left out.",
        "",
        *table(["audit", "plan", "model, budget, seed", "agreement with the labels", "left out", "seconds"], made),
        "",
        *table(
            [
                *("audit", "source", "items", "flagged", "share flagged"),
                *("model agrees with the label (95 % over items)", "confident-joint errors"),
            ],
            said,
        ),
        "",
        "Confident-joint errors: the calibrated joint's estimate of wrong labels within the source, a model's figure "
        "without an interval of its own. With so short a training it counts much of the model's own error.",
        "",
        "### How many FAKE images do not show their class?",
        "",
        *share_lines(labels["fake_not_showing_its_class"]),
        "",
        *table(
            ["FAKE images of the class", *(f"flagged: {name}" for name in both)],
            [[name, *(f"{row[name]['flagged']:,} of {row[name]['n']:,}" for row in tables)] for name in tables[0]],
        ),
    ]


def share_lines(share: Mapping[str, Any]) -> list[str]:
    """The range for the share of FAKE images that do not show their class, and what it is computed from."""
    if not share["available"]:
        return [f"Not said: {share['reason']}."]
    ref = share["reference"]
    return [
        f"**Between {percent(share['low'])} % and {percent(share['high'])} %, by a reference of other images; no "
        "person has looked at the FAKE images.**",
        "",
        f"- The audit trained on both sources flags {share['flagged_fake']:,} of {share['n_fake']:,} FAKE images "
        f"({percent(share['flagged_share'])} %).",
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
