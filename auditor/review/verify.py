"""Whether a verdict store is whole and says only what can have been said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.review import schema
from auditor.review.database import is_sqlite
from auditor.review.events import checked_reviewer
from auditor.review.loading import RunTables, run_items, stored_items
from auditor.review.vocabulary import canonical


def faults(connection: sa.Connection, run: RunTables) -> list[str]:
    """What is wrong with a store, one line for each fault; see `VerdictStore.verify`."""
    if is_sqlite(connection):
        answers = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        if answers != ["ok"]:
            return answers
    if stored_items(connection) != run_items(run):
        return ["its items are not those of the run"]
    items, events = schema.items.c, schema.events
    query = sa.select(events, items.item_id, items.given, items.suggested)
    query = query.outerjoin(schema.items, items.item == events.c.item).order_by(events.c.event)
    return list(_of_events(connection.execute(query).all(), set(run.class_names)))


def _of_events(rows: Sequence[sa.Row[Any]], classes: set[str]) -> Iterator[str]:
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
            yield f"event {row.event}: {error}"
