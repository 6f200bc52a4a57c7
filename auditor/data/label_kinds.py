"""Label columns that are more than classes, and telling by looking which kind a column is of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, UsageError
from auditor.core.label_forms import NO_TAGS, SEPARATOR, LabelForm, Levels, Numbers, TagSets, split_tags
from auditor.data.columns import MemoryTable
from auditor.data.labels import (
    MISSING,
    EncodedLabels,
    encode_labels,
    is_missing,
    listed,
    look_alikes,
    number_of,
    refuse_measurement,
)

#: The kind that `open_dataset` gives where any is welcome: to be told by looking.
AUTO: Final = "auto"
#: Ends the name of a label column that stands for all columns that begin so, each a tag: ``label:*``.
PATTERN: Final = "*"
#: Columns of tags are called so where nothing else is said.
TAG_COLUMNS: Final = "label:*"
#: Ordered classes, at most: a model is fitted for each.
MOST_LEVELS: Final = 50
#: Rows that are looked at to see whether texts are sets of tags.
_SAMPLE: Final = 2000


def columns_of(label: str, names: Collection[str]) -> tuple[str, ...]:
    """The columns that hold the label: the one called `label`, or all that begin as a `PATTERN` says."""
    if label in names or not label.endswith(PATTERN):
        return (label,) if label in names else ()
    return tuple(name for name in names if name.startswith(label[:-1]) and name != label[:-1])


def tag_pattern(table: MemoryTable) -> str | None:
    """`TAG_COLUMNS` where a table has two such columns or more and all hold 0 and 1; else None."""
    columns = columns_of(TAG_COLUMNS, table.features.types)
    usable = len(columns) > 1 and all(table.features.types[name] in ("number", "bool") for name in columns)
    return TAG_COLUMNS if usable and all(set(table.head(name, _SAMPLE)) <= {0, 1} for name in columns) else None


def tag_cells(table: MemoryTable, label: str, columns: Sequence[str], where: str) -> list[list[str] | None]:
    """Columns of 0 and 1 as a list of tags a row; None where a column is empty.

    Raises
    ------
    LabelError
        For the first value that is neither 0 nor 1.
    """
    prefix = len(label) - len(PATTERN)
    given = [table.column(name).to_pylist() for name in columns]
    for name, cells in zip(columns, given, strict=True):
        for row, cell in enumerate(cells):
            if cell is not None and cell == cell and cell not in (0, 1):
                raise LabelError(
                    f"column {name!r} of {where}: {cell!r} in row {row} is neither 0 nor 1.",
                    "A column a tag: 1 where the item has it, 0 where it has not.",
                )
    tags = [name[prefix:] for name in columns]
    return [
        None if any(is_missing(cell) for cell in row) else [tag for tag, cell in zip(tags, row, strict=True) if cell]
        for row in zip(*given, strict=True)
    ]


def tag_names(label: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the tags that the columns of a `PATTERN` stand for."""
    return tuple(name[len(label) - len(PATTERN) :] for name in columns)


def likely_kind(cells: Sequence[Any], class_names: Sequence[str] | None, where: str) -> tuple[str, str]:
    """Which kind of labels a column holds, and why; ``"class"`` where nothing speaks for another one.

    Numbers are a measurement where they would be refused as classes (`refuse_measurement`), but for row numbers. Texts
    are sets of tags where some are joined by `SEPARATOR` and what they are made of comes again in other sets.
    """
    if class_names is not None:
        return "class", "it has class names"
    if any(isinstance(cell, list | tuple | set | np.ndarray) for cell in cells):
        return "multilabel", "its cells are lists"
    given = [cell for cell in cells if not is_missing(cell)]
    if given and all(isinstance(cell, str) for cell in given):
        joined = {cell for cell in given[:_SAMPLE] if SEPARATOR in cell}
        sets = Counter(tag for cell in {*given[:_SAMPLE]} for tag in split_tags(cell))
        again = sum(times > 1 for times in sets.values())
        if len(joined) > 1 and len(sets) < len({*given[:_SAMPLE]}) + len(joined) and again >= len(sets) / 2:
            return "multilabel", f"its texts are tags joined by {SEPARATOR!r}"
    numbers = [_finite(cell) for cell in given]
    if given and None not in numbers:
        try:
            refuse_measurement(encode_labels(cells, None, where), where)
        except LabelError:
            values = np.array(numbers, np.float64)
            if not _counts_rows(values):
                return "regression", f"{len(np.unique(values)):,} different numbers in {len(values):,} rows"
    return "class", "no other kind was asked for"


