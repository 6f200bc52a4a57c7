"""Where the bytes of an item come from: files on disk, parquet or Arrow files, or arrays in memory.

A source is picklable (it carries recipes, not open files), knows how many items it has, and hands out contents in
the order asked for. It never raises for one bad item: it hands out `Unreadable` with the reason.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.config import check_unpacked, file_limit
from auditor.core.errors import AuditorError, UnreadableError
from auditor.core.reading import reading, regular_file
from auditor.data.parquet_footer import column_chunks

#: Image files beyond this are not read: no image of `auditor.data.decode.MAX_PIXELS` pixels is larger.
MAX_IMAGE_BYTES = 1 << 30
#: Row groups kept in memory per source. All of CIFAR-10 is 109 MB.
CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class Unreadable:
    """Content that could not be read, and why."""

    reason: str


#: Encoded file bytes, decoded RGB pixels, or the reason why there is neither.
Content = bytes | np.ndarray | Unreadable


class Source(ABC):
    """Contents by position.

    Attributes
    ----------
    in_memory : bool
        Whether a copy for another process would copy the contents.
    """

    in_memory = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, positions: np.ndarray) -> Source:
        """The same source restricted to `positions`, in that order."""

    @abstractmethod
    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        """Yield ``(k, content)`` for each ``positions[k]``, in whatever order is cheapest to read."""

    def file(self, position: int) -> str | None:
        """The file that holds one content and nothing else, if there is one that may be read."""
        return None

    def get(self, position: int) -> Content:
        """One content."""
        return next(iter(self.read(np.array([position]))))[1]


@dataclass(frozen=True)
class ArraySource(Source):
    """Decoded pixels in memory, uint8 (n, H, W, 3)."""

    pixels: np.ndarray
    in_memory = True

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

    def file(self, position: int) -> str | None:
        return None if self.refused and position in self.refused else self.paths[position]

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
    if not os.path.exists(path):
        return Unreadable("the file does not exist")
    try:
        with open(regular_file(path, MAX_IMAGE_BYTES), "rb") as handle:
            return handle.read()
    except OSError as error:
        return Unreadable(f"cannot read the file: {error.strerror or error}")
    except UnreadableError as error:
        return Unreadable(error.what.rstrip("."))


def followed(path: str | None, root: str | None) -> Content:
    """The image that data name by a path and do not hold."""
    if not path or root is None:
        return Unreadable("no bytes are stored for this item")
    full = os.path.abspath(os.path.join(root, path))
    refused = leaving([full], root)
    return Unreadable(refused[0]) if refused else _read_file(full)


def inside(path: str, folder: str) -> bool:
    """Whether what `path` leads to, links followed, lies in what `folder` leads to."""
    real, bounds = os.path.realpath(path), os.path.realpath(folder)
    return real == bounds or real.startswith(os.path.join(bounds, ""))


def leaving(paths: Sequence[str], folder: str) -> dict[int, str]:
    """The positions of absolute `paths` that lead out of `folder`, by their text or by a link, each with the reason.

    Data from somebody else must not pick files of this machine.
    """
    real_of: dict[str, str] = {}
    bounds = os.path.join(os.path.realpath(folder), "")
    refused = {}
    for k, path in enumerate(paths):
        above, name = os.path.split(path)
        if above not in real_of:
            real_of[above] = os.path.realpath(above)
        real = os.path.join(real_of[above], name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if not real.startswith(bounds):
            refused[k] = f"it leads out of the folder {folder!r}, to {real!r}; give root= to allow it"
    return refused


class HeldSource(Source):
    """Contents that lie in memory, or are fetched by an object that does; nothing is copied.

    Parameters
    ----------
    fetch : callable
        Objects of some rows: int64 array (m,) -> iterable of m objects.
    content : callable
        Object -> `Content`.
    rows : int64 array (n,)
        Position -> row.
    """

    in_memory = True
    #: Rows fetched at once.
    BLOCK = 64

    def __init__(
        self, fetch: Callable[[np.ndarray], Iterable[Any]], content: Callable[[Any], Content], rows: np.ndarray
    ) -> None:
        self.fetch, self.content, self.rows = fetch, content, rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray) -> HeldSource:
        return HeldSource(self.fetch, self.content, self.rows[positions])

    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        for start in range(0, len(positions), self.BLOCK):
            block = self.rows[positions[start : start + self.BLOCK]]
            for k, item in enumerate(self.fetch(block), start):
                yield k, self.content(item)


class JoinedSource(Source):
    """Sources one after the other."""

    def __init__(self, parts: Sequence[Source], rows: np.ndarray | None = None) -> None:
        self.parts = list(parts)
        self.starts = np.cumsum([0, *map(len, parts)])
        self.rows = np.arange(self.starts[-1]) if rows is None else rows
        self.in_memory = any(part.in_memory for part in parts)

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, position: int) -> str | None:
        part = int(np.searchsorted(self.starts, self.rows[position], side="right")) - 1
        return self.parts[part].file(int(self.rows[position] - self.starts[part]))

    def take(self, positions: np.ndarray) -> JoinedSource:
        return JoinedSource(self.parts, self.rows[positions])

    def read(self, positions: np.ndarray) -> Iterator[tuple[int, Content]]:
        wanted = self.rows[positions]
        for part, start, stop in zip(self.parts, self.starts, self.starts[1:], strict=False):
            here = np.flatnonzero((wanted >= start) & (wanted < stop))
            for k, content in part.read(wanted[here] - start):
                yield int(here[k]), content


@dataclass(frozen=True)
class ColumnFile:
    """One parquet file or one Arrow stream file of the Hub's cache."""

    path: str
    rows: int

    @property
    def is_parquet(self) -> bool:
        return self.path.endswith(".parquet")


