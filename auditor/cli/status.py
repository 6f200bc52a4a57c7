"""``auditor status``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from auditor.cli.options import Json, RunName, Store


def status(
    run: RunName,
    at_most: Annotated[int | None, Option(min=0, help="Wrong labels tolerated outside the list: may you stop?")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Show how far the review has come, how many errors remain, and whether you may stop."""
    from auditor.cli.console import answer
    from auditor.cli.present import judge_command
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted
    from auditor.estimation.documents import status_document
    from auditor.estimation.sample import read_review
    from auditor.estimation.sentences import status_lines
    from auditor.estimation.status import review_status

    opened = run_named(run)
    result = review_status(read_review(opened, store), at_most)
    follow = f"Next: {f'auditor estimate {quoted(run)}' if result.may_stop else judge_command(run)}"
    answer([*status_lines(result), follow], status_document(result) if json else None)
