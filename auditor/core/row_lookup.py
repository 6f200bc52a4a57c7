"""Which row is item X? One answer for ids, row numbers, names and paths, file numbers and content hashes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
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
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None  # Python refuses to read thousands of digits


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
    def _by_name(self) -> dict[str, list[int]]:
        return _rows_by([key for name in called for key in _keys(name)] for called in zip(*self._names, strict=True))

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
        rows = self._by_name.get(_path(value), [])
        if len(rows) > 1:
            raise _of_several(value, rows, where)
        return rows[0] if rows else None

    def find(self, values: Sequence[Any], where: str) -> tuple[np.ndarray, str | None]:
        """Row of each value, int64, and how they were found where that is not plain.

        Whole numbers are rows (0 .. n - 1), or file numbers where the names have such and the numbers run from 1 to
        n; texts are looked up in the names. Without names, ids such as ``test/17`` are rows of one split.

        A name is a whole one. Folders in front of it may be missing, or be too many, if they are the same for all;
        folders that differ may be missing only where no value has any, and the file names alone say which row is
        meant.

        Raises
        ------
        DataError
            If a value is unknown, belongs to several rows, or occurs twice.
        """
        note = None
        if not self._names:
            matches = [re.fullmatch(r"(\w+)/(\d+)", one) if isinstance(one, str) else None for one in values]
            splits = {m[1] for m in matches if m is not None}
            if all(matches) and len(splits) == 1:
                values = [int(m[2]) for m in matches if m is not None]
                note = f"ids were read as row numbers, without the '{splits.pop()}/' in front of all of them"
        numbers = [number for one in values if (number := whole_number(one)) is not None]
        # Ids such as "0007" may be names of rows although they look like numbers.
        named = bool(self._names) and all(isinstance(one, str) and one in self._by_name for one in values)
        if len(numbers) == len(values) and not named:
            rows = self._numbered(np.array(numbers, np.int64), where)
        elif not self._names:
            raise DataError(
                f"{where}: the id {values[0]!r} is no row number, and it is not known what the rows are called.",
                "Give the list of row names with --index.",
            )
        else:
            rows, note = self._named([str(one) for one in values], where)
        unique, counts = np.unique(rows, return_counts=True)
        if len(unique) < len(rows):
            twice = int(unique[counts > 1][0])
            raise DataError(f"{where}: {int((counts > 1).sum())} rows occur more than once, e.g. row {twice}.")
        return rows, note

    def _named(self, values: Sequence[str], where: str) -> tuple[np.ndarray, str | None]:
        paths = [_path(value) for value in values]
        if not any(_SUFFIX.search(name) for names in self._names for name in names):
            paths = [_SUFFIX.sub("", path) for path in paths]
        fitting: dict[tuple[int, ...], str | None] = {}
        several: DataError | None = None
        for note, names, table in self._readings(paths):
            if not all(name in table for name in names):
                continue
            rows = [table[name] for name in names]
            unclear = next((k for k, of_name in enumerate(rows) if len(of_name) > 1), None)
            if unclear is not None:
                several = several or _of_several(values[unclear], rows[unclear], where)
                continue
            fitting.setdefault(tuple(row for (row,) in rows), note)
            if note is None:
                break
        if len(fitting) > 1:
            raise DataError(
                f"{where}: the ids fit the rows in more than one way: {'; or '.join(map(str, fitting.values()))}.",
                f"Write them as the rows are called, e.g. {self._names[0][0]!r}.",
            )
        for rows_of_values, note in fitting.items():
            return np.array(rows_of_values, np.int64), note
        unknown = next((value for value, path in zip(values, paths, strict=True) if path not in self._by_name), None)
        raise several or DataError(
            f"{where}: the id {unknown!r} is not among the names of the rows, e.g. {self._names[0][0]!r}.",
            "Give the fitting --index. Names are whole; only folders in front that all rows share may differ.",
        )

    def _readings(self, paths: list[str]) -> Iterator[tuple[str | None, list[str], dict[str, list[int]]]]:
        """How names of a file may be those of the rows: a note, the names to look up, and the rows by name."""
        yield None, paths, self._by_name
        for head in _fronts(paths):
            shorter = [path.removeprefix(head) for path in paths]
            yield f"ids were matched without the {head!r} in front of all of them", shorter, self._by_name
        for names in self._names:
            called = [_path(name) for name in names]
            for head in _fronts(called):
                table = _rows_by(_keys(name.removeprefix(head)) for name in called)
                yield f"ids were matched with {head!r} in front, as all rows have it", paths, table
            if not any("/" in path for path in paths):
                table = _rows_by(_keys(name.rpartition("/")[2]) for name in called)
                yield "ids without folders were matched by file names, each of which occurs once", paths, table

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


def _of_several(value: str, rows: Sequence[int], where: str) -> DataError:
    return DataError(
        f"{where and where + ': '}{value!r} is the name of {len(rows)} rows.", "Give longer paths, or row numbers."
    )


def _path(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _keys(name: str) -> tuple[str, ...]:
    """A name, and the same without the suffix of a file."""
    path = _path(name)
    return path, _SUFFIX.sub("", path)


def _fronts(paths: Sequence[str]) -> list[str]:
    """``a/``, ``a/b/``, .. : the beginnings of all paths that are folders."""
    folders = [path.split("/")[:-1] for path in paths]
    pairs = zip(min(folders), max(folders), strict=False)  # what these two share, all share
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return ["/".join(shared[: k + 1]) + "/" for k in range(len(shared))]
