"""Verdicts of one store into another, where what was judged is the same: its content and its given label."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.review import schema
from auditor.review.events import chunked
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
    """

    judged: int
    unchanged: int
    accepted: int
    repeated: int
    refused: tuple[str, ...]
    unsure: int


def carry_over(source: VerdictStore, target: VerdictStore) -> CarriedOver:
    """Store the verdicts that hold in `source` on the unchanged items of `target`; doing it again adds nothing.

    Items are recognised by content hash and given label. Of exact copies the one with the old id is taken, else the
    first. The old store stays as it is.

    Raises
    ------
    UsageError
        If both are one store.
    RunError
        If one of them is empty.
    """
    if source.database.url == target.database.url:
        raise UsageError("this is the run's own store.", "Name the store to take verdicts from.")
    view, old = schema.current.c, schema.items.c
    query = sa.select(
        *(view[name] for name in ("event_uuid", "item", "reviewer", "verdict", "ms", "client_time", "stream")),
        *(old[name] for name in ("item_id", "content_hash", "given", "suggested")),
    ).join(schema.items, old.item == view.item)
    votes = source.database.read(lambda c: c.execute(query.order_by(view.event)).all()) if source.facts else []
    here = _same_items(target, {vote.content_hash for vote in votes if vote.content_hash is not None})
    batches: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    unchanged, unsure = set(), 0
    for vote in votes:
        copies = here.get((vote.content_hash, vote.given))
        if not copies:
            continue
        unchanged.add(vote.item)
        item = next((copy for copy in copies if copy.item_id == vote.item_id), copies[0])
        verdict = vote.verdict
        if verdict == "suggested":
            verdict = other(vote.suggested)
        elif verdict == "both" and vote.suggested != item.suggested:
            verdict, unsure = "unsure", unsure + 1
        shown = {"shown_label": item.given, "shown_suggested": item.suggested}
        about = {"uuid": vote.event_uuid, "item_id": item.item_id, "verdict": verdict, "ms": vote.ms}
        origin = "adjudication" if vote.stream == "adjudication" else "import"
        batches[vote.reviewer, origin].append(about | shown | {"client_time": vote.client_time})
    results = [
        target.submit(reviewer, part, origin)
        for (reviewer, origin), events in batches.items()
        for part in chunked(events, 1000)
    ]
    return CarriedOver(
        len({vote.item for vote in votes}),
        len(unchanged),
        sum(len(result.accepted) for result in results),
        sum(len(result.repeated) for result in results),
        tuple(reason for result in results for _, reason in result.refused),
        unsure,
    )


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
