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
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted
    from auditor.estimation.documents import status_document
    from auditor.estimation.sample import read_review
    from auditor.estimation.sentences import status_lines
    from auditor.estimation.status import review_status

    result = review_status(read_review(run_named(run), store), at_most)
    follow = f"Next: auditor {'estimate' if result.may_stop else 'review'} {quoted(run)}"
    answer([*status_lines(result), follow], status_document(result) if json else None)
