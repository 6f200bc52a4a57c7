"""Turn a label column, whatever it holds, into positions in a list of class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError
from auditor.data.reference import nearest

__all__ = ["EncodedLabels", "encode_labels", "split_names"]

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
    blank = [_is_missing(cell) for cell in cells]
    kinds = {_kind(cell) for cell, gone in zip(cells, blank, strict=True) if not gone}
    if not kinds:
        raise EmptyDataError(f"{where} holds no labels: all {len(cells)} rows are empty.")
    if len(kinds) > 1:
        raise _mixed(cells, blank, where)
    kind = kinds.pop()
    if kind == "other":
        raise LabelError(f"{where} holds values that are neither numbers nor strings: {_first(cells, blank)!r}.")
    if kind == "number":
        cells = _integers(cells, blank, where)
    if class_names is not None and kind == "number":
        return _positions(cells, blank, tuple(class_names), where, missing)
    keyed = [
        None if gone else (cell if kind == "number" else str(cell)) for cell, gone in zip(cells, blank, strict=True)
    ]
    if class_names is not None:
        return _named(keyed, tuple(class_names), where)
    distinct = sorted({cell for cell in keyed if cell is not None})
    labelled = len(cells) - sum(blank)
    if labelled >= _ENOUGH_ROWS and len(distinct) > labelled / 2:
        raise LabelError(
            f"{where} has {len(distinct)} different values in {labelled} rows: an id or a measurement, not a class.",
            "Name the label column with label=NAME.",
        )
    code = {value: k for k, value in enumerate(distinct)}
    codes = np.array([-1 if cell is None else code[cell] for cell in keyed], dtype=np.int64)
    names = tuple(map(str, distinct))
    return EncodedLabels(codes, names, [*_missing_note(codes, where), *_look_alikes(names)])


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or (isinstance(cell, str) and not cell.strip())


def _kind(cell: Any) -> str:
    if isinstance(cell, bool | np.bool_):
        return "bool"
    if isinstance(cell, int | float | np.integer | np.floating):
        return "number"
    return "text" if isinstance(cell, str) else "other"


def _first(cells: list[Any], blank: list[bool]) -> Any:
    return next(cell for cell, gone in zip(cells, blank, strict=True) if not gone)


def _mixed(cells: list[Any], blank: list[bool], where: str) -> LabelError:
    first: dict[str, tuple[int, Any]] = {}
    for row, (cell, gone) in enumerate(zip(cells, blank, strict=True)):
        if not gone:
            first.setdefault(_kind(cell), (row, cell))
    shown = ", ".join(f"{kind} (row {row}: {cell!r})" for kind, (row, cell) in first.items())
    return LabelError(f"{where} mixes types: {shown}.", "Write all labels as strings or all as integers.")


def _integers(cells: list[Any], blank: list[bool], where: str) -> list[Any]:
    result: list[Any] = []
    for row, (cell, gone) in enumerate(zip(cells, blank, strict=True)):
        if gone:
            result.append(None)
            continue
        if not np.isfinite(cell) or cell != int(cell):
            raise LabelError(
                f"{where} holds numbers that are not whole: {cell!r} in row {row}. "
                "Labels are classes, not measurements.",
                "Name the label column with label=NAME.",
            )
        result.append(int(cell))
    return result


def _positions(
    cells: list[Any], blank: list[bool], names: tuple[str, ...], where: str, missing: int | None
) -> EncodedLabels:
    codes = np.array([-1 if gone or cell == missing else cell for cell, gone in zip(cells, blank, strict=True)])
    real = np.array([not gone and cell != missing for cell, gone in zip(cells, blank, strict=True)])
    outside = np.flatnonzero(real & ((codes < 0) | (codes >= len(names))))
    if len(outside):
        raise LabelError(
            f"{where}: label {codes[outside[0]]} in row {outside[0]} is outside the {len(names)} classes "
            f"({_listed(names)}); {len(outside)} such rows.",
            "Labels are 0-based positions in the list of class names.",
        )
    return EncodedLabels(codes.astype(np.int64), names, _missing_note(codes, where))


def _named(cells: list[str | None], names: tuple[str, ...], where: str) -> EncodedLabels:
    code = {name: k for k, name in enumerate(names)}
    for row, cell in enumerate(cells):
        if cell is not None and names.count(cell) > 1:
            raise LabelError(f"{where}: {cell!r} in row {row} is the name of two classes.", "Use class numbers.")
        if cell is not None and cell not in code:
            raise LabelError(
                f"{where}: label {cell!r} in row {row} is outside the {len(names)} classes ({_listed(names)}).",
                nearest(cell, names).strip() or "Add it to the class names, or correct the row.",
            )
    codes = np.array([-1 if cell is None else code[cell] for cell in cells], dtype=np.int64)
    return EncodedLabels(codes, names, _missing_note(codes, where))


def _missing_note(codes: np.ndarray, where: str) -> list[str]:
    gone = np.flatnonzero(codes < 0)
    if not len(gone):
        return []
    return [f"{where}: {len(gone)} rows without a label were skipped (first: row {gone[0]})"]


def _look_alikes(names: tuple[str, ...]) -> list[str]:
    seen: dict[str, str] = {}
    notes = []
    for name in names:
        twin = seen.setdefault(" ".join(name.casefold().split()), name)
        if twin != name:
            notes.append(f"classes {twin!r} and {name!r} differ in case or blanks only")
    return notes


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, .. {len(names) - limit} more"
