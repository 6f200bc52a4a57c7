"""Checksums: of an event with the item that it speaks of, of an item with its scores, of a draw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import RunError
from auditor.core.hashing import hash_json
from auditor.review import schema
from auditor.review.database import is_sqlite, salvage_advice, shown

#: What the checksum of an item covers, in this order: its columns, and its place in the audit stream.
ITEM: Final = (*(column for column in schema.items.c if column.name != "checksum"), schema.queue.c.audit)
SUBJECT: Final = ("item_id", "content_hash", "given", "suggested")


@dataclass(frozen=True)
class Written:
    """A table of what people wrote: its rows are never changed, and each has a checksum.

    Attributes
    ----------
    table : sqlalchemy.Table
    key : tuple of str
        Columns that name a row; one that the store numbers, or several.
    words : str
        A row in a message, to be formatted with these.
    subject : tuple of str
        Columns of the item that a row speaks of, of `SUBJECT`.
    apart : tuple of str
        Columns that the checksum leaves out.
    """

    table: sa.Table
    key: tuple[str, ...]
    words: str
    subject: tuple[str, ...] = ()
    apart: tuple[str, ...] = ("checksum",)

    @property
    def said(self) -> tuple[str, ...]:
        """Columns of the table that the checksum covers, in this order; those of `subject` follow."""
        return tuple(column.name for column in self.table.columns if column.name not in self.apart)

    def seal(self, row: Mapping[str, Any], subject: Iterable[Any] = ()) -> str:
        """The checksum of a row; its values by name."""
        return checksum([*(row[name] for name in self.said), *subject])

    def named(self, key: Sequence[Any]) -> str:
        """A row in a message."""
        return self.words.format(*key)


EVENTS: Final = Written(schema.events, ("event",), "event {}", SUBJECT)
REMARKS: Final = Written(schema.remarks, ("remark",), "remark {}", ("item_id",), ("remark", "checksum"))
GUIDELINES: Final = Written(schema.guidelines, ("class_name", "version"), "guideline of {!r}, version {}")
#: All that people wrote.
WRITTEN: Final = (EVENTS, REMARKS, GUIDELINES)
#: Columns of an event that its checksum covers.
SAID: Final = EVENTS.said
#: Facts of a store that are fixed with its run.
FIXED: Final = ("run", "class_names", "plan", "n_items", "n_flagged", "n_audit", "n_frame")
#: Key of `schema.meta`: which events are older than their checksums, ``{"last", "count", "time"}``.
BEFORE: Final = "events_before_checksums"
#: Key of `schema.meta`: when the items of a store got checksums that had none before.
ITEMS_BEFORE: Final = "items_before_checksums"
_CHANGED: Final = "item {}: its scores or its probability are not what was stored"


def checksum(values: Iterable[Any]) -> str:
    """Of what a row says and the item it speaks of (`Written`). It never changes: stores hold it."""
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
    # Stores of classes hold a digest of before there were other labels.
    form = [facts["label_form"]] if "label_form" in facts else []
    return hash_json([*(facts.get(name) for name in FIXED), *form])


def events_before(connection: sa.Connection) -> dict[str, Any] | None:
    """The fact `BEFORE`; None where all events have had their checksums from the start."""
    value = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == BEFORE))
    return None if value is None else dict(json.loads(value))


def damaged_rows(connection: sa.Connection, written: Written) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Key of each row of a table that is not as it was stored, or is gone, and what is wrong with it.

    Events and remarks are numbered without a gap on SQLite, where one transaction writes at a time.
    """
    before = events_before(connection) if written is EVENTS else None
    table, items = written.table, schema.items
    key = [table.c[name] for name in written.key]
    covered = [*(table.c[name] for name in written.said), *(items.c[name] for name in written.subject)]
    query = sa.select(*covered, table.c.checksum, *key).order_by(*key)
    if written.subject:
        query = query.outerjoin(items, items.c.item == table.c.item)
    numbered = is_sqlite(connection) and len(key) == 1
    last, count, first_after = 0, 0, (before or {"last": 0})["last"]
    for row in connection.execute(query):
        values, sealed, name = row[: len(covered)], row[len(covered)], row[len(covered) + 1 :]
        if numbered:
            number = name[0]
            if number > first_after and number != (gap := max(last, first_after) + 1):
                yield (gap,), f"it is gone, and {number - gap - 1:,} more" if number > gap + 1 else "it is gone"
            last, count = number, count + (number <= first_after)
        elif before:
            count += name[0] <= first_after
        if sealed is None or checksum(values) != sealed:
            yield tuple(name), "it is not what was stored"
    if before and count != before["count"]:
        yield (first_after,), f"{before['count'] - count:,} of the events up to this one are gone"
    if numbered:
        newest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        if (newest or 0) > max(last, first_after):
            yield (newest,), "it is gone"


def faults_of(connection: sa.Connection, written: Written) -> Iterator[str]:
    """The same, one line for each fault."""
    for key, what in damaged_rows(connection, written):
        yield f"{written.named(key)}: {what}"
