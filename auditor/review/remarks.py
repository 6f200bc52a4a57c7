"""Comments on items, and which of them are to be discussed. Append-only, as verdicts are: the last word holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from auditor.review import schema
from auditor.review.checksums import REMARKS, sound_items
from auditor.review.database import upsert

#: Remarks of one reviewer on one item.
MOST_REMARKS: Final = 200
#: Letters of a comment.
LONGEST_COMMENT: Final = 2000


@dataclass(frozen=True)
class Remarks:
    """What holds of an item.

    Attributes
    ----------
    comments : dict of str to str
        The last comment of each reviewer who left one.
    discuss : bool
        Whether the item is to be discussed; the last one who said so or not decides, whoever it was.
    times : dict of str to float
        When each of the comments was stored, seconds since 1970.
    wishes : dict of str to bool
        What each reviewer said last of whether it is to be discussed.
    """

    comments: Mapping[str, str] = field(default_factory=dict)
    discuss: bool = False
    times: Mapping[str, float] = field(default_factory=dict)
    wishes: Mapping[str, bool] = field(default_factory=dict)


def store(
    connection: sa.Connection, person: str, spellings: Collection[str], sent: Sequence[Any], times: Mapping[str, float]
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Store the remarks of a batch of events (`events._Event` of the kind ``remark``), each once.

    Returns
    -------
    accepted, repeated : list of str
        Uuids.
    refused : list of (str, str)
        Uuid and the reason.
    """
    if not sent:
        return [], [], []
    remarks, items = schema.remarks, schema.items
    before = {
        row.uuid: row
        for row in connection.execute(sa.select(remarks).where(remarks.c.uuid.in_([event.uuid for event in sent])))
    }
    rows_of = sound_items(connection, items.c.item_id.in_({event.item_id for event in sent}))
    known = {row.item_id: item for item, row in rows_of.items()}
    mine = sa.select(remarks.c.item).where(remarks.c.item.in_(known.values()), remarks.c.reviewer == person)
    counts = Counter(connection.scalars(mine))
    new: list[dict[str, Any]] = []
    repeated: list[str] = []
    refused: list[tuple[str, str]] = []
    for event in sent:
        item = known.get(event.item_id)
        comment = None if event.comment is None else event.comment.strip()
        discuss = None if event.discuss is None else int(event.discuss)
        if item is None:
            refused.append((event.uuid, "unknown item: it is not part of this run"))
        elif (stored := before.get(event.uuid)) is not None:
            same = (stored.item, stored.comment, stored.discuss) == (item, comment, discuss)
            if same and stored.reviewer in spellings:
                repeated.append(event.uuid)
            else:
                refused.append((event.uuid, "the uuid belongs to another remark"))
        elif any(event.uuid == row["uuid"] for row in new):
            repeated.append(event.uuid)
        elif comment is not None and len(comment) > LONGEST_COMMENT:
            refused.append((event.uuid, f"a comment has at most {LONGEST_COMMENT:,} characters"))
        elif counts[item] >= MOST_REMARKS:
            refused.append((event.uuid, f"this reviewer has sent {MOST_REMARKS} remarks on this item"))
        else:
            counts[item] += 1
            values = (event.uuid, item, person, comment, discuss, event.client_time, times[event.uuid])
            row = dict(zip(REMARKS.said, values, strict=True))
            new.append(row | {"checksum": REMARKS.seal(row, [event.item_id])})
    stored_now: set[str] = set()
    if new:
        insert = upsert(connection, remarks, (), ()).returning(remarks.c.uuid)
        stored_now = set(connection.scalars(insert, new))
    # Another connection may have stored the same uuid since we looked.
    repeated += [row["uuid"] for row in new if row["uuid"] not in stored_now]
    return [row["uuid"] for row in new if row["uuid"] in stored_now], repeated, refused


def of_items(connection: sa.Connection, places: Sequence[int] | None = None) -> dict[int, Remarks]:
    """What holds of items by place; None means all items that have a remark."""
    remarks = schema.remarks
    query = sa.select(remarks).order_by(remarks.c.remark)
    rows = connection.execute(query if places is None else query.where(remarks.c.item.in_(places))).all()
    comments, times = defaultdict[int, dict[str, str]](dict), defaultdict[int, dict[str, float]](dict)
    wishes, discuss = defaultdict[int, dict[str, bool]](dict), dict[int, bool]()
    for row in rows:
        if row.comment is not None:
            comments[row.item][row.reviewer], times[row.item][row.reviewer] = row.comment, row.server_time
        if row.discuss is not None:
            wishes[row.item][row.reviewer] = discuss[row.item] = bool(row.discuss)
    return {
        item: Remarks(
            {who: text for who, text in comments[item].items() if text},
            discuss.get(item, False),
            times[item],
            wishes[item],
        )
        for item in {*comments, *discuss}
    }


def discussed() -> sa.Select[Any]:
    """Places of the items that are to be discussed."""
    remarks = schema.remarks.c
    last = sa.select(sa.func.max(remarks.remark)).where(remarks.discuss.is_not(None)).group_by(remarks.item)
    return sa.select(remarks.item).where(remarks.remark.in_(last), remarks.discuss == 1)
