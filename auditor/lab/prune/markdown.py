"""Results of a pruning run as Markdown."""

from __future__ import annotations

from typing import Any

__all__ = ["results_markdown"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _mmac(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f}"


def results_markdown(document: dict[str, Any]) -> str:
    """Table, verdicts and conditions."""
    machine, versions = document["machine"], document["versions"]
    lines = [
        f"# {document['method']} on {document['network']}, {document['data']}: **{document['reproduction']}**",
        "",
        f"Budget class `{document['budget']}`, {document['seeds']} seeds, {document['test_items']:,} test items, each "
        f"network shown them once. {machine['cpu']}, {machine['cores']} cores; auditor {versions['auditor']}, torch "
        f"{versions.get('torch', '-')}. Command: `{document['command']}`.",
        "",
        *(_dynamic_table(document) if document["dynamic"] else _static_table(document)),
        "",
        *(f"- {sentence}." for sentence in document["verdict"]),
        *_notes(document),
    ]
    return "\n".join(lines) + "\n"


def _accuracy(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    spread = f" [{_percent(low)}, {_percent(high)}]" if len(row["accuracy_by_seed"]) > 1 else ""
    return f"{_percent(row['accuracy'])}{spread}"


def _static_table(document: dict[str, Any]) -> list[str]:
    lines = [
        "| network | accuracy % (95 % over seeds) | less dense | sparsity % | MMAC dense | masked | executable "
        "| joint / sum of distortions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        less = "-" if row["against_dense"] is None else f"{100 * row['against_dense']['difference']:+.2f}"
        ratio = ", ".join(f"{v:.2f}" for v in row.get("additivity", [])) or "-"
        lines.append(
            f"| {row['name']} | {_accuracy(row)} | {less} | {_percent(row['sparsity'])} | {_mmac(row['macs_dense'])} | "
            f"{_mmac(row['macs_masked'])} | {_mmac(row['macs_executable'])} | {ratio} |"
        )
    return lines


def _dynamic_table(document: dict[str, Any]) -> list[str]:
    lines = [
        "| network | accuracy % (95 % over seeds) | less dense | saved: estimated, paper's count % | achieved, paper's "
        "count % | achieved, executable % | masks right % | filters that vary % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        less = "-" if row["against_dense"] is None else f"{100 * row['against_dense']['difference']:+.2f}"
        keys = ("reduction_estimated", "reduction_achieved", "reduction_executable", "mask_accuracy", "varying_filters")
        cells = " | ".join(_percent(row.get(key)) for key in keys)
        lines.append(f"| {row['name']} | {_accuracy(row)} | {less} | {cells} |")
    return lines


def _notes(document: dict[str, Any]) -> list[str]:
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
