"""Taking in what reviewers send: checked against the store's own record, each event once."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.review import schema
from auditor.review.database import Database
from auditor.review.vocabulary import canonical, other

__all__ = ["ORIGINS", "SubmitResult", "checked_reviewer", "chunked", "count", "rewind", "submit"]

#: Where verdicts come from: the review screen, published votes, the person who settles disagreements.
ORIGINS: Final = ("review", "import", "adjudication")

_UUID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_LONGEST: Final = 4096
_DAY_MS: Final = 86_400_000

T = TypeVar("T")


@dataclass(frozen=True)
class SubmitResult:
    """What became of a batch of events. Every event is in one of the three; none needs to be sent again.

    Attributes
    ----------
    accepted : tuple of str
        Uuids stored now.
    repeated : tuple of str
        Uuids that were stored before with the same content.
    refused : tuple of (str, str)
        Uuid (empty where the event had none) and the reason.
    """

    accepted: tuple[str, ...]
    repeated: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def acknowledged(self) -> tuple[str, ...]:
        """What a client takes out of its outbox: all of them; refused ones it shows."""
        return (*self.accepted, *self.repeated, *(uuid for uuid, _ in self.refused))


@dataclass(frozen=True)
class _Event:
    uuid: str
    kind: str
    item_id: str | None = None
    verdict: str | None = None
    shown_label: str | None = None
    shown_suggested: str | None = None
    target: str | None = None
    ms: int | None = None
    client_time: float | None = None


@dataclass
class _Known:
    """The store's record of everything a batch speaks of."""

    items: dict[str, sa.Row[Any]]
    events: dict[str, Mapping[str, Any]]
    retracted: set[str]
    assignments: dict[int, sa.Row[Any]]
    new: list[dict[str, Any]] = field(default_factory=list)


def submit(
    database: Database,
    reviewer: str,
    batch: Iterable[Mapping[str, Any]],
    classes: Collection[str],
    now: float,
    lease_seconds: float,
    origin: str = "review",
) -> SubmitResult:
    """Check and store a batch of events in one transaction; see `VerdictStore.submit`."""
    reviewer = checked_reviewer(reviewer)
    if origin not in ORIGINS:
        raise UsageError(f"unknown origin {origin!r}.", f"Known: {', '.join(ORIGINS)}.")
    parsed: list[_Event] = []
    malformed: list[tuple[str, str]] = []
    for raw in batch:
        try:
            parsed.append(_parse(raw))
        except ValueError as error:
            uuid = raw.get("uuid") if isinstance(raw, Mapping) else None
            malformed.append((uuid if isinstance(uuid, str) and _UUID.fullmatch(uuid) else "", f"malformed: {error}"))
    if not parsed:
        return SubmitResult((), (), tuple(malformed))

    def work(connection: sa.Connection) -> SubmitResult:
        return _store(database, connection, reviewer, parsed, malformed, classes, now, lease_seconds, origin)

    return database.write(work)


