"""Who gets which item next: two interleaved streams, planted controls, claims that run out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from auditor.core.seeds import generator
from auditor.review import parts, schema
from auditor.review.additions import set_fact
from auditor.review.database import lock, upsert
from auditor.review.events import chunked, count, rewind
from auditor.review.loading import QueuePlan
from auditor.review.parts import Pair, in_part, of_others
from auditor.review.people import enter, known_as

#: Any fixed number; the schema comes on top, so that runs in one database do not wait for each other.
_QUEUE_LOCK: Final = 0x61756471
_STREAMS: Final = ("ranked", "audit", "control")
#: Key of `schema.meta` that describes the last change of the order.
_REORDERED: Final = "reordered"


@dataclass(frozen=True)
class Hand:
    """What a reviewer holds: nobody else gets these items while they wait there.

    Attributes
    ----------
    reviewer : str
    items : int
    audit : int
        Those of them that belong to the audit stream: an estimate waits for the first of these.
    seconds : float
        Until they go to others, unless the reviewer goes on.
    """

    reviewer: str
    items: int
    audit: int
    seconds: float


@dataclass(frozen=True)
class Reordering:
    """A change of the order of the ranked stream.

    Attributes
    ----------
    events : int
        Number of the last event the order knows of.
    reason : str
        Why it is what it is, in words.
    moved : int
        Items that stand elsewhere than before.
    """

    events: int
    reason: str
    moved: int


def claim_batch(
    connection: sa.Connection,
    plan: QueuePlan,
    reviewer: str,
    n: int,
    now: float,
    lease: float,
    part: Sequence[Pair] | None = None,
) -> list[int]:
    """Fill the reviewer's hand up to `n` items for `lease` seconds, those already in it first; returns their places.

    With a `part` only items of it, which come from the flagged list alone (`parts.in_part`).
    """
    # One claim at a time: otherwise two reviewers could both read an item as open.
    lock(connection, _QUEUE_LOCK)
    a = schema.assignments
    _let_go(connection, sa.and_(a.c.state == schema.CLAIMED, a.c.claimed_until < now))
    person = _reviewer(connection, reviewer, now)
    until = now + lease
    hand = _hand(connection, person.reviewer, n, until, part)
    if (need := n - len(hand)) <= 0:
        return hand
    if part is not None:
        return hand + _claim_part(connection, person, part, need, until)
    return hand + _claim(connection, plan, person, need, until)


def _let_go(connection: sa.Connection, claims: sa.ColumnElement[bool]) -> int:
    """End claims; returns how many."""
    a = schema.assignments
    gone = list(connection.scalars(sa.update(a).where(claims).values(state=schema.EXPIRED).returning(a.c.item)))
    # One item may have lost several claims at once.
    count(connection, {item: -lost for item, lost in Counter(gone).items()})
    return len(gone)


def _reviewer(connection: sa.Connection, name: str, now: float) -> sa.Row[Any]:
    # Locked, so that cursors set back meanwhile by another transaction are not overwritten.
    shown = enter(connection, name, now)
    query = sa.select(schema.reviewers).where(schema.reviewers.c.reviewer == shown).with_for_update()
    return connection.execute(query).one()


def _hand(connection: sa.Connection, reviewer: str, n: int, until: float, part: Sequence[Pair] | None) -> list[int]:
    a, q = schema.assignments, schema.queue
    mine = sa.and_(a.c.reviewer == reviewer, a.c.state == schema.CLAIMED)
    query = sa.select(a.c.item).where(mine).order_by(a.c.place, a.c.item).limit(n)
    if part is not None:
        query = query.join(q, q.c.item == a.c.item).where(in_part(part))
    hand = list(connection.scalars(query))
    if hand:
        connection.execute(sa.update(a).where(mine).values(claimed_until=until))
    return hand


def _claim(connection: sa.Connection, plan: QueuePlan, person: sa.Row[Any], need: int, until: float) -> list[int]:
    cursors = {"ranked": person.ranked_cursor, "audit": person.audit_cursor, "control": 0}
    waiting = {
        stream: _candidates(connection, stream, person.reviewer, cursor, need) for stream, cursor in cursors.items()
    }
    # What was handed out and came back without a verdict goes first: the estimate ends before the first such draw.
    taken: dict[int, str] = dict.fromkeys(_stalled(connection, person.reviewer, need), "audit")
    for wish in _wishes(plan, person.reviewer, person.served, need)[len(taken) :]:
        # A stream that has run dry gives its places to the others; controls never fill up a queue.
        for stream in dict.fromkeys((wish, "ranked", "audit")):
            rows = waiting[stream]
            while rows and rows[0][0] in taken:  # drawn for the audit and flagged as well
                cursors[stream] = max(cursors[stream], rows.pop(0)[1])
            if rows:
                item, position = rows.pop(0)
                taken[item] = stream
                cursors[stream] = max(cursors[stream], position)
                break
    _hand_out(connection, person, taken, until)
    people = schema.reviewers
    connection.execute(
        sa.update(people)
        .where(people.c.reviewer == person.reviewer)
        .values(served=person.served + need, ranked_cursor=cursors["ranked"], audit_cursor=cursors["audit"])
    )
    return list(taken)


def _claim_part(
    connection: sa.Connection, person: sa.Row[Any], part: Sequence[Pair], need: int, until: float
) -> list[int]:
    """Open items of a part that the reviewer has not had, in the order of the flagged list.

    The cursors stay: they tell what was passed over in the common queue, and nothing of the audit stream moves.
    """
    q = schema.queue
    query = sa.select(q.c.item).where(q.c.open == 1, in_part(part), ~_had(q, person.reviewer))
    others = of_others(connection, person.reviewer)
    query = query if others is None else query.where(~others)
    taken = dict.fromkeys(connection.scalars(query.order_by(q.c.ranked).limit(need)), "ranked")
    _hand_out(connection, person, taken, until)
    people = schema.reviewers
    change = sa.update(people).where(people.c.reviewer == person.reviewer)
    connection.execute(change.values(served=person.served + len(taken)))
    return list(taken)


def _hand_out(connection: sa.Connection, person: sa.Row[Any], taken: Mapping[int, str], until: float) -> None:
    """Put items into the reviewer's hand, each with the stream it comes from."""
    if not taken:
        return
    changed = ("stream", "place", "state", "claimed_until")
    claim = {"reviewer": person.reviewer, "state": schema.CLAIMED, "claimed_until": until}
    claims = [
        claim | {"item": item, "stream": stream, "place": person.served + k}
        for k, (item, stream) in enumerate(taken.items())
    ]
    connection.execute(upsert(connection, schema.assignments, ("item", "reviewer"), changed), claims)
    count(connection, dict.fromkeys(taken, 1))