def _finite(cell: Any) -> float | None:
    """A label as a finite number; None if it is none. Whole numbers may be too large for any."""
    number = None if isinstance(cell, bool | np.bool_) else number_of(cell)
    try:
        return None if number is None or not math.isfinite(number) else float(number)
    except OverflowError:
        return None


def _counts_rows(values: np.ndarray) -> bool:
    """Whether numbers count rows: whole, each once, hardly a gap."""
    whole = bool((values == np.rint(values)).all())
    return whole and len(np.unique(values)) == len(values) and values.max() - values.min() < 1.2 * len(values)


def encode_numbers(
    values: Sequence[Any] | np.ndarray,
    class_names: Sequence[str] | None,
    where: str,
    missing: Collection[str] | None = None,
) -> EncodedLabels:
    """Encode numbers to predict; parameters as of `encode_labels`.

    Raises
    ------
    LabelError
        For the first value that is no finite number.
    UsageError
        Where class names are given.
    EmptyDataError
        If no row has a label.
    """
    if class_names is not None:
        raise UsageError(f"{where} holds numbers to predict: they have no class names.", "Leave classes= out.")
    form = Numbers()
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    texts: dict[int, str] = {}
    for row, cell in _present(cells, missing):
        number = _finite(cell)
        if number is None:
            raise LabelError(
                f"{where}: {str(cell)[:80]!r} in row {row} is no finite number.",
                "Correct the row or leave its cell empty; if these are classes, say so with kind=class.",
            )
        texts[row] = form.write(number)
    return encode_written(cells, texts, form, where)


