"""Parts of the flagged list that are judged by themselves: pairs of classes, and who they are assigned to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import DataError
from auditor.review import schema
from auditor.review.additions import set_fact
from auditor.review.people import enter

#: A given label and another candidate; None is any class, but not on both sides.
Pair = tuple[str | None, str | None]

#: Key of `schema.meta` under which it stands who judges which pairs.
_ASSIGNED: Final = "assigned"


def in_part(pairs: Sequence[Pair]) -> sa.ColumnElement[bool]:
    """Whether an item of the queue is flagged, has one of these pairs of classes and is no draw of the audit sample.

    Whoever judges a part knows that its items are flagged. The sample is to be judged without knowing that, so its
    items stay in the common queue, which mixes them with others.
    """
    q, i = schema.queue.c, schema.items.c
    named = [sa.and_(*_is(i.given, given), *_is(i.suggested, suggested)) for given, suggested in pairs]
    items = sa.select(i.item).where(sa.or_(sa.false(), *named))
    return sa.and_(q.ranked.is_not(None), q.audit.is_(None), q.item.in_(items))


def _is(column: sa.Column[Any], name: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if name is None else [column == name]


def checked_pair(pair: Pair, classes: Sequence[str]) -> Pair:
    """The same pair (DataError for an unknown class, or none at all)."""
    if pair == (None, None):
        raise DataError("a part of the list needs a class.", "Name the given label, the other candidate, or both.")
    if unknown := [name for name in pair if name is not None and name not in classes]:
        raise DataError(f"this run has no class {unknown[0]!r}.")
    return pair


def waiting(connection: sa.Connection, part: Sequence[Pair]) -> int:
    """See `VerdictStore.waiting`."""
    query = sa.select(sa.func.count()).select_from(schema.queue).where(schema.queue.c.open == 1, in_part(part))
    return connection.scalar(query) or 0


def assigned(connection: sa.Connection) -> dict[str, list[Pair]]:
    """Pairs by the reviewer who judges them."""
    value = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == _ASSIGNED))
    facts: Mapping[str, list[list[str | None]]] = {} if value is None else json.loads(value)
    return {reviewer: [(pair[0], pair[1]) for pair in pairs] for reviewer, pairs in facts.items()}


def assign(connection: sa.Connection, reviewer: str | None, pair: Pair, now: float) -> None:
    """Give a pair to a reviewer alone, whoever had it; None gives it back to everybody."""
    facts = {who: [p for p in pairs if p != pair] for who, pairs in assigned(connection).items()}
    if reviewer is not None:
        facts.setdefault(enter(connection, reviewer, now), []).append(pair)
    set_fact(connection, _ASSIGNED, {who: pairs for who, pairs in facts.items() if pairs})
    # What was passed over because it was another one's may be everybody's now.
    connection.execute(sa.update(schema.reviewers).values(ranked_cursor=0))


def of_others(connection: sa.Connection, reviewer: str) -> sa.ColumnElement[bool] | None:
    """Whether an item of the queue belongs to others alone; None where nothing is assigned to anybody else."""
    everybodys = assigned(connection)
    pairs = [pair for who, theirs in everybodys.items() if who != reviewer for pair in theirs]
    if not pairs:
        return None
    mine = everybodys.get(reviewer, [])
    return sa.and_(in_part(pairs), ~in_part(mine)) if mine else in_part(pairs)
