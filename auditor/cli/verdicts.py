"""``auditor verdicts``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["verdicts"]


def verdicts(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Published verdicts (mturk.json).")],
    agreement: Annotated[int, typer.Option(help="Votes of five a verdict needs: 3, 4 or 5.")] = 3,
    labels: Annotated[Path | None, typer.Option(help="Given labels: every verdict is checked against them.")] = None,
    index: Annotated[Path | None, typer.Option(help="index.json: row to file name; imagenet and imdb need it.")] = None,
    size: Annotated[int | None, typer.Option(help="Rows of the data set, where there are no labels.")] = None,
    flagged: Annotated[int | None, typer.Option(help="Rows doubted, where only a sample of them was judged.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Count what people said about suspected label errors."""
    from auditor.benchmark.inputs import verdict_facts
    from auditor.cli.console import print_json, say

    facts = verdict_facts(file, agreement, labels, index, size, flagged)
    counts, table = facts["counts"], facts["table_1"]
    say(
        f"{counts['checked']:,} items judged ({facts['published_as']}), {agreement} of 5 votes: "
        f"{counts['non_errors']:,} right, {counts['errors']:,} wrong"
    )
    if counts["correctable"] is not None:
        say(
            f"Wrong: {counts['correctable']:,} correctable, {counts['multi_label']:,} with both labels, "
            f"{counts['neither']:,} neither, {counts['non_agreement']:,} without agreement"
        )
    if table["percent_error"] is not None:
        say(f"{table['percent_error']:.4f} % of {table['size']:,} labels; precision {table['precision']:.4f}")
    if facts["n_pruned"] is not None:
        say(
            f"Benign {facts['n_benign']:,}, correctable {facts['n_correctable']:,}, unknown {facts['n_unknown']:,}; "
            f"prevalence {facts['prevalence']:.6f}"
        )
    if not facts["checked_against_labels"]:
        say("Note: not checked against labels (--labels)")
    for note in facts["notes"]:
        say(f"Note: {note}")
    if json:
        print_json(facts)
