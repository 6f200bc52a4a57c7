"""Turn a label column, whatever it holds, into positions in a list of class names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError
from auditor.core.label_forms import LabelForm
from auditor.core.registry import Registry
from auditor.data.dates import is_date
from auditor.data.reference import nearest

#: How tools write that there is no label, besides with nothing.
MISSING = frozenset({"nan", "NaN", "NAN", "NaT", "<NA>", "None", "NULL", "null", "N/A", "n/a", "#N/A"})
#: A text column of numbers that are not whole is a measurement if it has more values than this.
_FEW = 20
#: Numbers that are no codes from 0 or 1 are a measurement if half of them have fewer items than this.
_ITEMS_PER_CLASS = 10
_MEASURED = (
    "Numbers to predict are for find-errors (kind=regression). Make classes of them (for example with pandas.cut), or "
    "name the column of classes with label=NAME; if these are classes, say so with kind=class."
)
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
        The classes; of labels with a form, every label that occurs, as its text.
    notes : list of str
    form : LabelForm or None
        None for classes.
    """

    codes: np.ndarray
    names: tuple[str, ...]
    notes: list[str]
    form: LabelForm | None = None

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


#: How the cells of a label column become classes: functions with the contract of `encode_labels`. A reference to a
#: table or a Hub data set names one as ``kind=NAME``. Cells of text files are text, others as they are stored.
LABEL_KINDS: Registry[Callable[..., EncodedLabels]] = Registry(
    "label kind",
    {
        "class": "auditor.data.labels:encode_labels",
        "classes": "auditor.data.labels:encode_labels",
        "multilabel": "auditor.data.label_kinds:encode_tags",
        "regression": "auditor.data.label_kinds:encode_numbers",
        "ordinal": "auditor.data.label_kinds:encode_levels",
        "tokens": "auditor.data.token_labels:encode_token_tags",
    },
    "auditor.label_kinds",
)


