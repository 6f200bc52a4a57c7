"""``auditor import-verdicts``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["import_verdicts"]


def import_verdicts(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Published verdicts (mturk.json).")],
    split: Annotated[str | None, typer.Option(help="Split that was judged; default test, or the only one.")] = None,
    index: Annotated[Path | None, typer.Option(help="index.json, needed for imagenet and imdb.")] = None,
    reviewer: Annotated[str, typer.Option(help="Name of these people; person 1 is NAME-1.")] = "published",
    store: Annotated[str | None, typer.Option(help="Verdict store, if it is not in the run folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Take published crowd verdicts in as reviewers' votes. Importing a file twice adds nothing."""
    from dataclasses import asdict

    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.patch.importing import import_verdicts as work
    from auditor.patch.rules import open_store
    from auditor.runs.run import open_run

    opened = open_run(run, load_settings().runs_dir)
    with open_store(store or opened.path) as opened_store:
        opened_store.load_run(opened)
        done = work(opened, file, opened_store, split=split, index=index, reviewer=reviewer)
    say(f"{done.accepted:,} votes on {done.items:,} items stored; {done.repeated:,} were there already")
    counts = done.counts
    say(
        f"By 3 of 5 votes: {counts['non-error']:,} right, {counts['errors']:,} errors ({counts['correctable']:,} "
        f"correctable, {counts['multi-label']:,} with both labels, {counts['neither']:,} neither, "
        f"{counts['non-agreement']:,} without agreement)"
    )
    for note in done.notes:
        say(f"Note: {note}")
    say(f"Next: auditor patch create {run} --consensus 3-of-5")
    if json:
        print_json({"schema": "auditor.import-verdicts/1", **asdict(done)})
