"""Whether a verdict store is whole and says only what can have been said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from auditor.core.errors import RunError, UsageError
from auditor.review import schema
from auditor.review.checksums import EVENTS, GUIDELINES, REMARKS, damaged_items, damaged_rows, faults_of
from auditor.review.database import Database, is_sqlite, salvage_advice, shown
from auditor.review.loading import RunTables, read_meta, run_items, stored_items
from auditor.review.people import checked_reviewer, confused
from auditor.review.vocabulary import Labels, canonical, labels_of


def faults(connection: sa.Connection, run: RunTables | None) -> list[str]:
    """What is wrong with a store, one line for each fault; see `VerdictStore.verify`."""
    if broken := _broken_structure(connection, ""):
        return broken
    if run is not None and stored_items(connection) != run_items(run):
        return ["its items are not those of the run"]
    facts = read_meta(connection)
    items, events = schema.items.c, schema.events
    query = sa.select(events, items.item_id, items.given, items.suggested)
    query = query.outerjoin(schema.items, items.item == events.c.item).order_by(events.c.event)
    wrong = {event: what for (event,), what in damaged_rows(connection, EVENTS)}
    wrong |= dict(_impossible(connection.execute(query).all(), labels_of(facts) if facts else ()))
    # Only where the events are sound: what follows from them cannot be, else.
    told = [f"event {event}: {what}" for event, what in sorted(wrong.items())] or list(_miscounted(connection))
    told += confused(connection)
    return [*told, *damaged_items(connection), *faults_of(connection, REMARKS), *faults_of(connection, GUIDELINES)]


def refuse_damaged(database: Database) -> None:
    """Stop before damaged verdicts are used.

    Raises
    ------
    RunError
        Which names them, and how the others are saved.
    """

    def look(connection: sa.Connection) -> tuple[list[str], int]:
        if broken := _broken_structure(connection, "(events)"):
            return broken, 0
        wrong = list(faults_of(connection, EVENTS))
        return [*wrong, *confused(connection)], len(wrong)

    lines, n_events = database.read(look)
    if lines:
        what = f"{n_events:,} verdicts or undos in" if n_events else "the verdicts in"
        raise RunError(
            f"{what} the store {shown(database.url)} are damaged: {'; '.join(lines[:5])}.", salvage_advice(database.url)
        )


def _broken_structure(connection: sa.Connection, table: str) -> list[str]:
    """SQLite's own check of all tables with their indexes, or of one; nothing elsewhere."""
    if not is_sqlite(connection):
        return []
    answers = [row[0] for row in connection.exec_driver_sql(f"PRAGMA integrity_check{table}")]
    return [] if answers == ["ok"] else answers


def _impossible(rows: Sequence[sa.Row[Any]], classes: Labels) -> Iterator[tuple[int, str]]:
    verdicts = {row.event_uuid for row in rows if row.kind == "verdict"}
    for row in rows:
        try:
            if row.item_id is None:
                raise ValueError("its item is not in the store")
            checked_reviewer(row.reviewer)
            if row.kind == "retract" and row.target_uuid not in verdicts:
                raise ValueError("it takes back a verdict that is not there")
            if row.kind == "verdict":
                if row.shown_label != row.given:
                    raise ValueError(f"the label shown was {row.shown_label!r}, the item's is {row.given!r}")
                canonical(row.verdict, row.given, row.suggested, classes)
        except (ValueError, UsageError) as error:
            yield row.event, str(error)


def _miscounted(connection: sa.Connection) -> Iterator[str]:
    """Where what the queue knows of verdicts is not what the events say."""
    a, q, view = schema.assignments, schema.queue, schema.current
    judged = sa.exists().where(view.c.item == a.c.item, view.c.reviewer == a.c.reviewer)
    other = sa.select(sa.func.count()).select_from(a).where((a.c.state == schema.DONE) != judged)
    if n := connection.scalar(other):
        yield f"{n:,} assignments do not agree with the verdicts"
    held = sa.select(sa.func.count()).where(a.c.item == q.c.item, a.c.state != schema.EXPIRED).scalar_subquery()
    is_open = sa.case((q.c.taken < q.c.wanted, 1), else_=0)
    wrong = sa.select(sa.func.count()).select_from(q).where((q.c.taken != held) | (q.c.open != is_open))
    if n := connection.scalar(wrong):
        yield f"{n:,} places of the queue do not agree with the assignments"
