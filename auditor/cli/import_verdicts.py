"""``auditor import-verdicts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from auditor.cli.options import Index, Json, RunName, Store

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore


def import_verdicts(
    run: RunName,
    file: Annotated[str, Argument(metavar="FILE|STORE", help="Published verdicts (mturk.json), or another store.")],
    split: Annotated[str | None, Option(help="Split that was judged; default test, or the only one.")] = None,
    index: Index = None,
    reviewer: Annotated[str, Option(help="Name of these people; person 1 is NAME-1.")] = "published",
    store: Store = None,
    json: Json = False,
) -> None:
    """Take in published crowd verdicts, or those of another store on unchanged items. Doing it twice adds nothing."""
    from contextlib import nullcontext
    from dataclasses import asdict
    from pathlib import Path

    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted
    from auditor.core.reading import regular_file
    from auditor.patch.importing import import_verdicts as work
    from auditor.patch.rules import open_store

    opened = run_named(run)
    is_store = "://" in file or Path(file).suffix in (".sqlite", ".db")
    # First of all: a store is not made for the sake of one that is not there.
    with open_store(file, make=False, salvage=True) if is_store else nullcontext() as source:
        if source is None:
            regular_file(file)
        with open_store(store or opened.path) as target:
            target.load_run(opened)
            if source is not None:
                _from_store(source, file, target, run, json)
                return
            done = work(opened, Path(file), target, split=split, index=index, reviewer=reviewer)
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


def _from_store(source: VerdictStore, name: str, target: VerdictStore, run: str, json: bool) -> None:
    from dataclasses import asdict

    from auditor.cli.console import answer
    from auditor.core.escaping import quoted
    from auditor.review.carry_over import carry_over

    done = carry_over(source, target)
    changed = done.judged - done.unchanged
    lines = [
        f"{done.accepted:,} verdicts taken over; {done.repeated:,} were there already. Of {done.judged:,} judged items "
        f"{done.unchanged:,} are unchanged"
    ]
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
        lines.append(f"Note: {len(done.damaged):,} damaged verdicts or undos were not taken over: {first}")
    if done.refused:
        lines.append(f"Note: {len(done.refused):,} verdicts do not fit this run; the first: {done.refused[0]}")
    lines.append(f"Next: auditor status {quoted(run)}")
    answer(lines, {"schema": "auditor.import-verdicts/1", **asdict(done)} if json else None)
