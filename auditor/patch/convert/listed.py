"""What the formats share that list every picture with its labels: which row each is, and items to be dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError
from auditor.patch.convert.base import MISSING, Correction, DataView, labels_after
from auditor.patch.records import REASONS, Patch

#: Name of the attribute of an item to be dropped, which the formats have no other place for.
DROP = "auditor_drop"


def corrections_of_list(
    said: Iterable[tuple[str, Sequence[Any], Any]], data: DataView, path: Path
) -> tuple[list[Correction], list[str]]:
    """Corrections, and notes on what was passed over.

    Parameters
    ----------
    said : iterable of (path of a picture, its labels, why it is dropped or None)
    data : DataView
    path : Path
        The file, for messages.

    Raises
    ------
    DataError
        If none of the pictures is in the data, or a label is no class of it.
    """
    corrections, absent, unlabelled = [], 0, 0
    for name, labels, reason in said:
        where = f"{str(path)!r}, image {name[:80]!r}"
        if not labels and reason is None:
            unlabelled += 1
        elif (row := data.row_of_path(name, where)) is None:
            absent += 1
        elif reason is not None:
            if reason not in REASONS:
                raise DataError(f"{where}: {DROP} is {str(reason)[:40]!r}.", f"Known: {', '.join(REASONS)}.")
            corrections.append(Correction(row, (), reason))
        else:
            found = list(dict.fromkeys(data.class_name(label, where) for label in labels))
            corrections.append(Correction(row, tuple(sorted(found, key=lambda one: one != data.names[row]))))
    if absent and not corrections:
        raise DataError(f"{str(path)!r}: none of its {absent:,} pictures is in {data.part.name!r}.", MISSING)
    notes = [f"{unlabelled} pictures without a label were passed over"] * bool(unlabelled)
    notes += [f"{absent} pictures that are not in the data were passed over"] * bool(absent)
    return corrections, notes


def listed_rows(patch: Patch, data: DataView) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """Every row as ``(path or id, labels after, why it is dropped or None)``; a dropped one keeps its label before.

    Raises
    ------
    DataError
        If the data is another one.
    """
    labels, changed = labels_after(patch, data)
    items = data.part.items
    for row, names in enumerate(labels):
        name = str(items.ids[row] if items.paths is None else items.paths[row])
        reason = None if names else changed[row].reason
        yield name, names or (data.names[row],), reason


def drops_note(patch: Patch, data: DataView) -> list[str]:
    """What is said of items to be dropped."""
    drops = sum(not names for names in labels_after(patch, data)[0])
    return [f"{drops} items to be dropped keep their label with the attribute {DROP}"] if drops else []
