"""Where the bytes of an item come from: files on disk, parquet or Arrow files, or arrays in memory.

A source is picklable (it carries recipes, not open files), knows how many items it has, and hands out contents in
the order asked for. It never raises for one bad item: it hands out `Unreadable` with the reason.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Row groups kept in memory per source. All of CIFAR-10 is 109 MB.
CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class Unreadable:
    """Content that could not be read, and why."""

    reason: str


#: Encoded file bytes, decoded RGB pixels, or the reason why there is neither.
Content = bytes | np.ndarray | Unreadable


class Source(ABC):
    """Contents by position."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, positions: np.ndarray) -> Source:
        """The same source restricted to `positions`, in that order."""

    @abstractmethod
    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        """Yield ``(k, content)`` for each ``positions[k]``, in whatever order is cheapest to read."""

    def get(self, position: int) -> Content:
        """One content."""
        return next(iter(self.read(np.array([position]))))[1]


@dataclass(frozen=True)
class ArraySource(Source):
    """Decoded pixels in memory, uint8 (n, H, W, 3)."""

    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, positions: np.ndarray) -> ArraySource:
        return ArraySource(self.pixels[positions])

    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        for k, position in enumerate(positions):
            yield k, self.pixels[position]


@dataclass(frozen=True)
class FileSource(Source):
    """One file per item.

    Attributes
    ----------
    paths : sequence of str
        Absolute paths.
    refused : dict
        Position to reason, for items whose path must not be followed.
    """

    paths: Sequence[str]
    refused: dict[int, str] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, positions: np.ndarray) -> FileSource:
        old = self.refused or {}
        refused = {k: old[int(p)] for k, p in enumerate(positions) if int(p) in old}
        return FileSource([self.paths[int(p)] for p in positions], refused)

    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        for k, position in enumerate(positions):
            if self.refused and int(position) in self.refused:
                yield k, Unreadable(self.refused[int(position)])
            else:
                yield k, _read_file(self.paths[int(position)])


def _read_file(path: str) -> Content:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return Unreadable("the file does not exist")
    except IsADirectoryError:
        return Unreadable("it is a folder, not a file")
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        return Unreadable(f"cannot read the file: {getattr(error, 'strerror', None) or error}")


@dataclass(frozen=True)
class ColumnFile:
    """One parquet file or one Arrow stream file of the Hub's cache."""

    path: str
    rows: int

    @property
    def is_parquet(self) -> bool:
        return self.path.endswith(".parquet")


class ColumnSource(Source):
    """A bytes column (or a ``{bytes, path}`` struct column, as the Hub stores images) over several files.

    Parquet is read a row group at a time and Arrow files are memory-mapped, so the column may be larger than
    memory. A path inside the data is never followed: data from others must not choose files of this machine.

    Parameters
    ----------
    files : sequence of ColumnFile
        Their rows one after the other are rows 0 .. N-1.
    column : str
    rows : int64 array, optional
        Position -> row; default all rows.
    """

    def __init__(self, files: Sequence[ColumnFile], column: str, rows: np.ndarray | None = None) -> None:
        self.files = tuple(files)
        self.column = column
        self.starts = np.cumsum([0, *(file.rows for file in self.files)])
        self.rows = np.arange(self.starts[-1]) if rows is None else np.asarray(rows, dtype=np.int64)
        self._chunks: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._cached = 0
        self._open: dict[int, tuple[Any, np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "column": self.column, "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray) -> ColumnSource:
        return ColumnSource(self.files, self.column, self.rows[positions])

    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        wanted = self.rows[positions]
        # Ascending rows, so that each row group is read once however the positions are shuffled.
        for k in np.argsort(wanted, kind="stable"):
            row = int(wanted[k])
            file = int(np.searchsorted(self.starts, row, side="right")) - 1
            _, bounds = self._opened(file)
            local = row - int(self.starts[file])
            group = int(np.searchsorted(bounds, local, side="right")) - 1
            chunk = self._group(file, group)
            if isinstance(chunk, Unreadable):
                yield int(k), chunk
                continue
            value = chunk[local - int(bounds[group])]
            yield int(k), value.as_py() if value.is_valid else Unreadable("no bytes are stored for this item")

    def _opened(self, index: int) -> tuple[Any, np.ndarray]:
        if index not in self._open:
            path = self.files[index].path
            if self.files[index].is_parquet:
                import pyarrow.parquet as pq

                handle = pq.ParquetFile(path, memory_map=True)
                sizes = [handle.metadata.row_group(g).num_rows for g in range(handle.num_row_groups)]
            else:
                import pyarrow as pa

                handle = pa.ipc.open_stream(pa.memory_map(path)).read_all().column(self.column)
                sizes = [len(chunk) for chunk in handle.chunks]
            self._open[index] = (handle, np.cumsum([0, *sizes]))
        return self._open[index]

    def _group(self, index: int, group: int) -> Any:
        key = (index, group)
        if key in self._chunks:
            self._chunks.move_to_end(key)
            return self._chunks[key]
        handle, _ = self._opened(index)
        try:
            if self.files[index].is_parquet:
                column = handle.read_row_group(group, columns=[self.column]).column(self.column).combine_chunks()
            else:
                column = handle.chunk(group)
        except (OSError, ValueError) as error:  # Arrow's own errors are one of the two
            # The footer was whole, the rows are not: one damaged row group must not hide the others.
            damaged = Unreadable(f"its part of {os.path.basename(self.files[index].path)!r} is damaged: {error}")
            self._chunks[key] = damaged
            return damaged
        chunk = _bytes_of(column)
        self._chunks[key] = chunk
        self._cached += chunk.nbytes
        while self._cached > CACHE_BYTES and len(self._chunks) > 1:
            self._cached -= getattr(self._chunks.popitem(last=False)[1], "nbytes", 0)
        return chunk


def _bytes_of(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if pa.types.is_struct(column.type):
        import pyarrow.compute as pc

        return pc.struct_field(column, "bytes")  # unlike .field(), nulls of the struct itself stay null
    return column
