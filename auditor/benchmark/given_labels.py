"""The rows of a benchmark: given labels, class names, and what the rows are called elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError
from auditor.data.base import Dataset
from auditor.data.intake import encode_supplied, one_column, read_labels
from auditor.patch.published_names import read_index

__all__ = ["Truth", "load_given_labels", "truth_of_dataset"]

_NUMBER: Final = re.compile(r"_(\d{8})(?:\.\w+)?$")


@dataclass(frozen=True, eq=False)
class Truth:
    """Given labels of all rows.

    Attributes
    ----------
    labels : int64 array (n,)
    source : str
        Where they come from, for messages.
    class_names : tuple of str or None
        Name of each label number, where known.
    names : tuple of str or None
        What each row is called elsewhere (file name, id), where known.
    other_names : tuple of str or None
        A second name of each row.
    """

    labels: np.ndarray
    source: str
    class_names: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = field(default=None, repr=False)
    other_names: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise EmptyDataError(f"{self.source}: there are no labels.")
        if self.labels.min() < 0:
            raise LabelError(f"{self.source}: label {int(self.labels.min())} is negative.", "Labels count from 0.")
        if self.names is not None and len(self.names) != len(self.labels):
            raise DataError(
                f"the index names {len(self.names):,} rows, {self.source} has {len(self.labels):,}.",
                "Give the index that belongs to these labels.",
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes: of names, or one more than the largest label."""
        return len(self.class_names) if self.class_names else int(self.labels.max()) + 1

    @cached_property
    def _places(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Rows by whole name, and by every end of it (without its first folders), each with and without suffix."""
        whole: dict[str, list[int]] = {}
        ends: dict[str, list[int]] = {}
        for row in range(len(self.names or ())):
            called = [names[row] for names in (self.names, self.other_names) if names is not None]
            for key in dict.fromkeys(k for name in called for k in _bare(name)):
                whole.setdefault(key, []).append(row)
            for key in dict.fromkeys(k for name in called for end in _ends(name) for k in _bare(end)):
                ends.setdefault(key, []).append(row)
        return whole, ends

    @cached_property
    def file_numbers(self) -> list[int] | None:
        """Number at the end of every row's name, as in ImageNet; None where not every name has one."""
        matches = [_NUMBER.search(name) for name in self.names or ()]
        return [int(m[1]) for m in matches if m is not None] if matches and all(matches) else None

    @cached_property
    def _rows_by_number(self) -> dict[int, int]:
        return {number: row for row, number in enumerate(self.file_numbers or ())}

    def rows_of(self, ids: Sequence[Any], where: str) -> np.ndarray:
        """Row of each id, int64.

        Whole numbers are rows (0 .. n - 1), or file numbers where the index has such and the numbers run from 1 to
        n; texts are looked up in the names, whole or as file name with or without suffix.

        Raises
        ------
        DataError
            If an id is unknown, belongs to several rows, or occurs twice.
        """
        ids = self._without_split(ids)
        numbers = [_whole(one) for one in ids]
        if all(n is not None for n in numbers) and not self._texts_are_names(ids):
            rows = self._numbered([n for n in numbers if n is not None], where)
        elif self.names is None:
            raise DataError(
                f"{where}: the id {ids[0]!r} is no row number, and it is not known what the rows are called.",
                "Give the list of row names with --index.",
            )
        else:
            rows = np.array([self._named(str(one), where) for one in ids], np.int64)
        unique, counts = np.unique(rows, return_counts=True)
        if len(unique) < len(rows):
            twice = int(unique[counts > 1][0])
            raise DataError(f"{where}: {int((counts > 1).sum())} rows occur more than once, e.g. row {twice}.")
        return rows

    def _without_split(self, ids: Sequence[Any]) -> Sequence[Any]:
        """Ids such as ``test/17`` of our own data sets, where the rows have no other names."""
        if self.names is not None:
            return ids
        matches = [re.fullmatch(r"(\w+)/(\d+)", one) if isinstance(one, str) else None for one in ids]
        if not all(matches) or len({m[1] for m in matches if m is not None}) != 1:
            return ids
        return [int(m[2]) for m in matches if m is not None]

    def _texts_are_names(self, ids: Sequence[Any]) -> bool:
        """Ids such as "0007" that are names of rows although they look like numbers."""
        return self.names is not None and all(isinstance(one, str) and one in self._places[0] for one in ids)

    def _numbered(self, numbers: list[int], where: str) -> np.ndarray:
        n, found = len(self), np.array(numbers, np.int64)
        if self._rows_by_number and (found.min() >= 1 and found.max() == n):
            missing = [k for k in numbers if k not in self._rows_by_number]
            if missing:
                raise DataError(f"{where}: the file number {missing[0]} is not in the index.")
            return np.array([self._rows_by_number[k] for k in numbers], np.int64)
        if found.min() < 0 or found.max() >= n:
            hint = (
                "They look like file numbers from 1: give the list of files with --index." if found.max() == n else None
            )
            raise DataError(f"{where}: ids run from {found.min()} to {found.max()}; rows are 0 to {n - 1}.", hint)
        return found

    def _named(self, name: str, where: str) -> int:
        """A name is found where one of the two is the end of the other; anything looser could find a wrong row."""
        whole, ends = self._places
        found = next((ends[key] for key in _bare(name) if key in ends), None)
        if found is None:
            found = next((whole[k] for end in _ends(name) for k in _bare(end) if k in whole), None)
        if found is None:
            raise DataError(
                f"{where}: the id {name!r} is not among the names of the rows.", "Give the fitting --index."
            )
        if len(found) > 1:
            raise DataError(f"{where}: the id {name!r} is the name of {len(found)} rows.", "Use row numbers as ids.")
        return found[0]

    def numbers_of(self, values: Sequence[Any], where: str) -> np.ndarray:
        """Class numbers of labels that are numbers or class names, int64.

        Raises
        ------
        LabelError
            As `auditor.data.intake.encode_supplied`, and for a missing value.
        """
        encoded = encode_supplied(np.array([*values, None], dtype=object)[:-1], self.class_names, where)
        if self.class_names is None and not encoded.names[-1].isdigit():
            raise LabelError(f"{where}: {encoded.names[-1]!r} is no class number, and the class names are not known.")
        return encoded.complete(where)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return int(value) if float(value).is_integer() else None
    text = str(value).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _bare(name: str) -> tuple[str, ...]:
    """A name, and the same without the suffix of a file."""
    return tuple(dict.fromkeys((name, re.sub(r"\.[A-Za-z]\w{1,4}$", "", name))))


def _ends(name: str) -> list[str]:
    """``a/b/c``, ``b/c``, ``c``."""
    parts = str(name).split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def load_given_labels(path: Path, index: Path | None = None, class_names: Sequence[str] | None = None) -> Truth:
    """Read given labels.

    Parameters
    ----------
    path : Path
        ``.npy``, ``.npz`` (``labels``), ``.txt``, or a table with a column ``label``, whose column ``id``, if there
        is one, names the rows.
    index : Path, optional
        ``index.json``: what each row is called.
    class_names : sequence of str, optional
        In the order of the label numbers; needed where labels are names.

    Raises
    ------
    AuditorError
        If a file cannot be read, or labels are missing.
    """
    where = repr(str(path))
    column = read_labels(path)
    ids = None if column.row_names is None else [str(one) for one in column.row_names]
    if ids is not None and all(_whole(one) == k for k, one in enumerate(ids)):
        ids = None  # plain row numbers
    names = read_index(index) if index is not None else ids
    encoded = encode_supplied(one_column(column.values, where), class_names, where)
    numbered = class_names is None and encoded.names == tuple(map(str, range(len(encoded.names))))
    labels = encoded.complete(where).astype(np.int64)
    return Truth(labels, where, None if numbered else encoded.names, None if names is None else tuple(names))


def truth_of_dataset(dataset: Dataset) -> Truth:
    """Labels and names of a data set of one split, in the order of its rows."""
    order = np.argsort(dataset.items.index, kind="stable")
    if not np.array_equal(dataset.items.index[order], np.arange(len(order))):
        raise DataError(f"the rows of {dataset.name!r} are not numbered from 0 to {len(order) - 1}.", "Name one split.")
    if not np.array_equal(order, np.arange(len(order))):
        raise DataError(f"the rows of {dataset.name!r} are not in their order.", "Name one split.")
    ids, paths = tuple(map(str, dataset.items.ids)), dataset.items.paths
    return Truth(
        np.asarray(dataset.labels, np.int64),
        repr(dataset.name),
        tuple(dataset.class_names),
        ids,
        None if paths is None else tuple(map(str, paths)),
    )