def encode_tags(
    values: Sequence[Any] | np.ndarray,
    class_names: Sequence[str] | None,
    where: str,
    missing: Collection[str] | None = None,
) -> EncodedLabels:
    """Encode sets of tags: lists, or texts joined by `SEPARATOR`; parameters as of `encode_labels`.

    The tags are `class_names`, or those that occur, sorted. An empty list, and the text `NO_TAGS`, have none.

    Raises
    ------
    LabelError
        A cell that is no set of tags, a tag that is none of `class_names` or holds `SEPARATOR`, or one tag only.
    EmptyDataError
        If no row has a label.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    sets: dict[int, list[str]] = {}
    for row, cell in _present(cells, missing):
        if isinstance(cell, str):
            sets[row] = split_tags(cell)
        elif isinstance(cell, list | tuple | set | frozenset | np.ndarray):
            sets[row] = [tag for each in cell if not is_missing(each) and (tag := str(each).strip()) != NO_TAGS]
        else:
            raise LabelError(
                f"{where}: {cell!r} in row {row} is no set of tags.",
                f"Write lists, tags joined by {SEPARATOR!r}, or a column of 0 and 1 for each tag.",
            )
    names = tuple(class_names) if class_names is not None else tuple(sorted({tag for s in sets.values() for tag in s}))
    if len(set(names)) < len(names):
        raise LabelError(f"{where}: tags repeat: {listed(names)}.")
    for name in names:
        if not name or name != name.strip() or SEPARATOR in name or name == NO_TAGS:
            raise LabelError(
                f"{where}: {name!r} is no name of a tag.", f"Names hold no {SEPARATOR!r} and no outer blanks."
            )
    if len(names) < 2:
        raise LabelError(f"{where} has {len(names)} tag(s): {listed(names)}.", "One tag is a class: yes or no.")
    known, form = set(names), TagSets(names)
    for row, tags in sets.items():
        if strange := [tag for tag in tags if tag not in known]:
            raise LabelError(
                f"{where}: tag {strange[0]!r} in row {row} is none of {listed(names)}.", "Correct the row, or classes=."
            )
    texts = {row: form.canonical(SEPARATOR.join(tags)) for row, tags in sets.items()}
    encoded = encode_written(cells, texts, form, where)
    return EncodedLabels(encoded.codes, encoded.names, [*look_alikes(names), *encoded.notes], form)


def encode_levels(
    values: Sequence[Any] | np.ndarray,
    class_names: Sequence[str] | None,
    where: str,
    missing: Collection[str] | None = None,
) -> EncodedLabels:
    """Encode ordered classes; parameters as of `encode_labels`, `class_names` from the lowest to the highest.

    Without class names the classes are numbers, in their order. Numbers are places in the class names, unless they are
    names themselves.

    Raises
    ------
    LabelError
        Classes whose order is not known, one that is none of `class_names`, or more than `MOST_LEVELS`.
    EmptyDataError
        If no row has a label.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    texts = {row: _level(cell) for row, cell in _present(cells, missing)}
    names = tuple(class_names) if class_names is not None else ()
    if class_names is None:
        strange = next(((row, text) for row, text in texts.items() if number_of(text) is None), None)
        if strange is not None:
            raise LabelError(
                f"{where}: the order of its classes is not known: {strange[1]!r} in row {strange[0]} is no number.",
                "Name them from the lowest to the highest: classes=poor,fair,good.",
            )
        names = tuple(sorted(set(texts.values()), key=float))
    elif not set(texts.values()) <= set(names):
        encoded = encode_labels(cells, class_names, where, missing)
        texts = {int(row): names[encoded.codes[row]] for row in encoded.present}
    if len(names) > MOST_LEVELS:
        raise LabelError(
            f"{where} holds {len(names)} ordered classes, more than {MOST_LEVELS}.",
            "Numbers to predict are of the kind regression; or make fewer classes, for example with pandas.cut.",
        )
    encoded = encode_written(cells, texts, Levels(names), where)
    return EncodedLabels(encoded.codes, encoded.names, [*look_alikes(names), *encoded.notes], encoded.form)


def _level(cell: Any) -> str:
    """A class as its text: whole numbers without a point."""
    number = None if isinstance(cell, str) else _finite(cell)
    text = str(cell).strip()
    if number is None and isinstance(cell, str) and number_of(text) is not None:
        number = _finite(float(text))
    return text if number is None else Numbers().write(number)


def _present(cells: Sequence[Any], missing: Collection[str] | None) -> Iterator[tuple[int, Any]]:
    """Rows that have a label."""
    markers = MISSING if missing is None else missing
    for row, cell in enumerate(cells):
        if isinstance(cell, list | tuple | set | frozenset | np.ndarray) or not is_missing(cell, markers):
            yield row, cell


def encode_written(cells: Sequence[Any], texts: Mapping[int, str], form: LabelForm, where: str) -> EncodedLabels:
    """Labels of a form from their canonical texts.

    Parameters
    ----------
    cells : sequence (n,)
        All rows; only their number counts.
    texts : mapping of int to str
        Canonical text by row; rows that are not in it have no label.
    form : LabelForm
    where : str
        For messages.

    Raises
    ------
    EmptyDataError
        If no row has a label.
    """
    if not texts:
        raise EmptyDataError(f"{where} holds no labels: all {len(cells)} rows are empty.")
    names = tuple(form.order(set(texts.values())))
    place = {name: k for k, name in enumerate(names)}
    codes = np.full(len(cells), -1, np.int64)
    codes[list(texts)] = [place[text] for text in texts.values()]
    gone = np.flatnonzero(codes < 0)
    notes = [f"{where}: {len(gone)} rows without a label were skipped (first: row {gone[0]})"] if len(gone) else []
    return EncodedLabels(codes, names, notes, form)
