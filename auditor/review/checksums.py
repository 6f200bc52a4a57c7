"""Checksums: of an event with the item that it speaks of, of an item with its scores, of a draw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import RunError
from auditor.core.hashing import hash_json
from auditor.review import schema
from auditor.review.database import is_sqlite, salvage_advice, shown

#: What a checksum covers, in this order: columns of the event, then of its item.
SAID: Final = tuple(column.name for column in schema.events.columns if column.name != "checksum")
#: What the checksum of an item covers, in this order: its columns, and its place in the audit stream.
ITEM: Final = (*(column for column in schema.items.c if column.name != "checksum"), schema.queue.c.audit)
SUBJECT: Final = ("item_id", "content_hash", "given", "suggested")
#: Facts of a store that are fixed with its run.
FIXED: Final = ("run", "class_names", "plan", "n_items", "n_flagged", "n_audit", "n_frame")
#: Key of `schema.meta`: which events are older than their checksums, ``{"last", "count", "time"}``.
BEFORE: Final = "events_before_checksums"
#: Key of `schema.meta`: when the items of a store got checksums that had none before.
ITEMS_BEFORE: Final = "items_before_checksums"
_CHANGED: Final = "item {}: its scores or its probability are not what was stored"


def checksum(values: Iterable[Any]) -> str:
    """Of the values of `SAID` and `SUBJECT`. It never changes: stores hold it."""
    return hashlib.blake2b(json.dumps(list(values)).encode(), digest_size=16).hexdigest()


def row_checksum(values: Iterable[Any]) -> str:
    """Of the values of `ITEM`, or of a draw before its checksum. It never changes: stores hold it."""
    # A database gives -0.0 back as 0.0.
    return checksum(value + 0.0 if isinstance(value, float) else value for value in values)


def sound_items(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> dict[int, sa.Row[Any]]:
    """Items by place, with the columns of `ITEM`, in the order of their places.

    Raises
    ------
    RunError
        If one is not as it was stored.
    """
    rows = connection.execute(_items().where(wanted)).all()
    if changed := [row.item for row in rows if row.checksum != row_checksum(row[:-1])]:
        raise damaged(connection, list(map(_CHANGED.format, changed)))
    return {row.item: row for row in rows}


def damaged(connection: sa.Connection, faults: Sequence[str]) -> RunError:
    """The error about what a store holds beside its verdicts."""
    url = connection.engine.url
    return RunError(f"the store {shown(url)} is damaged: {'; '.join(faults[:5])}.", salvage_advice(url))


def damaged_items(connection: sa.Connection) -> Iterator[str]:
    """What is wrong with the items and draws of a store, one line for each fault."""
    for row in connection.execute(_items().execution_options(yield_per=20_000)):
        if row.checksum != row_checksum(row[:-1]):
            yield _CHANGED.format(row.item)
    yield from damaged_draws(connection)


def damaged_draws(connection: sa.Connection) -> Iterator[str]:
    """Draws of the audit stream that are not as they were stored."""
    draws = schema.audit_draws
    for row in connection.execute(sa.select(draws).order_by(draws.c.draw)):
        if row.checksum != row_checksum(row[:-1]):
            yield f"draw {row.draw}: it is not what was stored"


def seal_items(connection: sa.Connection) -> None:
    """Give all items the checksum of what they hold now."""
    items = schema.items
    change = sa.update(items).where(items.c.item == sa.bindparam("at")).values(checksum=sa.bindparam("value"))
    after = 0
    while rows := connection.execute(_items().where(items.c.item > after).limit(20_000)).all():
        sums = [(row.item, row_checksum(row[:-1]), row.checksum) for row in rows]
        if changed := [{"at": item, "value": new} for item, new, old in sums if new != old]:
            connection.execute(change, changed)
        after = rows[-1].item


def _items() -> sa.Select[Any]:
    items, queue = schema.items, schema.queue
    query = sa.select(*ITEM, items.c.checksum).outerjoin(queue, queue.c.item == items.c.item)
    return query.order_by(items.c.item)


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