def split_names(text: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names from ``"cat,dog"`` or a sequence; None stays None."""
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else list(text)
    return tuple(str(part).strip() for part in parts)


def encode_labels(
    values: Sequence[Any] | np.ndarray,
    class_names: Sequence[str] | None,
    where: str,
    missing: Collection[str] | None = None,
) -> EncodedLabels:
    """Encode labels.

    Parameters
    ----------
    values : sequence (n,)
        Integers, strings or booleans. None, NaN and blank strings are missing labels; and by default the texts of
        `MISSING`, and -1 beside other numbers that are 0, 1, .. or positions, unless they are class names.
    class_names : sequence of str, optional
        Integers are then 0-based positions in it and strings must occur in it; strings that do not, but are all whole
        numbers, are positions. Without it the classes are the distinct values, sorted (numbers as numbers).
    where : str
        For messages, e.g. ``"column 'label' of 'x.csv'"``.
    missing : collection of str, optional
        How a missing label is written, instead of the default.

    Raises
    ------
    LabelError
        Mixed types, values outside the classes, measurements instead of classes; with the first such row.
    EmptyDataError
        If no row has a label.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    names = None if class_names is None else tuple(class_names)
    markers = MISSING.difference(names or ()) if missing is None else missing
    given = {row: cell for row, cell in enumerate(cells) if not is_missing(cell, markers)}
    first: dict[str, tuple[int, Any]] = {}
    for row, cell in given.items():
        first.setdefault(_kind(cell), (row, cell))
    if len(first) > 1:
        shown = ", ".join(f"{kind} (row {row}: {cell!r})" for kind, (row, cell) in first.items())
        raise LabelError(f"{where} mixes types: {shown}.", "Write all labels as strings or all as integers.")
    kind, (_, cell) = next(iter(first.items()), ("text", (0, "")))
    if kind == "other":
        way_out = "Decode them: .decode() of each." if isinstance(cell, bytes) else "Make texts of them: str() of each."
        raise LabelError(f"{where} holds values that are neither numbers nor strings: {cell!r}.", way_out)
    if kind != "number":
        given = {row: str(cell) for row, cell in given.items()}
    distinct = set(given.values())
    numbers = {cell: number_of(cell) for cell in distinct}
    numeric = None not in numbers.values() and not (names and distinct <= set(names))
    if numeric and (kind == "number" or names is not None or len(distinct) > _FEW):
        for row, cell in given.items():
            if not isinstance(numbers[cell], int):
                raise LabelError(
                    f"{where} holds numbers that are not whole: {cell!r} in row {row}. "
                    "Labels are classes, not measurements.",
                    _MEASURED.partition("; if")[0] + ".",
                )
        if kind == "number" or names is not None:
            given = {row: numbers[cell] for row, cell in given.items()}
            numbers = {number: number for number in numbers.values()}
    if missing is None and numeric and "-1" not in (names or ()):
        # -1 and 1 are the two classes of many solvers; -1 beside 0, 1, .. is how the Hub writes that there is no label.
        others = {number for number in numbers.values() if number is not None and number != -1}
        if names is not None or (len(others) > 1 and min(others) == 0):
            given = {row: cell for row, cell in given.items() if numbers[cell] != -1}
    if not given:
        raise EmptyDataError(f"{where} holds no labels: all {len(cells)} rows are empty.")
    places: Mapping[Any, int] | range
    if names is None:
        ordered = sorted(set(given.values()), key=lambda cell: (numbers[cell] if numeric else 0, str(cell)))
        if len(given) >= _ENOUGH_ROWS and len(ordered) > len(given) / 2:
            raise LabelError(
                f"{where} has {len(ordered)} different values in {len(given)} rows: an id or a measurement, not a "
                "class.",
                _MEASURED.partition("; if")[0] + ".",
            )
        names, places = tuple(map(str, ordered)), {value: k for k, value in enumerate(ordered)}
    else:
        whole = all(isinstance(cell, int) for cell in given.values())
        places = range(len(names)) if whole else {name: k for k, name in enumerate(names)}
        _refuse_outside(given, places, names, where)
    codes = np.full(len(cells), -1, np.int64)
    codes[list(given)] = [places[cell] for cell in given.values()]
    notes = look_alikes(names)
    gone = np.flatnonzero(codes < 0)
    if len(gone):
        written = list(dict.fromkeys(repr(cells[row]) for row in gone))
        notes.insert(
            0,
            f"{where}: {len(gone)} rows without a label were skipped (first: row {gone[0]}; written as "
            f"{listed(written, 5)})",
        )
    return EncodedLabels(codes, names, notes)


def refuse_measurement(encoded: EncodedLabels, where: str) -> None:
    """Refuse classes that were made of the values of a measurement: many days, or many numbers.

    Numbers are taken for classes where they are codes from 0 or 1 with hardly a gap, however many; or where they lie
    irregularly (catalogue numbers) or are all about as frequent (a part of such codes), and have items enough.

    Parameters
    ----------
    encoded : EncodedLabels
        Of values without class names of their own.
    where : str
        For the message.

    Raises
    ------
    LabelError
    """
    names, counts = encoded.names, np.bincount(encoded.codes[encoded.present])
    if len(names) <= _FEW:
        return
    span = f"from {names[0]} to {names[-1]}"
    if all(map(is_date, names)):
        raise LabelError(f"{where} holds {len(names)} different dates, {span}: no classes.", _MEASURED)
    numbers = [number_of(name) for name in names]
    if any(number is None for number in numbers):
        return
    values = np.array(numbers, np.float64)
    if values[0] in (0, 1) and values[-1] - values[0] < 1.2 * len(values):
        return
    _, times = np.unique(np.diff(values), return_counts=True)
    on_a_grid = times.max() >= (len(values) - 1) / 2 and counts.min() < counts.max() / 10
    if on_a_grid or np.median(counts) < _ITEMS_PER_CLASS:
        raise LabelError(
            f"{where} holds {len(names)} different numbers, {span}: a measurement rather than classes.", _MEASURED
        )


def is_missing(cell: Any, markers: Collection[str] = MISSING) -> bool:
    """Whether a value says that there is no label."""
    if isinstance(cell, str):
        return not cell.strip() or cell.strip() in markers
    return cell is None or cell != cell or str(cell) in markers


def number_of(cell: Any) -> int | float | None:
    """A label as a number, whole ones as int; None if it is none."""
    try:
        value = int(cell) if isinstance(cell, int | np.integer) else float(cell)
    except (TypeError, ValueError):
        return None
    if value != value:
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else value


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


def look_alikes(names: Sequence[str]) -> list[str]:
    """A note on each two class names that are likely one class."""
    seen: dict[Any, str] = {}
    alike = [" ".join(name.casefold().split()) if (number := number_of(name)) is None else number for name in names]
    twins = [(seen.setdefault(key, name), name) for key, name in zip(alike, names, strict=True)]
    return [
        f"classes {twin!r} and {name!r} differ in case or blanks only, or are one number"
        for twin, name in twins
        if twin != name
    ]


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Names in a message, the first `limit` of them."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, .. {len(names) - limit} more"
