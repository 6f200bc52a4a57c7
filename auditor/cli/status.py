"""``auditor status``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["status"]


def status(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    at_most: Annotated[
        int | None, typer.Option(min=0, help="Wrong labels you tolerate outside the list: says whether you may stop.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Verdict store, if it is not in the run folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say how far the review is, how many errors remain, and whether one may stop. Ask as often as you like."""
    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.estimation.documents import status_document
    from auditor.estimation.sentences import status_lines
    from auditor.estimation.state import read_state
    from auditor.estimation.status import review_status
    from auditor.patch.rules import open_store
    from auditor.runs.run import open_run

    opened = open_run(run, load_settings().runs_dir)
    with open_store(store or opened.path) as verdicts:
        found = review_status(read_state(opened, verdicts), at_most)
    for line in status_lines(found):
        say(line)
    say(f"Next: auditor {'estimate' if found.may_stop else 'review'} {run}")
    if json:
        print_json(status_document(found))
