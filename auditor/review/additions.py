"""What may be added to a store after its run was taken in: planted controls, and what detectors flag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import sqlalchemy as sa

from auditor.core.errors import DataError, UnreadableError
from auditor.core.escaping import csv_rows
from auditor.core.reading import reading
from auditor.review import schema
from auditor.review.database import is_sqlite, upsert
from auditor.review.events import chunked
from auditor.review.vocabulary import Labels, canonical

#: Key of `schema.meta`: names the items of the store with their order and scores.
LIST: Final = "list"
#: Largest control file in bytes; controls are some dozens or hundreds of items.
_LARGEST: Final = 16 << 20


def read_controls(path: Path) -> dict[str, str]:
    """Read a CSV file of planted controls.

    Parameters
    ----------
    path : Path
        With a header. Column ``id``; column ``verdict`` is the one known to be right, ``given`` where it is absent or
        empty: known-good items.

    Returns
    -------
    dict of item id to verdict

    Raises
    ------
    UnreadableError
        If it cannot be read.
    DataError
        If there is no column ``id``, or an id has two verdicts.
    """
    where = repr(str(path))
    with reading(path, "CSV") as file, open(file, newline="", encoding="utf-8-sig") as handle:
        if file.stat().st_size > _LARGEST:
            raise UnreadableError(f"{where} is larger than {_LARGEST >> 20} MiB; controls are some hundreds of items.")
        rows = csv_rows(handle.read())
    controls: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if not (item := row.get("id")):
            raise DataError(f"{where}, line {number}: no 'id'.", "Columns: id, verdict (given where it is left out).")
        expected = row.get("verdict") or "given"
        if controls.setdefault(item, expected) != expected:
            raise DataError(f"{where}, line {number}: {item!r} has two verdicts, {controls[item]!r} and {expected!r}.")
    return controls


def plant(connection: sa.Connection, controls: Mapping[str, str], classes: Labels) -> int:
    """Plant items whose verdict is known into every reviewer's queue; see `VerdictStore.plant`."""
    rows = []
    known = _places(connection, list(controls))
    for item_id, verdict in controls.items():
        if item_id not in known:
            raise DataError(f"the control {item_id!r} is no item of this run.")
        item, given, suggested = known[item_id]
        try:
            rows.append({"item": item, "expected": canonical(verdict, given, suggested, classes)})
        except ValueError as error:
            raise DataError(f"control {item_id!r}: {error}.") from error
    if rows:
        connection.execute(upsert(connection, schema.controls, ["item"], ["expected"]), rows)
    total = connection.scalar(sa.select(sa.func.count()).select_from(schema.controls)) or 0
    set_fact(connection, "n_controls", total)
    return int(total)


def set_detections(connection: sa.Connection, detections: Mapping[str, np.ndarray], source: str | None) -> None:
    """Put what detectors flag in the place of what the store knew; see `VerdictStore.set_detections`."""
    if not is_sqlite(connection):
        # Two servers that notice new detectors at once would both insert.
        connection.execute(sa.text("LOCK TABLE detections IN EXCLUSIVE MODE"))
    wanted = sorted({str(i) for ids in detections.values() for i in ids})
    known = _places(connection, wanted)
    if len(known) < len(wanted):
        stranger = next(i for i in wanted if i not in known)
        raise DataError(f"a detector flags {stranger!r}, which is no item.")
    connection.execute(sa.delete(schema.detections))
    for name, ids in detections.items():
        for part in chunked(sorted({known[str(i)][0] for i in ids}), 20_000):
            connection.execute(sa.insert(schema.detections), [{"detector": name, "item": p} for p in part])
    set_fact(connection, "detectors", list(detections))
    set_fact(connection, "detections_of", source)


def _places(connection: sa.Connection, ids: list[str]) -> dict[str, tuple[int, str, str | None]]:
    i = schema.items.c
    rows_by_item: dict[str, tuple[int, str, str | None]] = {}
    for part in chunked(ids):
        query = sa.select(i.item_id, i.item, i.given, i.suggested).where(i.item_id.in_(part))
        rows_by_item |= {row.item_id: (row.item, row.given, row.suggested) for row in connection.execute(query)}
    return rows_by_item


def name_list(connection: sa.Connection) -> None:
    """Give the list of a store of before a name of its own; see `VerdictStore.list_id`."""
    row = {"key": LIST, "value": json.dumps(uuid4().hex)}
    connection.execute(upsert(connection, schema.meta, (), ()), row)


def set_fact(connection: sa.Connection, key: str, value: Any) -> None:
    """Store what the store says about itself under `key`, in the place of what was there."""
    connection.execute(sa.delete(schema.meta).where(schema.meta.c.key == key))
    connection.execute(sa.insert(schema.meta).values(key=key, value=json.dumps(value)))
