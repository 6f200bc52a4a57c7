"""What belongs to a class, in words and by examples, for the people who judge. Every version is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import DataError, UsageError
from auditor.review import schema
from auditor.review.checksums import checksum

#: Letters of a definition, and exemplars of a class.
LONGEST_DEFINITION: Final = 10_000
MOST_EXEMPLARS: Final = 24


class OutdatedError(UsageError):
    """Somebody else has written a version that the writer has not seen."""


@dataclass(frozen=True)
class Guideline:
    """One version of the guideline of a class.

    Attributes
    ----------
    class_name : str
    version : int
        From 1 for each class.
    definition : str
        What belongs to the class; empty where only exemplars are given.
    exemplars : tuple of str
        Item ids.
    reviewer : str
        Who wrote it.
    server_time : float
        When, in seconds since 1970.
    """

    class_name: str
    version: int
    definition: str
    exemplars: tuple[str, ...]
    reviewer: str
    server_time: float


def write(
    connection: sa.Connection,
    reviewer: str,
    class_name: str,
    definition: str,
    exemplars: Sequence[str],
    base: int,
    classes: Sequence[str],
    now: float,
) -> Guideline:
    """Store a version; see `VerdictStore.write_guideline`."""
    definition, wanted = definition.strip(), tuple(dict.fromkeys(exemplars))
    if class_name not in classes:
        raise DataError(f"the run has no class {class_name[:80]!r}.")
    if len(definition) > LONGEST_DEFINITION or "\0" in definition:
        raise UsageError(f"a definition has at most {LONGEST_DEFINITION:,} characters, and none of them is NUL.")
    if len(wanted) > MOST_EXEMPLARS:
        raise UsageError(f"a class has at most {MOST_EXEMPLARS} exemplars, not {len(wanted)}.")
    items = schema.items.c
    known = set(connection.scalars(sa.select(items.item_id).where(items.item_id.in_(wanted))))
    if unknown := [item for item in wanted if item not in known]:
        raise DataError(f"the run has no item {unknown[0][:80]!r}.", "Exemplars are ids of items, as on the card.")
    last = history(connection, class_name)
    if last and (last[-1].definition, last[-1].exemplars) == (definition, wanted):
        return last[-1]
    if (there := last[-1].version if last else 0) != base:
        raise OutdatedError(
            f"{last[-1].reviewer if last else 'nobody'} has written version {there} of {class_name!r}, and this was "
            f"made from version {base}.",
            "Look at that version, and write yours into it.",
        )
    new = Guideline(class_name, there + 1, definition, wanted, reviewer, now)
    _insert(connection, new)
    return new


def _insert(connection: sa.Connection, version: Guideline) -> None:
    row = {name: getattr(version, name) for name in _SAID} | {"exemplars": json.dumps(version.exemplars)}
    connection.execute(sa.insert(schema.guidelines), row | {"checksum": checksum(row[name] for name in _SAID)})


#: Columns of a version that its checksum covers, in this order.
_SAID: Final = ("class_name", "version", "definition", "exemplars", "reviewer", "server_time")


def carry(connection: sa.Connection, versions: Sequence[Guideline], classes: Sequence[str]) -> None:
    """Take versions over from another store, with their authors and times, for classes that have none here."""
    written = {version.class_name for version in history(connection)}
    for version in versions:
        if version.class_name in classes and version.class_name not in written:
            _insert(connection, version)


def history(connection: sa.Connection, class_name: str | None = None) -> list[Guideline]:
    """All versions, of one class or of all, the oldest first."""
    table = schema.guidelines
    query = sa.select(*(table.c[name] for name in _SAID)).order_by(table.c.class_name, table.c.version)
    rows = connection.execute(query if class_name is None else query.where(table.c.class_name == class_name))
    return [_guideline(row._mapping) for row in rows]


def _guideline(row: Mapping[Any, Any]) -> Guideline:
    return Guideline(**{**row, "exemplars": tuple(json.loads(row["exemplars"]))})


def damaged_guidelines(connection: sa.Connection) -> Iterator[str]:
    """Versions that are not as they were stored, one line for each."""
    table = schema.guidelines.c
    for row in connection.execute(sa.select(*(table[name] for name in _SAID), table.checksum)):
        if row.checksum != checksum(row[:-1]):
            yield f"guideline of {row.class_name!r}, version {row.version}: it is not what was stored"
