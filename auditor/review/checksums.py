"""The checksum of an event: over its number, all it says, and the item that it speaks of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.hashing import hash_json
from auditor.review import schema
from auditor.review.database import is_sqlite

#: What a checksum covers, in this order: columns of the event, then of its item.
SAID: Final = tuple(column.name for column in schema.events.columns if column.name != "checksum")
SUBJECT: Final = ("item_id", "content_hash", "given", "suggested")
#: Facts of a store that are fixed with its run.
FIXED: Final = ("run", "class_names", "plan", "n_items", "n_flagged", "n_audit", "n_frame")
#: Key of `schema.meta`: which events are older than their checksums, ``{"last", "count", "time"}``.
BEFORE: Final = "events_before_checksums"


def checksum(values: Iterable[Any]) -> str:
    """Of the values of `SAID` and `SUBJECT`. It never changes: stores hold it."""
    return hashlib.blake2b(json.dumps(list(values)).encode(), digest_size=16).hexdigest()


def digest(facts: Mapping[str, Any]) -> str:
    """Of what is fixed with the run; stores hold it under ``digest``."""
    return hash_json([facts.get(name) for name in FIXED])


def events_before(connection: sa.Connection) -> dict[str, Any] | None:
    """The fact `BEFORE`; None where all events have had their checksums from the start."""
    value = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == BEFORE))
    return None if value is None else dict(json.loads(value))


def damaged_events(connection: sa.Connection) -> Iterator[tuple[int, str]]:
    """Number of each event that is not as it was stored, or is gone, and what is wrong with it.

    Events are numbered without a gap on SQLite, where one transaction writes at a time.
    """
    before = events_before(connection)
    events, items = schema.events.c, schema.items.c
    columns = (*(events[name] for name in SAID), *(items[name] for name in SUBJECT), events.checksum)
    query = sa.select(*columns).outerjoin(schema.items, items.item == events.item).order_by(events.event)
    last, count, first_after = 0, 0, (before or {"last": 0})["last"]
    for row in connection.execute(query):
        number = row.event
        if is_sqlite(connection) and number > first_after and number != (gap := max(last, first_after) + 1):
            yield gap, f"it is gone, and {number - gap - 1:,} more" if number > gap + 1 else "it is gone"
        if row.checksum is None or checksum(row[:-1]) != row.checksum:
            yield number, "it is not what was stored"
        last, count = number, count + (number <= first_after)
    if before and count != before["count"]:
        yield first_after, f"{before['count'] - count:,} of the events up to this one are gone"
    if is_sqlite(connection):
        newest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")) or 0
        if newest > max(last, first_after):
            yield newest, "it is gone"
