"""Turn a label column, whatever it holds, into positions in a list of class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError
from auditor.data.reference import nearest

#: With at least this many rows, a label column with more classes than half the rows is an id or a measurement.
_ENOUGH_ROWS = 20


@dataclass(frozen=True)
class EncodedLabels:
    """Labels as positions.

    Attributes
    ----------
    codes : integer array (n,)
        Position in `names`; -1 where the label is missing.
    names : tuple of str
    notes : list of str
    """

    codes: np.ndarray
    names: tuple[str, ...]
    notes: list[str]

    @property
    def present(self) -> np.ndarray:
        """Rows that have a label, int64."""
        return np.flatnonzero(self.codes >= 0)

    def complete(self, where: str) -> np.ndarray:
        """The codes, where every row needs a label.

        Raises
        ------
        LabelError
            For the first row without one.
        """
        if self.codes.min(initial=0) < 0:
            raise LabelError(f"{where}: the label of row {int(np.argmax(self.codes < 0))} is missing.")
        return self.codes


def split_names(text: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names from ``"cat,dog"`` or a sequence; None stays None."""
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else list(text)
    return tuple(str(part).strip() for part in parts)


def encode_labels(
    values: Sequence[Any] | np.ndarray, class_names: Sequence[str] | None, where: str, missing: int | None = None
) -> EncodedLabels:
    """Encode labels.

    Parameters
    ----------
    values : sequence (n,)
        Integers, strings or booleans; None, NaN and blank strings are missing labels.
    class_names : sequence of str, optional
        Integers are then 0-based positions in it and strings must occur in it. Without it the classes are the
        distinct values, sorted (numbers as numbers).
    where : str
        For messages, e.g. ``"column 'label' of 'x.csv'"``.
    missing : int
        Integer that also means "no label" when `class_names` is given; the Hub uses -1.

    Raises
    ------
    LabelError
        Mixed types, values outside the classes, measurements instead of classes; with the first such row.
    EmptyDataError
        If no row has a label.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    given = {row: cell for row, cell in enumerate(cells) if not _is_missing(cell)}
    first: dict[str, tuple[int, Any]] = {}
    for row, cell in given.items():
        first.setdefault(_kind(cell), (row, cell))
    if not first:
        raise EmptyDataError(f"{where} holds no labels: all {len(cells)} rows are empty.")
    if len(first) > 1:
        shown = ", ".join(f"{kind} (row {row}: {cell!r})" for kind, (row, cell) in first.items())
        raise LabelError(f"{where} mixes types: {shown}.", "Write all labels as strings or all as integers.")
    ((kind, (_, cell)),) = first.items()
    if kind == "other":
        raise LabelError(f"{where} holds values that are neither numbers nor strings: {cell!r}.")
    if kind == "number":
        for row, cell in given.items():
            if not np.isfinite(cell) or cell != int(cell):
                raise LabelError(
                    f"{where} holds numbers that are not whole: {cell!r} in row {row}. "
                    "Labels are classes, not measurements.",
                    "Name the label column with label=NAME.",
                )
        given = {row: int(cell) for row, cell in given.items() if class_names is None or cell != missing}
    else:
        given = {row: str(cell) for row, cell in given.items()}
    notes: list[str] = []
    places: Mapping[Any, int] | range
    if class_names is None:
        distinct = sorted(set(given.values()))
        if len(given) >= _ENOUGH_ROWS and len(distinct) > len(given) / 2:
            raise LabelError(
                f"{where} has {len(distinct)} different values in {len(given)} rows: an id or a measurement, not a "
                "class.",
                "Name the label column with label=NAME.",
            )
        names, places = tuple(map(str, distinct)), {value: k for k, value in enumerate(distinct)}
        notes = _look_alikes(names)
    else:
        names = tuple(class_names)
        places = range(len(names)) if kind == "number" else {name: k for k, name in enumerate(names)}
        _refuse_outside(given, places, names, where)
    codes = np.full(len(cells), -1, np.int64)
    codes[list(given)] = [places[cell] for cell in given.values()]
    gone = np.flatnonzero(codes < 0)
    if len(gone):
        notes.insert(0, f"{where}: {len(gone)} rows without a label were skipped (first: row {gone[0]})")
    return EncodedLabels(codes, names, notes)


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or (isinstance(cell, str) and not cell.strip())


def _kind(cell: Any) -> str:
    if isinstance(cell, bool | np.bool_):
        return "bool"
    if isinstance(cell, int | float | np.integer | np.floating):
        return "number"
    return "text" if isinstance(cell, str) else "other"


def _refuse_outside(
    given: Mapping[int, Any], places: Mapping[Any, int] | range, names: tuple[str, ...], where: str
) -> None:
    outside = [row for row, cell in given.items() if cell not in places]
    if outside:
        cell = given[outside[0]]
        raise LabelError(
            f"{where}: label {cell!r} in row {outside[0]} is outside the {len(names)} classes ({listed(names)}); "
            f"{len(outside)} such rows.",
            "Labels are 0-based positions in the list of class names."
            if isinstance(places, range)
            else nearest(cell, names).strip() or "Add it to the class names, or correct the row.",
        )
    if not isinstance(places, range) and len(places) < len(names):
        repeated = {name for name in places if names.count(name) > 1}
        row = next((row for row, cell in given.items() if cell in repeated), None)
        if row is not None:
            raise LabelError(f"{where}: {given[row]!r} in row {row} is the name of two classes.", "Use class numbers.")


def _look_alikes(names: tuple[str, ...]) -> list[str]:
    seen: dict[str, str] = {}
    twins = [(seen.setdefault(" ".join(name.casefold().split()), name), name) for name in names]
    return [f"classes {twin!r} and {name!r} differ in case or blanks only" for twin, name in twins if twin != name]


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Names in a message, the first `limit` of them."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, .. {len(names) - limit} more"
