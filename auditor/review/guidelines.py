"""What belongs to a class, in words and by examples, for the people who judge. Every version is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import DataError, UsageError
from auditor.review import schema
from auditor.review.checksums import GUIDELINES

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
    row = {name: getattr(version, name) for name in GUIDELINES.said} | {"exemplars": json.dumps(version.exemplars)}
    connection.execute(sa.insert(schema.guidelines), row | {"checksum": GUIDELINES.seal(row)})


def carry(connection: sa.Connection, versions: Sequence[Guideline], classes: Sequence[str]) -> int:
    """Take versions over from another store, with authors and times, for classes that have none here; gives their
    number."""
    written = {version.class_name for version in history(connection)}
    new = [version for version in versions if version.class_name in classes and version.class_name not in written]
    for version in new:
        _insert(connection, version)
    return len(new)


def history(connection: sa.Connection, class_name: str | None = None) -> list[Guideline]:
    """All versions, of one class or of all, the oldest first."""
    table = schema.guidelines
    query = sa.select(*(table.c[name] for name in GUIDELINES.said)).order_by(table.c.class_name, table.c.version)
    rows = connection.execute(query if class_name is None else query.where(table.c.class_name == class_name))
    return [guideline_of(row._mapping) for row in rows]


def guideline_of(row: Mapping[Any, Any]) -> Guideline:
    """A version from its row; its values by name."""
    return Guideline(**{**row, "exemplars": tuple(json.loads(row["exemplars"]))})
