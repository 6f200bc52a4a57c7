"""Which row is item X? One answer for ids, row numbers, names and paths, file numbers and content hashes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError

_FILE_NUMBER: Final = re.compile(r"_(\d{8})(?:\.\w+)?$")
_SUFFIX: Final = re.compile(r"\.[A-Za-z]\w{1,4}$")


def file_numbers(names: Iterable[str]) -> list[int] | None:
    """Number at the end of every name, as in ImageNet; None where not every name has one."""
    matches = [_FILE_NUMBER.search(name) for name in names]
    return [int(m[1]) for m in matches if m is not None] if matches and all(matches) else None


def whole_number(value: Any) -> int | None:
    """A value, also a text, as a whole number, if it is one."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return int(value) if float(value).is_integer() else None
    text = str(value).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


class RowLookup:
    """Rows of one data set by what they are called. Tables are made when they are first needed.

    Parameters
    ----------
    n : int
        Rows.
    ids : iterable of str, optional
    index : iterable of int, optional
        Row number of each row within its split; default 0 .. n - 1.
    names : sequence of sequences of str
        What each row is called: file names or paths, ids. More than one name per row if there are several sequences.
    hashes : callable, optional
        Gives the content hash of every row.
    """

    def __init__(
        self,
        n: int,
        *,
        ids: Iterable[Any] = (),
        index: Iterable[int] | None = None,
        names: Sequence[Sequence[str]] = (),
        hashes: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.n = n
        self._ids, self._index, self._names, self._hashes = ids, index, tuple(names), hashes

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {str(item): row for row, item in enumerate(self._ids)}

    @cached_property
    def _by_index(self) -> dict[int, int]:
        return {int(k): row for row, k in enumerate(range(self.n) if self._index is None else self._index)}

    @cached_property
    def _by_hash(self) -> dict[str, list[int]]:
        return _rows_by([str(content)] for content in self._hashes())

    @cached_property
    def _by_whole_name(self) -> dict[str, list[int]]:
        return _rows_by([key for name in called for key in _bare(name)] for called in zip(*self._names, strict=True))

    @cached_property
    def _by_name_end(self) -> dict[str, list[int]]:
        rows = zip(*self._names, strict=True)
        return _rows_by([key for name in called for end in _ends(name) for key in _bare(end)] for called in rows)

    @cached_property
    def _by_file_number(self) -> dict[int, int]:
        numbers = file_numbers(map(str, self._names[0])) if self._names else None
        return {number: row for row, number in enumerate(numbers or ())}

    def by_id(self, value: str) -> int | None:
        """Row of an item id."""
        return self._by_id.get(value)

    def by_index(self, value: int) -> int | None:
        """Row of a row number of the split."""
        return self._by_index.get(value)

    def by_hash(self, value: str) -> list[int]:
        """All rows of a content hash."""
        return self._by_hash.get(value, [])

    def by_name(self, value: str, where: str = "") -> int | None:
        """Row of a whole name or path, with or without its suffix; never of an end of it: ``train/cat/0.png`` and
        ``test/cat/0.png`` end alike.

        Raises
        ------
        DataError
            If it is the name of several rows.
        """
        return self._only_row(self._by_whole_name.get(value.replace("\\", "/").removeprefix("./"), []), value, where)

    def _by_end(self, value: str, where: str) -> int | None:
        """Row of a name in a list of all rows: found where one of the two is the end of the other, folder by folder."""
        path = value.replace("\\", "/")
        rows = next((self._by_name_end[key] for key in _bare(path) if key in self._by_name_end), None)
        if rows is None:
            keys = (key for end in _ends(path) for key in _bare(end))
            rows = next((self._by_whole_name[key] for key in keys if key in self._by_whole_name), [])
        return self._only_row(rows, value, where)

    def _only_row(self, rows: list[int], value: str, where: str) -> int | None:
        if len(rows) > 1:
            raise DataError(
                f"{where and where + ': '}{value!r} is the name of {len(rows)} rows.",
                "Give longer paths, or row numbers.",
            )
        return rows[0] if rows else None

    def find(self, values: Sequence[Any], where: str) -> np.ndarray:
        """Row of each value, int64.

        Whole numbers are rows (0 .. n - 1), or file numbers where the names have such and the numbers run from 1 to
        n; texts are looked up in the names. Without names, ids such as ``test/17`` are rows of one split.

        Raises
        ------
        DataError
            If a value is unknown, belongs to several rows, or occurs twice.
        """
        if not self._names:
            matches = [re.fullmatch(r"(\w+)/(\d+)", one) if isinstance(one, str) else None for one in values]
            if all(matches) and len({m[1] for m in matches if m is not None}) == 1:
                values = [int(m[2]) for m in matches if m is not None]
        numbers = [number for one in values if (number := whole_number(one)) is not None]
        # Ids such as "0007" may be names of rows although they look like numbers.
        named = bool(self._names) and all(isinstance(one, str) and one in self._by_whole_name for one in values)
        if len(numbers) == len(values) and not named:
            rows = self._numbered(np.array(numbers, np.int64), where)
        elif not self._names:
            raise DataError(
                f"{where}: the id {values[0]!r} is no row number, and it is not known what the rows are called.",
                "Give the list of row names with --index.",
            )
        else:
            found = [self._by_end(str(one), where) for one in values]
            if None in found:
                raise DataError(
                    f"{where}: the id {str(values[found.index(None)])!r} is not among the names of the rows.",
                    "Give the fitting --index.",
                )
            rows = np.array(found, np.int64)
        unique, counts = np.unique(rows, return_counts=True)
        if len(unique) < len(rows):
            twice = int(unique[counts > 1][0])
            raise DataError(f"{where}: {int((counts > 1).sum())} rows occur more than once, e.g. row {twice}.")
        return rows

    def _numbered(self, numbers: np.ndarray, where: str) -> np.ndarray:
        if self._by_file_number and numbers.min() >= 1 and numbers.max() == self.n:
            missing = [k for k in numbers.tolist() if k not in self._by_file_number]
            if missing:
                raise DataError(f"{where}: the file number {missing[0]} is not in the index.")
            return np.array([self._by_file_number[k] for k in numbers.tolist()], np.int64)
        if numbers.min() < 0 or numbers.max() >= self.n:
            raise DataError(
                f"{where}: ids run from {numbers.min()} to {numbers.max()}; rows are 0 to {self.n - 1}.",
                "They look like file numbers from 1: give the list of files with --index."
                if numbers.max() == self.n
                else None,
            )
        return numbers


def _rows_by(keys_of_rows: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, keys in enumerate(keys_of_rows):
        for key in dict.fromkeys(keys):
            rows[key].append(row)
    return dict(rows)


def _bare(name: str) -> tuple[str, ...]:
    """A name, and the same without the suffix of a file."""
    return tuple(dict.fromkeys((name, _SUFFIX.sub("", name))))


def _ends(name: str) -> list[str]:
    """``a/b/c``, ``b/c``, ``c``."""
    parts = [part for part in str(name).split("/") if part not in ("", ".", "..")]
    return ["/".join(parts[k:]) for k in range(len(parts))]
