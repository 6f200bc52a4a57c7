"""Verdicts of one store into another, where what was judged is the same: its content and its given label."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from auditor.core.errors import RunError, UsageError
from auditor.review import guidelines, schema
from auditor.review.checksums import EVENTS, GUIDELINES, REMARKS, SUBJECT, WRITTEN, damaged_rows
from auditor.review.database import shown
from auditor.review.events import chunked
from auditor.review.people import person_key
from auditor.review.vocabulary import other

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore


@dataclass(frozen=True)
class CarriedOver:
    """What was taken over.

    Attributes
    ----------
    judged, unchanged : int
        Items with a verdict in the old store; those of them that the new one has with equal content and label.
    accepted, repeated : int
        Verdicts stored now, and before.
    refused : tuple of str
        Reasons why others could not be, e.g. a class that the data has no more.
    unsure : int
        Verdicts "both" on another suggestion than the new one: stored as unsure.
    older : int
        Verdicts that the same person has judged anew in the new store since; these stay.
    damaged : tuple of str
        What people wrote in the old store and is not as it was stored, which was not taken over.
    remarks, guidelines : int
        Comments and marks "to be discussed", and versions of guidelines, that were stored now.
    notes : tuple of str
        Of `Judged`.
    """

    judged: int
    unchanged: int
    accepted: int
    repeated: int
    refused: tuple[str, ...]
    unsure: int
    older: int = 0
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: int = 0
    guidelines: int = 0


class Vote(NamedTuple):
    """A verdict with the item that it was given on, as the store that took it in has both."""

    event: int
    event_uuid: str
    item: int
    reviewer: str
    verdict: str
    ms: int | None
    client_time: float | None
    server_time: float
    stream: str
    item_id: str
    content_hash: str | None
    given: str
    suggested: str | None


class Said(NamedTuple):
    """A remark with the item that it was made on."""

    remark: int
    uuid: str
    item: int
    reviewer: str
    comment: str | None
    discuss: int | None
    client_time: float | None
    server_time: float
    item_id: str
    content_hash: str | None
    given: str


@dataclass(frozen=True)
class Judged:
    """What people wrote in a store: the verdicts that hold, remarks and guidelines.

    Attributes
    ----------
    votes : sequence of Vote
    damaged : dict of (str, tuple) to str
        Table and key of the rows that are not as they were stored or are gone, and what is wrong with them.
    url : sqlalchemy.URL or None
        Of the store, if it was opened.
    notes : tuple of str
        How they were read, where that is not as usual.
    remarks : sequence of Said
        All remarks.
    guidelines : sequence of Guideline
        All versions.
    """

    votes: Sequence[Vote]
    damaged: Mapping[tuple[str, tuple[Any, ...]], str]
    url: sa.URL | None = None
    notes: tuple[str, ...] = ()
    remarks: Sequence[Said] = ()
    guidelines: Sequence[guidelines.Guideline] = ()


def judged_in(source: VerdictStore) -> Judged:
    """What people wrote in a store; what is damaged is told and left out.

    Raises
    ------
    RunError
        If it is empty, or damaged so that it cannot be read.
    """
    view, old = schema.current.c, schema.items.c
    columns = {**{name: view[name] for name in Vote._fields if name in view}, **{name: old[name] for name in SUBJECT}}
    query = sa.select(*(columns[name] for name in Vote._fields)).join(schema.items, old.item == view.item)
    # Not by its facts, which a damaged store may not have any more.
    if source.database.read(lambda c: c.scalar(sa.select(old.item).limit(1))) is None:
        raise RunError(f"the verdict store {shown(source.database.url)} is empty.")
    wrong = source.database.read(
        lambda c: {(table.table.name, key): what for table in WRITTEN for key, what in damaged_rows(c, table)}
    )
    rows = source.database.read(lambda c: c.execute(query.order_by(view.event)).all())
    votes = [Vote(*row) for row in rows if (EVENTS.table.name, (row.event,)) not in wrong]
    columns = {**dict(schema.remarks.c), **{name: old[name] for name in SUBJECT}}
    query = sa.select(*(columns[name] for name in Said._fields)).join(schema.items, old.item == schema.remarks.c.item)
    rows = source.database.read(lambda c: c.execute(query.order_by(schema.remarks.c.remark)).all())
    said = [Said(*row) for row in rows if (REMARKS.table.name, (row.remark,)) not in wrong]
    rules = [g for g in source.guideline_history() if (GUIDELINES.table.name, (g.class_name, g.version)) not in wrong]
    return Judged(votes, wrong, source.database.url, remarks=said, guidelines=rules)


def carry_over(source: VerdictStore | Judged, target: VerdictStore) -> CarriedOver:
    """Store the verdicts that hold in `source` on the unchanged items of `target`; doing it again adds nothing.

    Each keeps who judged and when: the server time of the store that took it in. Damaged verdicts stay where they are.
    Items are recognised by content hash and given label. Of exact copies the one with the old id is taken, else the
    first. The old store stays as it is. Remarks come along to items that have none, guidelines to classes without one.

    Raises
    ------
    UsageError
        If both are one store.
    RunError
        If one of them is empty.
    """
    judged = source if isinstance(source, Judged) else judged_in(source)
    if judged.url == target.database.url:
        raise UsageError("this is the run's own store.", "Name the store to take verdicts from.")
    votes = judged.votes
    hashes = {vote.content_hash for vote in votes} | {said.content_hash for said in judged.remarks}
    here = _same_items(target, {content for content in hashes if content is not None})
    batches: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    judged_here = _judged(target)
    unchanged, unsure, older = set(), 0, 0
    for vote in votes:
        if (item := _counterpart(here, vote)) is None:
            continue
        unchanged.add(vote.item)
        if judged_here.get((person_key(vote.reviewer), item.item_id), -math.inf) > vote.server_time:
            older += 1
            continue
        verdict = vote.verdict
        if verdict == "suggested" and vote.suggested is not None:
            verdict = other(vote.suggested)
        elif verdict == "both" and vote.suggested != item.suggested:
            verdict, unsure = "unsure", unsure + 1
        labels = {"shown_label": item.given, "shown_suggested": item.suggested}
        about = {"uuid": vote.event_uuid, "item_id": item.item_id, "verdict": verdict, "ms": vote.ms}
        origin = "adjudication" if vote.stream == "adjudication" else "import"
        batches[person_key(vote.reviewer), origin].append(about | labels | {"client_time": vote.client_time})
    times = {vote.event_uuid: vote.server_time for vote in votes}
    names = {person_key(vote.reviewer): vote.reviewer for vote in reversed(votes)}
    results = [
        target.submit(names[person], part, origin, times)
        for (person, origin), events in batches.items()
        for part in chunked(events, 1000)
    ]
    remarked = _carry_remarks(judged.remarks, here, target)
    ruled = target.database.write(lambda c: guidelines.carry(c, judged.guidelines, target.class_names))
    named = {table.table.name: table for table in WRITTEN}
    return CarriedOver(
        len({vote.item for vote in votes}),
        len(unchanged),
        sum(len(result.accepted) for result in results),
        sum(len(result.repeated) for result in results),
        tuple(reason for result in results for _, reason in result.refused),
        unsure,
        older,
        tuple(f"{named[table].named(key)}: {what}" for (table, key), what in judged.damaged.items()),
        judged.notes,
        remarked,
        ruled,
    )


def _counterpart(here: Mapping[tuple[str, str], Sequence[Any]], said: Any) -> Any:
    """The item that a verdict or remark speaks of in the other store; None where it has none."""
    copies = here.get((said.content_hash, said.given)) if said.content_hash is not None else None
    return next((copy for copy in copies if copy.item_id == said.item_id), copies[0]) if copies else None


def _carry_remarks(remarks: Sequence[Said], here: Mapping[tuple[str, str], Sequence[Any]], target: VerdictStore) -> int:
    remarked, events = set(target.remarks()), []
    for said in remarks:
        item = _counterpart(here, said)
        if item is not None and item.item_id not in remarked:
            discuss = None if said.discuss is None else bool(said.discuss)
            about = {"uuid": said.uuid, "kind": "remark", "item_id": item.item_id, "client_time": said.client_time}
            events.append((said.reviewer, about | {"comment": said.comment, "discuss": discuss}))
    times = {said.uuid: said.server_time for said in remarks}
    # In their order: the last one who said so decides whether an item is to be discussed.
    parts = groupby(events, key=itemgetter(0))
    results = [target.submit(who, [event for _, event in part], "import", times) for who, part in parts]
    return sum(len(result.accepted) for result in results)


def _judged(store: VerdictStore) -> dict[tuple[str, str], float]:
    """When each person judged each item of a store, by `person_key` and id."""
    view, items = schema.current.c, schema.items.c
    query = sa.select(view.reviewer, items.item_id, view.server_time).join(schema.items, items.item == view.item)
    rows = store.database.read(lambda c: c.execute(query).all())
    return {(person_key(reviewer), item): time for reviewer, item, time in rows}


def _same_items(store: VerdictStore, hashes: set[str]) -> dict[tuple[str, str], list[Any]]:
    """Items of a store with these contents, by content hash and given label, in the order of its list."""
    items, rows = schema.items.c, defaultdict[tuple[str, str], list[Any]](list)
    query = sa.select(items.item_id, items.content_hash, items.given, items.suggested).order_by(items.item)

    def look_up(connection: sa.Connection) -> None:
        rows.clear()
        for part in chunked(sorted(hashes)):
            for row in connection.execute(query.where(items.content_hash.in_(part))):
                rows[row.content_hash, row.given].append(row)

    store.database.read(look_up)
    return rows
