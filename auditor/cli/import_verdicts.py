"""``auditor import-verdicts``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from auditor.cli.options import Index, Json, PublishedVerdicts, RunName, Store


def import_verdicts(
    run: RunName,
    file: PublishedVerdicts,
    split: Annotated[str | None, Option(help="Split that was judged; default test, or the only one.")] = None,
    index: Index = None,
    reviewer: Annotated[str, Option(help="Name of these people; person 1 is NAME-1.")] = "published",
    store: Store = None,
    json: Json = False,
) -> None:
    """Take published crowd verdicts in as reviewers' votes. Importing a file twice adds nothing."""
    from dataclasses import asdict

    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.patch.importing import import_verdicts as work
    from auditor.patch.rules import open_store

    opened = run_named(run)
    with open_store(store or opened.path) as opened_store:
        opened_store.load_run(opened)
        done = work(opened, file, opened_store, split=split, index=index, reviewer=reviewer)
    counts = done.counts
    lines = [
        f"{done.accepted:,} votes on {done.items:,} items stored; {done.repeated:,} were there already",
        f"By 3 of 5 votes: {counts['non-error']:,} right, {counts['errors']:,} errors ({counts['correctable']:,} "
        f"correctable, {counts['multi-label']:,} with both labels, {counts['neither']:,} neither, "
        f"{counts['non-agreement']:,} without agreement)",
        *(f"Note: {note}" for note in done.notes),
        f"Next: auditor patch create {run} --consensus 3-of-5",
    ]
    answer(lines, {"schema": "auditor.import-verdicts/1", **asdict(done)} if json else None)