def checked_reviewer(name: object) -> str:
    """A reviewer's name, trimmed.

    Raises
    ------
    UsageError
        If it is empty, longer than 200 characters or not printable.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 200 or not text.isprintable():
        raise UsageError("a reviewer needs a printable name of 1 to 200 characters.")
    return text


def chunked(values: Sequence[T], size: int = 400) -> Iterable[Sequence[T]]:
    """Pieces small enough for the parameter limit of every SQLite."""
    return (values[i : i + size] for i in range(0, len(values), size))


def _parse(raw: object) -> _Event:
    if not isinstance(raw, Mapping):
        raise ValueError("an event is a mapping")
    uuid = raw.get("uuid")
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
        raise ValueError("'uuid' must be 8 to 64 letters, digits or hyphens")
    kind = raw.get("kind", "verdict")
    ms, client_time = _milliseconds(raw.get("ms")), _seconds(raw.get("client_time"))
    if kind == "retract":
        target = raw.get("target")
        if not isinstance(target, str) or not _UUID.fullmatch(target):
            raise ValueError("'target' must be the uuid of a verdict")
        return _Event(uuid, "retract", target=target, ms=ms, client_time=client_time)
    if kind != "verdict":
        raise ValueError("'kind' must be 'verdict' or 'retract'")
    return _Event(
        uuid,
        "verdict",
        item_id=_text(raw, "item_id"),
        verdict=_text(raw, "verdict"),
        shown_label=_text(raw, "shown_label"),
        shown_suggested=None if raw.get("shown_suggested") is None else _text(raw, "shown_suggested"),
        ms=ms,
        client_time=client_time,
    )


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"{key!r} must be a text of at most {_LONGEST} characters")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"{key!r} holds characters that no database stores")
    return value


def _milliseconds(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000 * _DAY_MS:
        raise ValueError("'ms' must be a number of milliseconds")
    return round(value)


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise ValueError("'client_time' must be seconds since 1970")
    return float(value) if math.isfinite(value) else None


def _store(
    database: Database,
    connection: sa.Connection,
    reviewer: str,
    parsed: Sequence[_Event],
    malformed: Sequence[tuple[str, str]],
    classes: Collection[str],
    now: float,
    lease_seconds: float,
    origin: str,
) -> SubmitResult:
    known = _look_up(database, connection, reviewer, parsed)
    repeated: list[str] = []
    refused = list(malformed)
    for event in parsed:
        try:
            row = _row(known, reviewer, event, classes, origin)
        except ValueError as error:
            refused.append((event.uuid, str(error)))
            continue
        if row is None:
            repeated.append(event.uuid)
            continue
        row |= {"reviewer": reviewer, "ms": event.ms, "client_time": event.client_time, "server_time": now}
        known.new.append(row)
        known.events[event.uuid] = row
        if row["kind"] == "retract":
            known.retracted.add(row["target_uuid"])
    stored = _insert(database, connection, known.new)
    # Another connection may have stored the same uuid since we looked: its insert won, ours is the repeat.
    repeated += [row["event_uuid"] for row in known.new if row["event_uuid"] not in stored]
    accepted = [row for row in known.new if row["event_uuid"] in stored]
    _settle(database, connection, reviewer, known, accepted, now, lease_seconds)
    return SubmitResult(tuple(r["event_uuid"] for r in accepted), tuple(repeated), tuple(refused))


def _look_up(database: Database, connection: sa.Connection, reviewer: str, parsed: Sequence[_Event]) -> _Known:
    events, items, assignments, queue = schema.events, schema.items, schema.assignments, schema.queue
    known = _Known({}, {}, set(), {})
    uuids = list({u for e in parsed for u in (e.uuid, e.target) if u})
    for part in chunked(uuids):
        found = connection.execute(sa.select(events).where(events.c.event_uuid.in_(part)))
        known.events.update({row["event_uuid"]: row for row in found.mappings()})
        taken_back = sa.select(events.c.target_uuid).where(events.c.target_uuid.in_(part))
        known.retracted.update(connection.scalars(taken_back))
    columns = (items.c.item, items.c.item_id, items.c.given, items.c.suggested, items.c.inclusion, queue.c.audit)
    for part in chunked(list({e.item_id for e in parsed if e.item_id is not None})):
        query = sa.select(*columns).join(queue, queue.c.item == items.c.item).where(items.c.item_id.in_(part))
        known.items.update({row.item_id: row for row in connection.execute(query)})
    places = {row.item for row in known.items.values()} | {e["item"] for e in known.events.values()}
    for part in chunked(sorted(places)):
        # Locked, so that a claim cannot run out while it is being judged.
        query = (
            sa.select(assignments)
            .where(assignments.c.item.in_(part), assignments.c.reviewer == reviewer)
            .order_by(assignments.c.item)
            .with_for_update()
        )
        known.assignments.update({row.item: row for row in connection.execute(query)})
    return known


def _row(known: _Known, reviewer: str, event: _Event, classes: Collection[str], origin: str) -> dict[str, Any] | None:
    """The row to store, or None for a repeat; a refusal is a ValueError."""
    before = known.events.get(event.uuid)
    if event.kind == "retract":
        return _retract_row(known, reviewer, event, before)
    item = known.items.get(event.item_id or "")
    if item is None:
        raise ValueError("unknown item: it is not part of this run")
    verdict, shown = event.verdict or "", event.shown_suggested
    if event.shown_label != item.given:
        raise ValueError("stale or forged: the label shown is not the item's given label")
    if shown != item.suggested:
        if origin != "import":
            raise ValueError("stale or forged: the suggestion shown is not the item's suggestion")
        if shown is not None and shown not in classes:
            raise ValueError(f"unknown class {shown[:80]!r}")
        # Published votes were cast on another model's guess.
        if verdict == "suggested" and shown is not None:
            verdict = other(shown)
        elif verdict == "both" and shown is not None and item.suggested is None:
            raise ValueError("the verdict 'both' needs a suggestion, and the item has none")
    verdict = canonical(verdict, item.given, item.suggested, classes)
    if before is not None:
        same = (before["item"], before["reviewer"], before["verdict"]) == (item.item, reviewer, verdict)
        if not same:
            raise ValueError("the uuid belongs to another event")
        return None
    assigned = known.assignments.get(item.item)
    stream = assigned.stream if assigned is not None else "direct"
    if origin != "review":
        stream = "import" if origin == "import" else "adjudication"
    return {
        "event_uuid": event.uuid,
        "kind": "verdict",
        "target_uuid": None,
        "item": item.item,
        "verdict": verdict,
        "shown_label": event.shown_label,
        "shown_suggested": shown,
        "stream": stream,
        "inclusion": item.inclusion if item.audit is not None else None,
    }


def _retract_row(
    known: _Known, reviewer: str, event: _Event, before: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if before is not None:
        if (before["kind"], before["reviewer"], before["target_uuid"]) != ("retract", reviewer, event.target):
            raise ValueError("the uuid belongs to another event")
        return None
    target = known.events.get(event.target or "")
    if target is None or target["kind"] != "verdict":
        raise ValueError("nothing to undo: no such verdict")
    if target["reviewer"] != reviewer:
        raise ValueError("only the reviewer who gave a verdict can undo it")
    if event.target in known.retracted:
        raise ValueError("already undone")
    nothing = {"verdict": None, "shown_label": None, "shown_suggested": None, "inclusion": None}
    row = {"event_uuid": event.uuid, "kind": "retract", "target_uuid": event.target, "item": target["item"]}
    return row | nothing | {"stream": target["stream"]}


def _insert(database: Database, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert in the given order; returns the uuids that were new."""
    stored: set[str] = set()
    # A statement of several rows does not promise their order, and the last verdict on an item holds: so the second
    # verdict on an item goes into a statement of its own.
    waves: list[list[dict[str, Any]]] = []
    seen: dict[int, int] = {}
    for row in rows:
        wave = seen[row["item"]] = seen.get(row["item"], -1) + 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(row)
    statement = database.insert(schema.events).on_conflict_do_nothing().returning(schema.events.c.event_uuid)
    for rows_of_wave in waves:
        stored.update(connection.scalars(statement, rows_of_wave))
    return stored