def _had(table: sa.Table, reviewer: str) -> sa.ColumnElement[bool]:
    """Whether the reviewer has an item in the hand, or has judged it."""
    a = schema.assignments
    return sa.exists().where(a.c.item == table.c.item, a.c.reviewer == reviewer, a.c.state != schema.EXPIRED)


def _candidates(
    connection: sa.Connection, stream: str, reviewer: str, cursor: int, limit: int
) -> list[tuple[int, int]]:
    """Open items of a stream, or planted controls, that this reviewer has not had, in order: (item, position)."""
    table = schema.controls if stream == "control" else schema.queue
    position = table.c.item if stream == "control" else table.c[stream]
    query = sa.select(table.c.item, position).where(position > cursor, ~_had(table, reviewer))
    query = query.order_by(position).limit(limit)
    query = query if stream == "control" else query.where(table.c.open == 1)
    if stream == "ranked" and (others := of_others(connection, reviewer)) is not None:
        query = query.where(~others)
    return [(item, place) for item, place in connection.execute(query)]


def _stalled(connection: sa.Connection, reviewer: str, limit: int) -> list[int]:
    """Draws that were in a hand, have no verdict and are in no hand now, in their order."""
    q, a = schema.queue, schema.assignments
    back = sa.select(a.c.item).where(a.c.state == schema.EXPIRED, a.c.stream == "audit")
    query = sa.select(q.c.item).where(q.c.item.in_(back), q.c.audit.is_not(None), q.c.open == 1, q.c.taken == 0)
    query = query.where(~_had(q, reviewer))
    return list(connection.scalars(query.order_by(q.c.audit).limit(limit)))


def _wishes(plan: QueuePlan, reviewer: str, served: int, need: int) -> Sequence[str]:
    """Which stream each of the next places goes to: random, but the same whenever it is asked again."""
    draws = np.array([generator(plan.seed, "review", "stream", reviewer, served + k).random() for k in range(need)])
    audit, control = plan.audit_share, plan.control_share
    return [_STREAMS[1] if u < audit else _STREAMS[2] if u < audit + control else _STREAMS[0] for u in draws]


def assign(connection: sa.Connection, reviewer: str | None, pair: Pair, now: float) -> None:
    """See `VerdictStore.assign`."""
    lock(connection, _QUEUE_LOCK)
    parts.assign(connection, reviewer, pair, now)


