"""Taking in what reviewers send: checked against the store's own record, each event once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeVar

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from auditor.core.errors import UsageError
from auditor.review import remarks, schema
from auditor.review.checksums import SAID, SUBJECT, checksum, sound_items
from auditor.review.database import Database, is_sqlite, upsert
from auditor.review.people import checked_reviewer, enter, spellings
from auditor.review.vocabulary import Labels, canonical, other, spelled

#: Where verdicts come from: the review screen, published votes, the person who settles disagreements.
ORIGINS: Final = ("review", "import", "adjudication")

#: Events of one reviewer on one item. People change their minds a few times; a script could fill the disk.
MOST_EVENTS: Final = 200

_DAY_MS: Final = 86_400_000

T = TypeVar("T")


@dataclass(frozen=True)
class SubmitResult:
    """What became of a batch of events. Every event is in one of the four.

    Attributes
    ----------
    accepted : tuple of str
        Uuids stored now.
    repeated : tuple of str
        Uuids that were stored before with the same content.
    refused : tuple of (str, str)
        Uuid (empty where the event had none) and the reason.
    conflicts : tuple of (str, str, str)
        Uuid of a verdict that was not stored because another one of this reviewer holds on that item, which the event
        does not replace; uuid of the one that holds, and what it says. To store it, send it with ``replaces``.
    judged : int
        How many more items the reviewer has a verdict on than before; an undo of a correction brings the earlier
        verdict back and changes nothing.
    """

    accepted: tuple[str, ...]
    repeated: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    conflicts: tuple[tuple[str, str, str], ...] = ()
    judged: int = 0

    @property
    def acknowledged(self) -> tuple[str, ...]:
        """What a client takes out of its outbox: all but the conflicts, of which it asks; refused ones it shows."""
        return (*self.accepted, *self.repeated, *(uuid for uuid, _ in self.refused))


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds characters that no database stores")
    return text


_Uuid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
_Text = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_storable)]


class _Event(BaseModel):
    """What a client sent; fields that are not of its kind are not looked at afterwards."""

    model_config = ConfigDict(frozen=True, strict=True)

    uuid: _Uuid
    kind: Literal["verdict", "retract", "remark"] = "verdict"
    item_id: _Text | None = None
    verdict: _Text | None = None
    shown_label: _Text | None = None
    shown_suggested: _Text | None = None
    target: _Uuid | None = None
    replaces: _Uuid | None = None
    comment: _Text | None = None
    discuss: bool | None = None
    ms: Annotated[float, Field(ge=0, le=1000 * _DAY_MS), AfterValidator(round)] | None = None
    client_time: Annotated[float, Field(gt=-1e12, lt=1e12)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> _Event:
        needed = {"retract": ("target",), "remark": ("item_id",), "verdict": ("item_id", "verdict", "shown_label")}
        for name in needed[self.kind]:
            if getattr(self, name) is None:
                raise ValueError(f"{name!r} is missing")
        if self.kind == "remark" and self.comment is None and self.discuss is None:
            raise ValueError("'comment' and 'discuss' are missing")
        return self


@dataclass
class _Batch:
    """One try to store the events of a reviewer: the store's record of everything they speak of, and the new rows."""

    connection: sa.Connection
    reviewer: str
    names: Collection[str]
    origin: str
    classes: Labels
    items: dict[str, sa.Row[Any]] = field(default_factory=dict)
    subjects: dict[int, Sequence[Any]] = field(default_factory=dict)
    events: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    retracted: set[str] = field(default_factory=set)
    assignments: dict[int, sa.Row[Any]] = field(default_factory=dict)
    stored: Counter[int] = field(default_factory=Counter)
    holding: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def look_up(self, parsed: Sequence[_Event]) -> None:
        events, items, assignments = schema.events, schema.items, schema.assignments
        execute = self.connection.execute
        for part in chunked(list({u for e in parsed for u in (e.uuid, e.target) if u})):
            stored = execute(sa.select(events).where(events.c.event_uuid.in_(part)))
            self.events.update({row["event_uuid"]: row for row in stored.mappings()})
            taken_back = sa.select(events.c.target_uuid).where(events.c.target_uuid.in_(part))
            self.retracted.update(self.connection.scalars(taken_back))

        def look_at(column: sa.Column[Any], values: Collection[Any]) -> None:
            for part in chunked(list(values)):
                for row in sound_items(self.connection, column.in_(part)).values():
                    self.items[row.item_id], self.subjects[row.item] = row, [row._mapping[name] for name in SUBJECT]

        look_at(items.c.item_id, {e.item_id for e in parsed if e.item_id is not None})
        look_at(items.c.item, {e["item"] for e in self.events.values()} - set(self.subjects))
        for places in chunked(sorted(self.subjects)):
            # Locked, so that a claim cannot run out while it is being judged.
            query = (
                sa.select(assignments)
                .where(assignments.c.item.in_(places), assignments.c.reviewer == self.reviewer)
                .order_by(assignments.c.item)
                .with_for_update()
            )
            self.assignments.update({row.item: row for row in execute(query)})
            mine = sa.select(events).where(events.c.item.in_(places), events.c.reviewer.in_(self.names))
            for event in execute(mine.order_by(events.c.event)).mappings():
                self.remember(dict(event))

    def remember(self, row: Mapping[str, Any]) -> None:
        """Of this reviewer's events: how many an item has, and its verdicts that were not taken back, in order."""
        self.stored[row["item"]] += 1
        if row["kind"] == "verdict":
            self.holding[row["item"]][row["event_uuid"]] = row["verdict"]
        else:
            self.holding[row["item"]].pop(row["target_uuid"], None)

    def conflict(self, event: _Event, row: Mapping[str, Any]) -> tuple[str, str, str] | None:
        """The verdict that a new one would replace without having said so; None where there is none."""
        holding = self.holding[row["item"]]
        if row["kind"] == "retract" or "replaces" not in event.model_fields_set or not holding:
            return None
        uuid, verdict = next(reversed(holding.items()))
        return None if event.replaces == uuid or verdict == row["verdict"] else (event.uuid, uuid, verdict)

    def row(self, event: _Event) -> dict[str, Any] | None:
        """The row to store, or None for a repeat; a refusal is a ValueError."""
        before = self.events.get(event.uuid)
        if event.kind == "retract":
            return self._retract_row(event, before)
        item = self.items.get(event.item_id or "")
        if item is None:
            raise ValueError("unknown item: it is not part of this run")
        verdict, shown = event.verdict or "", event.shown_suggested
        if event.shown_label != item.given:
            raise ValueError("stale or forged: the label shown is not the item's given label")
        if shown != item.suggested:
            if self.origin != "import":
                raise ValueError("stale or forged: the suggestion shown is not the item's suggestion")
            if shown is not None:
                spelled(shown, self.classes)
            # Published votes were cast on another model's guess.
            if verdict == "suggested" and shown is not None:
                verdict = other(shown)
            elif verdict == "both" and shown is not None and item.suggested is None:
                raise ValueError("the verdict 'both' needs a suggestion, and the item has none")
        verdict = canonical(verdict, item.given, item.suggested, self.classes)
        if before is not None:
            if (before["item"], before["verdict"]) != (item.item, verdict) or before["reviewer"] not in self.names:
                raise ValueError("the uuid belongs to another event")
            return None
        assigned = self.assignments.get(item.item)
        stream = assigned.stream if assigned is not None else "direct"
        return {
            "event_uuid": event.uuid,
            "kind": "verdict",
            "target_uuid": None,
            "item": item.item,
            "verdict": verdict,
            "shown_label": event.shown_label,
            "shown_suggested": shown,
            "stream": stream if self.origin == "review" else self.origin,
            "inclusion": item.inclusion if item.audit is not None else None,
        }

    def _retract_row(self, event: _Event, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if before is not None:
            known = before["reviewer"] in self.names
            if not known or (before["kind"], before["target_uuid"]) != ("retract", event.target):
                raise ValueError("the uuid belongs to another event")
            return None
        target = self.events.get(event.target or "")
        if target is None or target["kind"] != "verdict":
            raise ValueError("nothing to undo: no such verdict")
        if target["reviewer"] not in self.names:
            raise ValueError("only the reviewer who gave a verdict can undo it")
        if event.target in self.retracted:
            raise ValueError("already undone")
        nothing = {"verdict": None, "shown_label": None, "shown_suggested": None, "inclusion": None}
        row = {"event_uuid": event.uuid, "kind": "retract", "target_uuid": event.target, "item": target["item"]}
        return row | nothing | {"stream": target["stream"]}

    def insert(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Insert, numbered in the given order, because the last verdict on an item holds; returns the uuids that were
        new."""
        if not rows:
            return set()
        events = schema.events
        if is_sqlite(self.connection):  # nobody else is writing
            last = self.connection.scalar(sa.select(sa.func.max(events.c.event))) or 0
            numbers: Iterable[int] = range(last + 1, last + 1 + len(rows))
        else:
            number = sa.func.nextval(sa.func.pg_get_serial_sequence(events.name, events.c.event.name))
            series = sa.func.generate_series(1, len(rows)).table_valued("k")
            numbers = self.connection.scalars(sa.select(number).select_from(series)).all()
        numbered = [row | {"event": number} for row, number in zip(rows, numbers, strict=True)]
        for row in numbered:
            row["checksum"] = checksum([*(row[name] for name in SAID), *self.subjects[row["item"]]])
        insert = upsert(self.connection, events, (), ()).returning(events.c.event_uuid)
        return set(self.connection.scalars(insert, numbered))

    def settle(self, accepted: Sequence[dict[str, Any]], claimed_until: float) -> int:
        """Bring assignments and the counts of the queue in line with the new events; returns how many more items the
        reviewer has a verdict on."""
        touched = sorted({row["item"] for row in accepted})
        if not touched:
            return 0
        first = {row["item"]: row["stream"] for row in reversed(accepted)}
        judged: set[int] = set()
        view = schema.current
        for part in chunked(touched):
            query = sa.select(view.c.item).where(view.c.item.in_(part), view.c.reviewer == self.reviewer)
            judged.update(self.connection.scalars(query))
        taken: dict[int, int] = {}
        rows = []
        for item in touched:
            old = self.assignments.get(item)
            held = old is not None and old.state != schema.EXPIRED
            stream = old.stream if old is not None else first[item]
            # An undone item goes back into the hand it came from; one judged outside the queue leaves no claim.
            claimed = old is not None and stream not in ("direct", "import", "adjudication")
            state = schema.DONE if item in judged else schema.CLAIMED if claimed else schema.EXPIRED
            if change := int(state != schema.EXPIRED) - int(held):
                taken[item] = change
            place = old.place if old is not None else 0
            rows.append({"item": item, "stream": stream, "place": place, "state": state})
        insert = upsert(self.connection, schema.assignments, ("item", "reviewer"), ("state", "claimed_until"))
        self.connection.execute(insert, [r | {"reviewer": self.reviewer, "claimed_until": claimed_until} for r in rows])
        count(self.connection, taken)
        before = sum(item in self.assignments and self.assignments[item].state == schema.DONE for item in touched)
        return len(judged) - before


def submit(
    database: Database,
    reviewer: str,
    batch: Iterable[Mapping[str, Any]],
    classes: Labels,
    now: float,
    lease_seconds: float,
    origin: str = "review",
    judged_at: Mapping[str, float] | None = None,
) -> SubmitResult:
    """Check and store a batch of events in one transaction; see `VerdictStore.submit`."""
    name = checked_reviewer(reviewer)
    if origin not in ORIGINS:
        raise UsageError(f"unknown origin {origin!r}.", f"Known: {', '.join(ORIGINS)}.")
    parsed: list[_Event] = []
    malformed: list[tuple[str, str]] = []
    for raw in batch:
        try:
            parsed.append(_Event.model_validate(dict(raw) if isinstance(raw, Mapping) else raw))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            uuid = raw.get("uuid") if isinstance(raw, Mapping) and first["loc"] != ("uuid",) else ""
            malformed.append((str(uuid), f"malformed: {'.'.join(map(str, first['loc']))} {first['msg']}"))
    if not parsed:
        return SubmitResult((), (), tuple(malformed))

    def work(connection: sa.Connection) -> SubmitResult:
        person = enter(connection, name, now)
        names = spellings(connection, person)
        known = _Batch(connection, person, names, origin, classes)
        judging = [event for event in parsed if event.kind != "remark"]
        known.look_up(judging)
        times = {event.uuid: float((judged_at or {}).get(event.uuid, now)) for event in parsed}
        said = [event for event in parsed if event.kind == "remark"]
        remarked, repeated, not_remarked = remarks.store(connection, person, names, said, times)
        new: list[dict[str, Any]] = []
        refused = [*malformed, *not_remarked]
        conflicts: list[tuple[str, str, str]] = []
        for event in judging:
            try:
                row = known.row(event)
            except ValueError as error:
                refused.append((event.uuid, str(error)))
                continue
            if row is None:
                repeated.append(event.uuid)
                continue
            if known.stored[row["item"]] >= MOST_EVENTS:
                refused.append((event.uuid, f"this reviewer has sent {MOST_EVENTS} verdicts and undos on this item"))
                continue
            if conflict := known.conflict(event, row):
                conflicts.append(conflict)
                continue
            when = {"client_time": event.client_time, "server_time": times[event.uuid]}
            row |= {"reviewer": person, "ms": event.ms, **when}
            new.append(row)
            known.remember(row)
            known.events[event.uuid] = row
            if event.kind == "retract":
                known.retracted.add(row["target_uuid"])
        stored = known.insert(new)
        # Another connection may have stored the same uuid since we looked: its insert won, ours is the repeat.
        repeated += [row["event_uuid"] for row in new if row["event_uuid"] not in stored]
        accepted = [row for row in new if row["event_uuid"] in stored]
        more = known.settle(accepted, now + lease_seconds)
        uuids = (*(row["event_uuid"] for row in accepted), *remarked)
        return SubmitResult(uuids, tuple(repeated), tuple(refused), tuple(conflicts), more)

    return database.write(work)


def chunked(values: Sequence[T], size: int = 400) -> Iterable[Sequence[T]]:
    """Pieces small enough for the parameter limit of every SQLite."""
    return (values[i : i + size] for i in range(0, len(values), size))


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