def _settle(
    database: Database,
    connection: sa.Connection,
    reviewer: str,
    known: _Known,
    accepted: Sequence[dict[str, Any]],
    now: float,
    lease_seconds: float,
) -> None:
    """Bring assignments and the counts of the queue in line with the new events."""
    touched = sorted({row["item"] for row in accepted})
    if not touched:
        return
    first = {row["item"]: row["stream"] for row in reversed(accepted)}
    judged: set[int] = set()
    view = schema.current
    for part in chunked(touched):
        query = sa.select(view.c.item).where(view.c.item.in_(part), view.c.reviewer == reviewer)
        judged.update(connection.scalars(query))
    taken: dict[int, int] = {}
    rows = []
    for item in touched:
        old = known.assignments.get(item)
        held = old is not None and old.state != schema.EXPIRED
        stream = old.stream if old is not None else first[item]
        # An undone item goes back into the hand it came from; one judged outside the queue leaves no claim.
        back = schema.CLAIMED if old is not None and stream not in ("direct", "import", "adjudication") else None
        state = schema.DONE if item in judged else schema.EXPIRED if back is None else back
        change = int(state != schema.EXPIRED) - int(held)
        if change:
            taken[item] = change
        place = old.place if old is not None else 0
        rows.append(
            {
                "item": item,
                "reviewer": reviewer,
                "stream": stream,
                "place": place,
                "state": state,
                "claimed_until": now + lease_seconds,
            }
        )
    insert = database.insert(schema.assignments)
    upsert = insert.on_conflict_do_update(
        index_elements=["item", "reviewer"],
        set_={"state": insert.excluded.state, "claimed_until": insert.excluded.claimed_until},
    )
    connection.execute(upsert, rows)
    count(connection, taken)


def count(connection: sa.Connection, taken: Mapping[int, int]) -> None:
    """Change how many reviewers items have, by item; reopened ones are offered to everybody again."""
    queue = schema.queue
    # In the order of the items, as everywhere: transactions that lock in one order seldom deadlock.
    for change in sorted(set(taken.values())):
        for part in chunked([item for item in sorted(taken) if taken[item] == change]):
            total = queue.c.taken + change
            update = sa.update(queue).where(queue.c.item.in_(part))
            connection.execute(update.values(taken=total, open=sa.case((total < queue.c.wanted, 1), else_=0)))
    reopened = [item for item, change in taken.items() if change < 0]
    if reopened:
        rewind(connection, reopened)


def rewind(connection: sa.Connection, reopened: Sequence[int]) -> None:
    """Set every reviewer's cursors back before items that are open again."""
    queue, people = schema.queue, schema.reviewers
    lowest: dict[str, int] = {}
    for part in chunked(sorted(reopened)):
        query = sa.select(sa.func.min(queue.c.ranked), sa.func.min(queue.c.audit)).where(queue.c.item.in_(part))
        for name, value in zip(("ranked_cursor", "audit_cursor"), connection.execute(query).one(), strict=True):
            if value is not None:
                lowest[name] = min(lowest.get(name, value - 1), value - 1)
    for name, value in lowest.items():
        column = people.c[name]
        connection.execute(sa.update(people).where(column > value).values({name: value}))