#: Bytes of one value of a parquet column once it is unpacked, where it is not 8.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4}
#: Texts that could not take more than this, whatever their dictionaries hold, are read without a second look.
_HARMLESS = 256 << 20


def read_parquet(path: str, columns: Sequence[str] | None = None, group: int | None = None) -> Any:
    """Rows of a parquet file, or of one row group, as an Arrow table.

    Raises
    ------
    UnreadableError
        If it is damaged.
    MemoryGuardError
        If it takes more than ``max_file_mb`` once it is unpacked; told before it is.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, "parquet"):
        file = pq.ParquetFile(path, memory_map=True)  # not read_table, which guesses partitions from folder names
        groups = range(file.num_row_groups) if group is None else [group]
        described = column_chunks(path)
        chunks = [chunk for number in groups for chunk in described[number]]
        if columns is not None:
            chunks = [c for c in chunks if c.path.split(".")[0] in {name.split(".")[0] for name in columns}]
        sizes = [max(c.unpacked, _WIDTHS.get(c.physical_type, 8) * c.num_values) for c in chunks]
        check_unpacked(path, sum(sizes))
        # One long text of a dictionary may stand for any number of values, so these are counted before they are made.
        texts = [c for c in chunks if c.physical_type == "BYTE_ARRAY" and c.has_dictionary]
        if sum(c.num_values * c.unpacked for c in texts) <= _HARMLESS:
            return _complete(file.read_row_groups(list(groups), columns=columns), file.metadata, groups)
        if any("." in c.path for c in texts):  # Arrow reads no dictionaries inside structs
            step = max(1, _HARMLESS // max(c.unpacked for c in texts))
            batches, size, limit = [], 0, file_limit()
            for batch in file.iter_batches(step, list(groups), columns):
                check_unpacked(path, size := size + batch.nbytes, limit)
                batches.append(batch)
            return _complete(pa.Table.from_batches(batches), file.metadata, groups)
        wanted = file.schema_arrow
        file = pq.ParquetFile(path, memory_map=True, read_dictionary=sorted({c.path for c in texts}))
        table = _complete(file.read_row_groups(list(groups), columns=columns), file.metadata, groups)
        check_unpacked(path, sum(_text_bytes(chunk) for column in table.columns for chunk in column.chunks))
        return table.cast(pa.schema([wanted.field(name) for name in table.column_names], table.schema.metadata))


def _complete(table: Any, metadata: Any, groups: Iterable[int]) -> Any:
    """`table`, if its columns have the rows that the file's footer speaks of: Arrow does not count them."""
    rows = sum(metadata.row_group(group).num_rows for group in groups)
    if any(len(column) != rows for column in table.columns):
        raise ValueError(f"a column has not the {rows:,} rows that its footer says")
    return table


def _text_bytes(array: Any) -> int:
    """Bytes of the texts that stand in a dictionary, once each value has its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(array.type) or pa.types.is_primitive(array.type.value_type):
        return 0
    return pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0


class ColumnSource(Source):
    """A bytes column (or a ``{bytes, path}`` struct column, as the Hub stores images) over several files.

    Parquet is read a row group at a time and Arrow files are memory-mapped, so the column may be larger than
    memory. A path inside the data is followed inside `root` only: data from others must not choose files of this
    machine.

    Parameters
    ----------
    files : sequence of ColumnFile
        Their rows one after the other are rows 0 .. N-1.
    column : str
    rows : int64 array, optional
        Position -> row; default all rows.
    root : str, optional
        Folder of the images that are named by a path and not stored.
    """

    def __init__(
        self, files: Sequence[ColumnFile], column: str, rows: np.ndarray | None = None, root: str | None = None
    ) -> None:
        self.files = tuple(files)
        self.column, self.root = column, root
        self.starts = np.cumsum([0, *(file.rows for file in self.files)])
        self.rows = np.arange(self.starts[-1]) if rows is None else np.asarray(rows, dtype=np.int64)
        self._chunks: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._cached = 0
        self._open: dict[int, tuple[Any, np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "column": self.column, "rows": self.rows, "root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray) -> ColumnSource:
        return ColumnSource(self.files, self.column, self.rows[positions], self.root)

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
            stored, paths = chunk
            at = local - int(bounds[group])
            path = None if stored[at].is_valid or paths is None else paths[at].as_py()
            yield int(k), followed(path, self.root) if not stored[at].is_valid else stored[at].as_py()

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
        file = self.files[index]
        try:
            if file.is_parquet:
                table = read_parquet(file.path, [self.column], group)
                if self.column not in table.column_names:
                    raise UnreadableError(f"{file.path!r} has no column {self.column!r}.")
                column = table.column(self.column).combine_chunks()
            else:
                column = handle.chunk(group)
        except AuditorError as error:
            # The footer was whole, the rows are not: one damaged row group must not hide the others.
            damaged = Unreadable(f"its part of {os.path.basename(file.path)!r} cannot be read: {error.what}")
            self._chunks[key] = damaged
            return damaged
        chunk = _bytes_of(column)
        self._chunks[key] = chunk
        self._cached += chunk[0].nbytes
        while self._cached > CACHE_BYTES and len(self._chunks) > 1:
            dropped = self._chunks.popitem(last=False)[1]
            self._cached -= 0 if isinstance(dropped, Unreadable) else dropped[0].nbytes
        return chunk


def _bytes_of(column: Any) -> tuple[Any, Any]:
    """The encoded images of a column and, of a struct, their paths."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if not pa.types.is_struct(column.type):
        return column, None
    # Unlike .field(), nulls of the struct itself stay null.
    paths = pc.struct_field(column, "path") if column.type.get_field_index("path") >= 0 else None
    return pc.struct_field(column, "bytes"), paths
