"""``auditor import-verdicts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from auditor.cli.options import Index, Json, RunName, Store

if TYPE_CHECKING:
    from auditor.patch.verdict_table import TableVotes
    from auditor.review.carry_over import Judged
    from auditor.review.store import VerdictStore


def import_verdicts(
    run: RunName,
    file: Annotated[
        str,
        Argument(metavar="FILE|STORE", help="Published verdicts (mturk.json), a table of verdicts, or another store."),
    ],
    split: Annotated[str | None, Option(help="Split that was judged; default test, or the only one.")] = None,
    index: Index = None,
    reviewer: Annotated[str, Option(help="Name of these people; person 1 is NAME-1.")] = "published",
    store: Store = None,
    json: Json = False,
) -> None:
    """Take in published crowd verdicts, a table of verdicts, or those of another store. Doing it twice adds nothing."""
    from dataclasses import asdict
    from pathlib import Path

    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted
    from auditor.patch.importing import read_votes, store_votes
    from auditor.patch.rules import open_store
    from auditor.patch.verdict_table import is_verdict_table, read_table_votes, store_table_votes

    opened = run_named(run)
    # What is taken in is read and checked first: no store is made for the sake of what is not there, or does not fit.
    if "://" in file or Path(file).suffix in (".sqlite", ".db"):
        from auditor.review.salvage import judged_in_file

        judged = judged_in_file(file, opened)
        with open_store(store or opened.path) as target:
            target.load_run(opened)
            _from_store(judged, file, target, run, json)
        return
    if is_verdict_table(Path(file)):
        table = read_table_votes(opened, Path(file), reviewer)
        with open_store(store or opened.path) as target:
            target.load_run(opened)
            _from_table(table, *store_table_votes(table, target), run, json)
        return
    opened.require_classes("a file of published verdicts")
    votes = read_votes(opened, Path(file), split=split, index=index)
    with open_store(store or opened.path) as target:
        target.load_run(opened)
        done = store_votes(votes, target, reviewer)
    counts = done.counts
    lines = [
        f"{done.accepted:,} votes on {done.items:,} items stored; {done.repeated:,} were there already",
        f"By 3 of 5 votes: {counts['non-error']:,} right, {counts['errors']:,} errors ({counts['correctable']:,} "
        f"correctable, {counts['multi-label']:,} with both labels, {counts['neither']:,} neither, "
        f"{counts['non-agreement']:,} without agreement)",
        *(f"Note: {note}" for note in done.notes),
        f"Next: auditor patch create {quoted(run)} --consensus 3-of-5",
    ]
    answer(lines, {"schema": "auditor.import-verdicts/1", **asdict(done)} if json else None)


def _from_table(table: TableVotes, accepted: int, repeated: int, run: str, json: bool) -> None:
    from auditor.cli.console import answer
    from auditor.core.escaping import quoted

    lines = [f"{accepted:,} verdicts on {table.items:,} items stored; {repeated:,} were there already"]
    if table.empty:
        lines.append(f"Note: {table.empty:,} rows say nothing")
    lines.append(f"Next: auditor status {quoted(run)}")
    document = {"schema": "auditor.import-verdicts/1", "items": table.items, "accepted": accepted}
    answer(lines, {**document, "repeated": repeated, "empty": table.empty} if json else None)


def _from_store(judged: Judged, name: str, target: VerdictStore, run: str, json: bool) -> None:
    from dataclasses import asdict

    from auditor.cli.console import answer
    from auditor.core.escaping import quoted
    from auditor.review.carry_over import carry_over

    done = carry_over(judged, target)
    changed = done.judged - done.unchanged
    lines = [
        f"{done.accepted:,} verdicts taken over; {done.repeated:,} were there already. Of {done.judged:,} judged items "
        f"{done.unchanged:,} are unchanged"
    ]
    if done.remarks or done.guidelines:
        lines.append(f"Comments and marks taken over: {done.remarks:,}; versions of guidelines: {done.guidelines:,}")
    lines += [f"Note: {note}" for note in done.notes]
    if changed:
        lines.append(
            f"Note: {changed:,} have another content or label here, or are gone; their verdicts stay in {name}"
        )
    if done.unsure:
        lines.append(f"Note: {done.unsure:,} verdicts 'both' were given on another suggestion: stored as unsure")
    if done.older:
        lines.append(f"Note: {done.older:,} verdicts were given anew here by the same person since: these stay")
    if done.damaged:
        first = "; ".join(done.damaged[:5])
        lines.append(
            f"Note: {len(done.damaged):,} damaged verdicts, remarks or guidelines were not taken over: {first}"
        )
    if done.refused:
        lines.append(f"Note: {len(done.refused):,} verdicts do not fit this run; the first: {done.refused[0]}")
    lines.append(f"Next: auditor status {quoted(run)}")
    answer(lines, {"schema": "auditor.import-verdicts/1", **asdict(done)} if json else None)
