"""``auditor verdicts``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import Index, Json, PublishedVerdicts


def verdicts(
    file: PublishedVerdicts,
    agreement: Annotated[int, Option(help="Votes of five a verdict needs: 3, 4 or 5.")] = 3,
    labels: Annotated[Path | None, Option(help="Given labels: every verdict is checked against them.")] = None,
    index: Index = None,
    size: Annotated[int | None, Option(help="Rows of the data set, where there are no labels.")] = None,
    flagged: Annotated[int | None, Option(help="Rows doubted, where only a sample of them was judged.")] = None,
    json: Json = False,
) -> None:
    """Count what people said about suspected label errors."""
    from auditor.benchmark.inputs import verdict_facts
    from auditor.cli.console import answer

    facts = verdict_facts(file, agreement, labels, index, size, flagged)
    counts, table = facts["counts"], facts["table_1"]
    lines = [
        f"{counts['checked']:,} items judged ({facts['published_as']}), {agreement} of 5 votes: "
        f"{counts['non_errors']:,} right, {counts['errors']:,} wrong"
    ]
    if counts["correctable"] is not None:
        lines.append(
            f"Wrong: {counts['correctable']:,} correctable, {counts['multi_label']:,} with both labels, "
            f"{counts['neither']:,} neither, {counts['non_agreement']:,} without agreement"
        )
    if table["percent_error"] is not None:
        lines.append(f"{table['percent_error']:.4f} % of {table['size']:,} labels; precision {table['precision']:.4f}")
    if facts["n_pruned"] is not None:
        lines.append(
            f"Benign {facts['n_benign']:,}, correctable {facts['n_correctable']:,}, unknown {facts['n_unknown']:,}; "
            f"prevalence {facts['prevalence']:.6f}"
        )
    if not facts["checked_against_labels"]:
        lines.append("Note: not checked against labels (--labels)")
    answer([*lines, *(f"Note: {note}" for note in facts["notes"])], facts if json else None)
