"""Data in files of rows: which rows are there, which are set aside, and the files that hold them.

A row's key is ``<file>:<row>``: the number of the data file and the row in it before any patch. All formats are
edited the same way: put the rows set aside back in their places, change labels, set the rows to drop aside again.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from auditor.core.errors import AuditorError, DataError, UnreadableError
from auditor.core.files import load_npy
from auditor.core.reading import parsing, regular_file, usable_paths
from auditor.patch.copies import ASIDE
from auditor.patch.target import Edit, Opening, Target, write_multi_file
from auditor.runs.tables import write_array

T = TypeVar("T")


@dataclass(frozen=True)
class FilePlan:
    """An `Edit` for one file, by row before any patch.

    Attributes
    ----------
    before, after : int64 array
        Rows set aside now and afterwards, ascending.
    labels : dict
        Row to new label name.
    raws : dict
        Row to exact spelling.
    multi : dict
        Row to all labels; every row that has several afterwards.
    multi_anywhere : bool
        Whether any file of the copy has such rows: then all files get the column.
    """

    before: np.ndarray
    after: np.ndarray
    labels: dict[int, str]
    raws: dict[int, str]
    multi: dict[int, tuple[str, ...]]
    multi_anywhere: bool

    @property
    def nothing(self) -> bool:
        """No label changes and no row moves."""
        return not self.labels and np.array_equal(self.before, self.after)


def original_rows(n: int, aside: np.ndarray) -> np.ndarray:
    """Row before any patch of each of the `n` rows left, given the rows set aside; int64 (n,), ascending."""
    return np.setdiff1d(np.arange(n + len(aside)), aside)


class RowFile(ABC):
    """One data file.

    Attributes
    ----------
    name : str
        Path relative to the copy's folder, with forward slashes.
    n : int
        Rows now in it.
    """

    name: str
    n: int

    @abstractmethod
    def unchanged(self, plan: FilePlan) -> Path | None:
        """The file that can be copied byte by byte, where nothing changes in it."""

    @abstractmethod
    def rewrite(self, out: Path, aside: Path | None, aside_out: Path, plan: FilePlan) -> dict[int, str]:
        """Write the edited file to `out` and the rows set aside to `aside_out`.

        Parameters
        ----------
        out : Path
        aside : Path or None
            Where the rows set aside now are.
        aside_out : Path
            Written only where rows are set aside afterwards.
        plan : FilePlan

        Returns
        -------
        dict
            Row to the spelling that was replaced; empty for binary formats.
        """

    def extra(self) -> dict[str, Any]:
        """What a copy of this file needs to be brought back exactly."""
        return {}


class RowTarget(Target):
    """A data set in files of rows.

    Parameters
    ----------
    opening, column :
        As in `Target`.
    files : sequence of RowFile
    place : int64 array (n, 2)
        File and current row of each item.
    open_as : dict
        How a copy is opened; see `CopyState.open_as`.
    multi_in_files : bool
        Whether the files take the column ``<label>_multi`` themselves.
    """

    def __init__(
        self,
        opening: Opening,
        column: str,
        files: Sequence[RowFile],
        place: np.ndarray,
        open_as: dict[str, Any],
        multi_in_files: bool = True,
    ) -> None:
        super().__init__(opening, column)
        self.files, self._open_as, self._multi_in_files = tuple(files), open_as, multi_in_files
        self._aside = [_rows_in_file(k, self.memory.dropped) for k in range(len(files))]
        originals = [original_rows(f.n, a) for f, a in zip(self.files, self._aside, strict=True)]
        self.keys = np.array([f"{f}:{originals[f][r]}" for f, r in place.tolist()])
        if multi_in_files:
            self.multi_place = f"column {column}_multi"

    def write(self, out: Path, edit: Edit, link: bool) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        raws: dict[str, str] = {}
        for k, file in enumerate(self.files):
            plan = self._plan(k, edit)
            aside = None
            if self.root is not None and len(plan.before):
                aside = inside(_aside_path(self.root, k), self.root)
            target = out / file.name
            aside_out = _aside_path(out, k)
            if (same := file.unchanged(plan)) is not None:
                copy_file(same if self.root is None else inside(same, self.root), target, link)
                if aside is not None:
                    copy_file(aside, aside_out, link=False)
                continue
            with nullcontext() if self.root is None else _copy_read(self.root):
                replaced = file.rewrite(target, aside, aside_out, plan)
            raws |= {f"{k}:{row}": raw for row, raw in replaced.items()}
        if not self._multi_in_files:
            places = {
                f"{k}:{row}": {"file": file.name, "row": row}
                for k, file in enumerate(self.files)
                for row in _in_file(k, edit.multi)
            }
            write_multi_file(out, edit.multi, places)
        return raws, self.memory.extra or {"files": {f.name: f.extra() for f in self.files}}, self._open_as

    def _plan(self, k: int, edit: Edit) -> FilePlan:
        labels, raws, multi = _in_file(k, edit.labels), _in_file(k, edit.raws), _in_file(k, edit.multi)
        return FilePlan(self._aside[k], _rows_in_file(k, edit.dropped), labels, raws, multi, bool(edit.multi))


@contextmanager
def _copy_read(root: Path) -> Iterator[None]:
    """Around what puts rows of a copy and of its memory together: what does not fit is said to be wrong with the copy.

    Faults of the disk stay what they are.

    Raises
    ------
    UnreadableError
    """
    try:
        yield
    except (AuditorError, MemoryError, OSError):
        raise
    except Exception as error:  # classes that its description has not, texts that are none: each file type has its own
        raise UnreadableError(
            f"the copy {str(root)!r} does not fit what it remembers of the patch: {error}.",
            "It was edited by something else, or is damaged; make it again with auditor patch apply.",
        ) from error


def _in_file(file: int, values: Mapping[str, T]) -> dict[int, T]:
    """Values by key as values by row of one file."""
    with parsing("the memory of the copy", "rows of its files"):
        pairs = [(key.split(":"), value) for key, value in values.items()]
        return {int(row): value for (number, row), value in pairs if int(number) == file}


def _rows_in_file(file: int, keys: Collection[str]) -> np.ndarray:
    return np.array(sorted(_in_file(file, dict.fromkeys(keys))), dtype=np.int64)


def _aside_path(root: Path, file: int) -> Path:
    return root / ASIDE / "dropped" / str(file)


def merge_rows(n: int, plan: FilePlan, where: str, aside_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """How rows now in the file and rows set aside make up the file before any patch.

    Returns
    -------
    order : int64 array (n + aside,)
        Positions in "rows of the file, then rows set aside", in the order before any patch.
    kept : bool array (n + aside,)
        Rows that stay in the file afterwards, in that order.

    Raises
    ------
    DataError
        If the file of rows set aside does not hold what the copy's memory says.
    """
    if aside_rows != len(plan.before):
        raise DataError(
            f"{where}: {aside_rows} rows are set aside, {len(plan.before)} were expected.",
            "The copy was edited by something else; make it again with auditor patch apply.",
        )
    order = np.argsort(np.concatenate([original_rows(n, plan.before), plan.before]), kind="stable")
    return order, ~np.isin(np.arange(n + aside_rows), plan.after)


@usable_paths()
def inside(path: Path, folder: Path) -> Path:
    """The real path of a file of `folder`.

    Raises
    ------
    DataError
        If a link leads out of the folder: a copy is shared, and what lies elsewhere was not meant to be.
    """
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise DataError(
            f"{str(path)!r} is a link that leads out of {str(folder)!r}: its target does not belong into a copy.",
            "Put the file itself there, remove the link, or write the corrections to a table with --mapping FILE.csv.",
        )
    return real


def copy_file(source: Path, out: Path, link: bool) -> None:
    """Copy a regular file, or hard-link it where asked for and possible; the folders above it are made."""
    source = regular_file(source.resolve())  # a hard link to a link would be one
    out.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            os.link(source, out)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copy2(source, out)


class ArrayRows(RowFile):
    """A ``.npy`` file whose rows are items.

    Parameters
    ----------
    path : Path
    name : str
    value : callable or None
        Class name to label value; None for an array whose values are no labels (probabilities).
    dtype : str or None
        Type before any patch; text labels widen it only while they need to.
    """

    def __init__(
        self, path: Path, name: str, value: Callable[[str], Any] | None = None, dtype: str | None = None
    ) -> None:
        self.path = path
        self.name = name
        self.value = value
        loaded = load_npy(path, mmap=True)
        with parsing(path, "an array of labels"):
            self.dtype = np.dtype(dtype) if dtype is not None and value is not None else loaded.dtype
        self.n = len(loaded)

    def extra(self) -> dict[str, Any]:
        """The type before any patch."""
        return {"dtype": self.dtype.str}

    def unchanged(self, plan: FilePlan) -> Path | None:
        same_rows = np.array_equal(plan.before, plan.after)
        return self.path if same_rows and (self.value is None or not plan.labels) else None

    def rewrite(self, out: Path, aside: Path | None, aside_out: Path, plan: FilePlan) -> dict[int, str]:
        now = load_npy(self.path, mmap=True)
        laid = now[:0] if aside is None else load_npy(aside)
        order, kept = merge_rows(self.n, plan, repr(str(self.path)), len(laid))
        rows = np.concatenate([now, laid])[order]
        if self.value is not None:
            values = rows.tolist()
            for row, name in plan.labels.items():
                values[row] = self.value(name)
            rows = np.array(values, dtype=_wide_enough(self.dtype, values)).reshape(rows.shape)
        if len(plan.after):
            write_array(aside_out, rows[plan.after])
        write_array(out, rows[kept])
        return {}


def _wide_enough(dtype: np.dtype, values: list[Any]) -> np.dtype:
    """The type before any patch; for text, wider where a new name needs it, so that nothing is cut off."""
    if dtype.kind != "U":
        return dtype
    return np.dtype(f"U{max(dtype.itemsize // 4, max(map(len, values), default=0))}")
