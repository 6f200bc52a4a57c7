"""Reading the store: pages of the gallery, one item's history, progress, disagreements, votes for the consensus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.review import remarks, schema
from auditor.review.checksums import damaged, sound_items
from auditor.review.database import is_sqlite
from auditor.review.events import chunked
from auditor.review.people import known_as
from auditor.review.vocabulary import NEW
from auditor.review.votes import VoteTable, votes_from

if TYPE_CHECKING:
    import pyarrow as pa

#: Longest page: a caller that asks for everything would hold the whole run in memory.
MOST: Final = 1000
#: Rows of a column read at once.
_AT_ONCE: Final = 50_000


@dataclass(frozen=True)
class ReviewItem:
    """An item as a reviewer may see it. It does not say which stream it came from.

    Attributes
    ----------
    place : int
        Place in the run's list, from 1: findings first, then all others.
    item_id, content_hash, index, split :
        Who it is.
    code, message : str or None
        The finding; None for an item nobody flagged.
    given, suggested : str, str or None
        Class names.
    p_given, p_suggested, score : float or None
    flagged : bool
    verdicts : dict of str to str
        Current verdicts by reviewer; filled by `page`, empty in a review batch, which is blind.
    uuids : dict of str to str
        Uuids of these verdicts by reviewer.
    """

    place: int
    item_id: str
    content_hash: str | None
    index: int | None
    split: str | None
    code: str | None
    given: str
    suggested: str | None
    p_given: float | None
    p_suggested: float | None
    score: float | None
    flagged: bool
    message: str | None
    verdicts: Mapping[str, str]
    uuids: Mapping[str, str]


@dataclass(frozen=True)
class OwnVerdict:
    """One verdict of a reviewer that holds: number of the event, the item with its labels, when it was stored."""

    event: int
    item_id: str
    given: str
    suggested: str | None
    verdict: str
    server_time: float


@dataclass(frozen=True)
class PageFilter:
    """Which items a page shows; None means any. All conditions hold at once.

    `order` is ``"place"`` (the run's list) or ``"score"`` (most suspicious first); a limit on the score implies the
    latter. `reviewer` and `verdict` speak of current verdicts; `reviewed` of any; `discuss` of items to be discussed.
    """

    given: str | None = None
    suggested: str | None = None
    flagged: bool | None = None
    code: str | None = None
    split: str | None = None
    detector: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    reviewer: str | None = None
    verdict: str | None = None
    reviewed: bool | None = None
    discuss: bool | None = None
    order: str = "place"


@dataclass(frozen=True)
class Page:
    """Some items and where the next page begins (None after the last)."""

    items: tuple[ReviewItem, ...]
    after: tuple[float, int] | None


@dataclass(frozen=True)
class ItemState:
    """Everything known about one item: the item, its current verdicts, all its events in order."""

    item: ReviewItem
    events: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ReviewCounts:
    """Counts over current verdicts. `*_total` are items of a stream, `*_done` those with a verdict; `audit_counted` are
    the items of the audit stream before its first one without a verdict, which is as far as estimates read it;
    `discussed` those that are to be discussed."""

    items: int
    flagged: int
    judged: int
    verdicts: int
    by_verdict: Mapping[str, int]
    by_reviewer: Mapping[str, int]
    ranked_done: int
    ranked_total: int
    audit_done: int
    audit_total: int
    audit_counted: int
    judged_twice: int
    disagreements: int
    discussed: int


#: Columns of an item that a `ReviewItem` shows; its verdicts come from another table.
_COLUMNS: Final = tuple(f.name for f in fields(ReviewItem)[1:-2])


def item_rows(connection: sa.Connection, places: Sequence[int], with_verdicts: bool) -> list[ReviewItem]:
    """Items by place, in the order asked for."""
    items, view = schema.items, schema.current
    row_of: dict[int, sa.Row[Any]] = {}
    votes: dict[int, list[Any]] = {}
    for part in chunked(list(places)):
        row_of |= sound_items(connection, items.c.item.in_(part))
        if with_verdicts:
            query = sa.select(view.c.item, view.c.reviewer, view.c.verdict, view.c.event_uuid)
            for vote in connection.execute(query.where(view.c.item.in_(part)).order_by(view.c.reviewer)):
                votes.setdefault(vote.item, []).append(vote)
    if gone := [place for place in places if place not in row_of]:
        raise damaged(connection, [f"item {place} is gone" for place in gone])
    return [_review_item(row_of[p], votes.get(p, ())) for p in places]


def _review_item(row: sa.Row[Any], votes: Sequence[Any]) -> ReviewItem:
    values = {name: row._mapping[name] for name in _COLUMNS} | {"flagged": bool(row.flagged)}
    verdicts = {vote.reviewer: vote.verdict for vote in votes}
    return ReviewItem(row.item, **values, verdicts=verdicts, uuids={vote.reviewer: vote.event_uuid for vote in votes})


def page(connection: sa.Connection, wanted: PageFilter, after: tuple[float, int] | None, limit: int) -> Page:
    """One page; see `VerdictStore.page`."""
    if wanted.order not in ("place", "score") or not 1 <= limit <= MOST:
        raise UsageError(f"a page is ordered by 'place' or 'score' and has 1 to {MOST} items.")
    items = schema.items
    by_score = wanted.order == "score" or wanted.min_score is not None or wanted.max_score is not None
    query = sa.select(items.c.item, items.c.score).where(*_conditions(wanted))
    if by_score:
        # Items without a score cannot be ordered by it.
        query = query.where(items.c.score.is_not(None)).order_by(items.c.score.desc(), items.c.item.desc())
        if after is not None:
            query = query.where(sa.tuple_(items.c.score, items.c.item) < sa.tuple_(*after))
    else:
        query = query.order_by(items.c.item)
        if after is not None:
            query = query.where(items.c.item > after[1])
    rows = connection.execute(query.limit(limit + 1)).all()
    more, rows = len(rows) > limit, rows[:limit]
    last = (float(rows[-1].score or 0.0), int(rows[-1].item)) if more else None
    return Page(tuple(item_rows(connection, [row.item for row in rows], with_verdicts=True)), last)


def _conditions(wanted: PageFilter) -> list[sa.ColumnElement[bool]]:
    items, view, hits, events = schema.items.c, schema.current.c, schema.detections.c, schema.events.c
    conditions: list[sa.ColumnElement[bool]] = [
        items[name] == getattr(wanted, name)
        for name in ("given", "suggested", "code", "split")
        if getattr(wanted, name) is not None
    ]
    if wanted.flagged is not None:
        conditions.append(items.flagged == int(wanted.flagged))
    if wanted.min_score is not None:
        conditions.append(items.score >= wanted.min_score)
    if wanted.max_score is not None:
        conditions.append(items.score <= wanted.max_score)
    if wanted.detector is not None:
        conditions.append(sa.exists().where(hits.item == items.item, hits.detector == wanted.detector))
    if wanted.reviewer is not None or wanted.verdict is not None:
        judged = sa.select(view.item)
        if wanted.reviewer is not None:
            judged = judged.where(view.reviewer == wanted.reviewer)
        if wanted.verdict is not None:
            judged = judged.where(view.verdict == wanted.verdict)
        conditions.append(items.item.in_(judged))
    if wanted.reviewed:
        conditions.append(items.item.in_(sa.select(view.item)))
    elif wanted.reviewed is not None:
        # Asked per item only for those that have events at all, which are few.
        has_events = sa.exists().where(events.item == items.item)
        conditions.append(sa.or_(~has_events, ~sa.exists().where(view.item == items.item)))
    if wanted.discuss is not None:
        flagged = items.item.in_(remarks.discussed())
        conditions.append(flagged if wanted.discuss else ~flagged)
    return conditions


def item_state(connection: sa.Connection, item_id: str) -> ItemState | None:
    """One item with its history; None where the run has no such item."""
    place = connection.scalar(sa.select(schema.items.c.item).where(schema.items.c.item_id == item_id))
    if place is None:
        return None
    history = sa.select(schema.events).where(schema.events.c.item == place).order_by(schema.events.c.event)
    events = tuple(dict(row) for row in connection.execute(history).mappings())
    return ItemState(item_rows(connection, [place], with_verdicts=True)[0], events)


def columns(connection: sa.Connection, names: Sequence[str]) -> pa.Table:
    """See `VerdictStore.columns`."""
    import pyarrow as pa

    wanted = [schema.items.c[name] for name in names]
    kinds = {sa.Text: pa.large_string(), sa.Double: pa.float64()}
    fields = pa.schema([(column.name, kinds.get(type(column.type), pa.int64())) for column in wanted])
    query = sa.select(*wanted).order_by(schema.items.c.item).execution_options(yield_per=_AT_ONCE)
    parts = []
    for rows in connection.execute(query).partitions():
        values = zip(zip(*rows, strict=True), fields.types, strict=True)
        parts.append(pa.record_batch([pa.array(column, kind) for column, kind in values], fields))
    return pa.Table.from_batches(parts, fields)


def judged_places(connection: sa.Connection, reviewer: str | None) -> np.ndarray:
    """See `VerdictStore.judged_places`."""
    view = schema.current.c
    query = sa.select(view.item).distinct().order_by(view.item)
    if reviewer is not None:
        query = query.where(view.reviewer == known_as(connection, reviewer))
    return np.fromiter(connection.scalars(query), np.int64)


def detected_places(connection: sa.Connection, detector: str) -> np.ndarray:
    """See `VerdictStore.detected_places`."""
    hits = schema.detections.c
    query = sa.select(hits.item).where(hits.detector == detector).order_by(hits.item)
    return np.fromiter(connection.scalars(query), np.int64)


def own_verdicts(connection: sa.Connection, reviewer: str) -> dict[int, tuple[str, str]]:
    """See `VerdictStore.own_verdicts`."""
    view = schema.current.c
    query = sa.select(view.item, view.event_uuid, view.verdict)
    query = query.where(view.reviewer == known_as(connection, reviewer))
    return {item: (uuid, verdict) for item, uuid, verdict in connection.execute(query)}


def judged_by(connection: sa.Connection, reviewer: str, words: str, before: int | None, limit: int) -> list[OwnVerdict]:
    """See `VerdictStore.judged_by`."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"a list of verdicts has 1 to {MOST} of them.")
    view, items = schema.current.c, schema.items.c
    columns = (view.event, items.item_id, items.given, items.suggested, view.verdict, view.server_time)
    query = sa.select(*columns).join(schema.items, items.item == view.item).where(view.reviewer == reviewer)
    for word in words.split():
        named = [column.icontains(word, autoescape=True) for column in (items.item_id, items.given, items.suggested)]
        query = query.where(sa.or_(*named, view.verdict.icontains(word, autoescape=True)))
    if before is not None:
        query = query.where(view.event < before)
    rows = connection.execute(query.order_by(view.event.desc()).limit(limit))
    return [OwnVerdict(*row) for row in rows]


def _disagreeing(after: int | None = None) -> sa.Select[Any]:
    view = schema.current
    settled = sa.select(view.c.item).where(view.c.stream == "adjudication")
    query = sa.select(view.c.item).where(view.c.item.not_in(settled))
    if after is not None:
        query = query.where(view.c.item > after)
    return query.group_by(view.c.item).having(sa.func.count(sa.distinct(view.c.verdict)) > 1)


def disagreements(connection: sa.Connection, after: int | None, limit: int) -> list[ReviewItem]:
    """Items to adjudicate, in order of place, from the place after `after` on."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"a list of disagreements has 1 to {MOST} items.")
    places = list(connection.scalars(_disagreeing(after).order_by(schema.current.c.item).limit(limit)))
    return item_rows(connection, places, with_verdicts=True)


def discussed(connection: sa.Connection, after: int | None, limit: int) -> list[ReviewItem]:
    """Items to be discussed, in order of place, from the place after `after` on."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"a list of items to discuss has 1 to {MOST} of them.")
    wanted = remarks.discussed()
    item = schema.remarks.c.item
    places = connection.scalars((wanted if after is None else wanted.where(item > after)).order_by(item).limit(limit))
    return item_rows(connection, list(places), with_verdicts=True)


def judged(connection: sa.Connection, item_ids: Sequence[str]) -> set[str]:
    """Those of these items that have a verdict."""
    items, view, ids = schema.items.c, schema.current.c, set[str]()
    query = sa.select(items.item_id).join(schema.current, view.item == items.item)
    for part in chunked(list(item_ids)):
        ids.update(connection.scalars(query.where(items.item_id.in_(part))))
    return ids


def content_hashes(connection: sa.Connection, item_ids: Sequence[str]) -> dict[str, str]:
    """See `VerdictStore.content_hashes`."""
    items, hashes = schema.items.c, dict[str, str]()
    query = sa.select(items.item_id, items.content_hash).where(items.content_hash.is_not(None))
    for part in chunked(list(item_ids)):
        hashes.update(row._tuple() for row in connection.execute(query.where(items.item_id.in_(part))))
    return hashes


def remarks_of(connection: sa.Connection, item_ids: Sequence[str] | None) -> dict[str, remarks.Remarks]:
    """What holds of items by id; None means all that have a remark."""
    items, remarked = schema.items.c, schema.remarks.c
    query = sa.select(items.item, items.item_id)
    if item_ids is None:
        queries = [query.where(items.item.in_(sa.select(remarked.item)))]
    else:
        queries = [query.where(items.item_id.in_(part)) for part in chunked(list(item_ids))]
    named: dict[str, remarks.Remarks] = {}
    for of_part in queries:
        names = {row.item: row.item_id for row in connection.execute(of_part.order_by(items.item))}
        said = remarks.of_items(connection, None if item_ids is None else list(names))
        named |= {name: said[item] for item, name in names.items() if item in said}
    return named


def new_classes(connection: sa.Connection) -> list[str]:
    """Classes that current verdicts name and the data does not have, the most named first."""
    view = schema.current.c
    # A range finds them by the index on SQLite; PostgreSQL may sort colons elsewhere.
    begins = view.verdict.between(NEW, NEW + "\U0010ffff") if is_sqlite(connection) else view.verdict.startswith(NEW)
    query = sa.select(view.verdict).where(begins).group_by(view.verdict)
    named = connection.scalars(query.order_by(sa.func.count().desc(), view.verdict))
    return [verdict.removeprefix(NEW) for verdict in named]


def progress(connection: sa.Connection, facts: Mapping[str, Any]) -> ReviewCounts:
    """Counts; the cost grows with the number of verdicts, not of items."""
    view, queue = schema.current, schema.queue
    total = sa.func.count()

    def counted(column: sa.ColumnElement[str]) -> dict[str, int]:
        return {value: n for value, n in connection.execute(sa.select(column, total).group_by(column))}  # noqa: C416

    by_verdict, by_reviewer = counted(view.c.verdict), counted(view.c.reviewer)
    per_item = sa.select(view.c.item, total.label("n")).group_by(view.c.item).subquery()
    sums = sa.select(
        total,
        sa.func.count(queue.c.ranked),
        sa.func.count(queue.c.audit),
        sa.func.sum(sa.case((per_item.c.n > 1, 1), else_=0)),
    ).join(queue, queue.c.item == per_item.c.item)
    judged, ranked, audit, twice = connection.execute(sums).one()
    drawn = connection.scalar(sa.select(total).select_from(queue).where(queue.c.audit.is_not(None))) or 0
    unjudged = sa.select(sa.func.min(queue.c.audit)).where(
        queue.c.audit.is_not(None), ~sa.exists().where(view.c.item == queue.c.item)
    )
    first = connection.scalar(unjudged)
    before = sa.true() if first is None else queue.c.audit < first
    reached = connection.scalar(sa.select(sa.func.count(queue.c.audit)).where(before)) or 0
    open_questions = connection.scalar(sa.select(total).select_from(_disagreeing().subquery())) or 0
    return ReviewCounts(
        items=facts["n_items"],
        flagged=facts["n_flagged"],
        judged=judged,
        verdicts=sum(by_verdict.values()),
        by_verdict=by_verdict,
        by_reviewer=by_reviewer,
        ranked_done=ranked,
        ranked_total=facts["n_flagged"],
        audit_done=audit,
        audit_total=drawn,
        audit_counted=reached,
        judged_twice=int(twice or 0),
        disagreements=open_questions,
        discussed=connection.scalar(sa.select(total).select_from(remarks.discussed().subquery())) or 0,
    )


def vote_table(connection: sa.Connection) -> VoteTable:
    """All current verdicts as arrays."""
    view, items = schema.current, schema.items
    query = (
        sa.select(
            *(view.c[name] for name in ("item", "reviewer", "verdict", "stream", "ms", "server_time")),
            *(items.c[name] for name in ("item_id", "given", "suggested")),
        )
        .join(items, items.c.item == view.c.item)
        .order_by(view.c.item, view.c.reviewer)
    )
    return votes_from(connection.execute(query).all())


def control_table(connection: sa.Connection) -> dict[str, str]:
    """Planted controls: item id to the verdict known to be right."""
    items, controls = schema.items, schema.controls
    query = sa.select(items.c.item_id, controls.c.expected).join(controls, controls.c.item == items.c.item)
    return {item_id: expected for item_id, expected in connection.execute(query)}  # noqa: C416