def release(connection: sa.Connection, reviewer: str) -> int:
    """Give everything in the reviewer's hand back; returns how many items that were."""
    a, person = schema.assignments, known_as(connection, reviewer)
    return _let_go(connection, sa.and_(a.c.reviewer == person, a.c.state == schema.CLAIMED))


def renew(connection: sa.Connection, reviewer: str, until: float) -> None:
    """Keep what is in the reviewer's hand there until then."""
    a = schema.assignments
    mine = sa.and_(a.c.reviewer == known_as(connection, reviewer), a.c.state == schema.CLAIMED)
    connection.execute(sa.update(a).where(mine).values(claimed_until=until))


def hands(connection: sa.Connection, now: float) -> list[Hand]:
    """What is in hands now, the largest hand first."""
    a, q = schema.assignments, schema.queue
    query = (
        sa.select(a.c.reviewer, sa.func.count(), sa.func.count(q.c.audit), sa.func.max(a.c.claimed_until))
        .join(q, q.c.item == a.c.item)
        .where(a.c.state == schema.CLAIMED, a.c.claimed_until >= now)
        .group_by(a.c.reviewer)
        .order_by(sa.func.count().desc(), a.c.reviewer)
    )
    return [Hand(who, n, audit, until - now) for who, n, audit, until in connection.execute(query)]


def ask_again(connection: sa.Connection, item_ids: Sequence[str], more: int) -> int:
    """Want `more` further verdicts on items, from other reviewers; returns how many items were found."""
    places: list[int] = []
    for part in chunked(list(dict.fromkeys(item_ids))):
        places += connection.scalars(sa.select(schema.items.c.item).where(schema.items.c.item_id.in_(part)))
    queue = schema.queue
    for known in chunked(sorted(places)):
        wanted = sa.case((queue.c.taken > queue.c.wanted, queue.c.taken), else_=queue.c.wanted) + more
        # An item of neither stream is put into the ranked one, at its own place of the list.
        listed = sa.func.coalesce(queue.c.ranked, queue.c.item)
        ranked = sa.case((queue.c.audit.is_(None), listed), else_=queue.c.ranked)
        update = sa.update(queue).where(queue.c.item.in_(known))
        connection.execute(update.values(wanted=wanted, open=1, ranked=ranked))
    if places:
        rewind(connection, places)
    return len(places)


def reorder(connection: sa.Connection, item_ids: Sequence[str] | None, events: int, reason: str) -> Reordering:
    """Put the waiting items of the ranked stream into another order; see `VerdictStore.reorder`."""
    lock(connection, _QUEUE_LOCK)
    q, items = schema.queue, schema.items
    query = sa.select(q.c.item, q.c.ranked, items.c.item_id).join(items, items.c.item == q.c.item)
    rows = connection.execute(query.where(q.c.open == 1, q.c.ranked.is_not(None)).order_by(q.c.item)).all()
    rank = {item_id: k for k, item_id in enumerate(item_ids or ())}
    # Stable: items the order does not name keep their own, at the end.
    wanted = sorted(rows, key=lambda row: rank.get(row.item_id, len(rank)))
    # Only the places of waiting items are dealt out again: nobody's hand and nothing judged changes its place.
    free = sorted(row.ranked for row in rows)
    moves = [(row.item, new) for row, new in zip(wanted, free, strict=True) if row.ranked != new]
    if moves:
        change = sa.update(q).where(q.c.item == sa.bindparam("at")).values(ranked=sa.bindparam("place"))
        for part in chunked(sorted(moves), 20_000):
            connection.execute(change, [{"at": item, "place": new} for item, new in part])
        # What stands before a cursor may be new to that reviewer now.
        connection.execute(sa.update(schema.reviewers).values(ranked_cursor=0))
    done = Reordering(events, reason, len(moves))
    set_fact(connection, _REORDERED, asdict(done))
    return done


def last_reordering(connection: sa.Connection) -> tuple[Reordering | None, int]:
    """The last change of the order, and the number of the last event there is."""
    value = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == _REORDERED))
    last = connection.scalar(sa.select(sa.func.max(schema.events.c.event))) or 0
    return (None if value is None else Reordering(**json.loads(value))), last


def next_ranked(connection: sa.Connection, limit: int) -> list[str]:
    """Ids of the items of the ranked stream that nobody has judged, in the order of the queue, at most `limit`."""
    q, items, view = schema.queue, schema.items, schema.current
    judged = sa.exists().where(view.c.item == q.c.item)
    query = sa.select(items.c.item_id).join(q, q.c.item == items.c.item).where(q.c.ranked.is_not(None), ~judged)
    return list(connection.scalars(query.order_by(q.c.ranked).limit(limit)))
