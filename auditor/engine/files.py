"""Probabilities in files, read in row ranges: .npy, .npz, zarr, parquet, local or behind an fsspec URI.

Nothing is unpickled. Each thread reads into its own buffer, so that while some threads wait for the disk others
compute.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from auditor.core.errors import ProbabilityError, UnreadableError, UnsafeFileError, require
from auditor.core.files import load_npz, refuse_pickle
from auditor.core.reading import parsing, reading, regular_file
from auditor.engine.semantics import ID_KEYS, LABEL_KEYS
from auditor.engine.sources import ArraySource, PerThread, ProbabilitySource, ThreadBuffers
from auditor.engine.validate import check_form

#: Name of the probabilities inside an archive, and of a list column in parquet.
MEMBER = "pred_probs"
#: Names of the probabilities that are understood inside an archive, best first; else its only two-dimensional array.
PROBABILITY_KEYS = (MEMBER, "probabilities", "probs", "softmax")


def open_probabilities(path: str | Path) -> ProbabilitySource:
    """Open probabilities for reading in row ranges.

    Parameters
    ----------
    path : str or Path
        ``.npy``; ``.npz`` (`PROBABILITY_KEYS`; read in pieces if stored uncompressed, else loaded); ``.zarr``
        folder; ``.parquet`` file or a folder of them, read in the order of their names, with one number column
        per class or one list column ``pred_probs``; or any of .npy, .parquet, .zarr behind an fsspec URI such as
        ``s3://bucket/probabilities.npy``.

    Raises
    ------
    UnreadableError
        Absent, truncated, or of an unknown kind.
    UnsafeFileError
        A pickle or an array of Python objects.
    MissingExtraError
        fsspec or zarr is needed and not installed.
    """
    text = str(path)
    suffix = Path(text.rstrip("/")).suffix.lower()
    remote = "://" in text
    if suffix == ".zarr":
        return ZarrSource(text)
    if suffix == ".parquet" or (not remote and Path(text).is_dir()):
        return ParquetSource(text)
    if suffix == ".npz" and not remote:
        return _open_npz(Path(text))
    if suffix in (".npy", ".pkl", ".pickle", ""):  # a pickle is recognised by its first byte, and refused
        return NpySource.open(text)
    raise UnreadableError(
        f"cannot tell what {text!r} holds.", "Give .npy, .npz (local), .zarr or .parquet; or a folder of parquet files."
    )


def class_columns(schema: Any, where: str) -> list[str]:
    """The columns of an Arrow table that hold probabilities: floats, or else all numbers; never labels and ids.

    Raises
    ------
    ProbabilityError
        If there are fewer than two.
    """
    import pyarrow.types as kinds

    free = [field for field in schema if field.name not in {*LABEL_KEYS, *ID_KEYS}]
    floats = [field.name for field in free if kinds.is_floating(field.type)]
    numbers = [field.name for field in free if kinds.is_floating(field.type) or kinds.is_integer(field.type)]
    columns = floats if len(floats) > 1 else numbers
    if len(columns) < 2:
        raise ProbabilityError(
            f"{where} has {len(columns)} columns of numbers: {', '.join(schema.names)}.",
            "Write one float column per class, named by the class.",
        )
    return columns


def _fsspec(uri: str) -> tuple[Any, str]:
    require("fsspec", "hf", f"reading {uri!r}")
    import fsspec

    filesystem, inner = fsspec.core.url_to_fs(uri)
    return filesystem, str(inner)


def _open_binary(path: str) -> IO[bytes]:
    with parsing(path, "a file"):
        if "://" in path:
            filesystem, inner = _fsspec(path)
            return cast(IO[bytes], filesystem.open(inner, "rb"))
        return open(regular_file(path), "rb", buffering=0)


class NpySource:
    """Rows of a C-ordered ``.npy`` array that begins at some offset of a file or fsspec URI."""

    in_memory = False

    def __init__(self, path: str, shape: tuple[int, int], dtype: np.dtype[Any], offset: int) -> None:
        self.name, self.shape, self.dtype = repr(path), shape, dtype
        self._path, self._offset = path, offset
        self._buffers = ThreadBuffers()
        self._local = PerThread()  # one open file per thread, so that seeks do not disturb each other

    @classmethod
    def open(cls, path: str, start: int = 0) -> ProbabilitySource:
        """Read the header at byte `start` of the file. A Fortran-ordered local array is memory-mapped instead."""
        with _open_binary(path) as handle:
            with parsing(path, "a NumPy array"):
                handle.seek(start)
            header, fortran, dtype = _header(handle, path)
            offset = handle.tell()
            shape, have = check_form(header, dtype, repr(path)), handle.seek(0, 2)
        need = offset + shape[0] * shape[1] * dtype.itemsize
        if have < need:
            raise UnreadableError(f"{path!r} is cut off: {have} bytes, its header asks for {need}.")
        if fortran and shape[0] > 1 and shape[1] > 1:
            if "://" in path:
                raise UnreadableError(
                    f"{path!r} is stored column by column and cannot be read in row ranges.",
                    "Save numpy.ascontiguousarray(array) instead.",
                )
            return ArraySource(np.memmap(path, dtype, "r", offset, shape, order="F"), repr(path))
        return cls(path, shape, dtype, offset)

    def mapped(self) -> np.ndarray:
        """The whole array: a memory map of a local file, else a copy in memory."""
        if "://" in self._path or not self.shape[0]:
            return self.read(0, self.shape[0]).copy()
        return np.memmap(self._path, self.dtype, "r", self._offset, self.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        rows = self._buffers.take("rows", (stop - start, self.shape[1]), self.dtype)
        view = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        if not hasattr(self._local, "handle"):
            self._local.handle = _open_binary(self._path)
        handle = self._local.handle
        try:
            handle.seek(self._offset + start * self.shape[1] * self.dtype.itemsize)
            while view:
                got = handle.readinto(view)
                if not got:
                    raise UnreadableError(f"{self._path!r} ended while rows {start}..{stop} were read.")
                view = view[got:]
        except OSError as error:
            raise UnreadableError(f"cannot read rows {start}..{stop} of {self._path!r}: {error}.") from error
        return rows


def _header(handle: IO[bytes], path: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    start = handle.tell()
    refuse_pickle(path, handle.read(1))
    handle.seek(start)
    with parsing(path, "a NumPy array"):
        version = np.lib.format.read_magic(handle)
        formats = np.lib.format
        read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
        shape, fortran, dtype = read(handle)
    if dtype.hasobject:
        raise UnsafeFileError(
            f"{path!r} holds Python objects, which can run code when loaded; it was not opened.",
            "Save a plain numeric array with numpy.save(path, array).",
        )
    return shape, fortran, dtype


def _open_npz(path: Path) -> ProbabilitySource:
    with _open_binary(str(path)) as handle:
        refuse_pickle(path, handle.read(1))
    with reading(path, "an .npz archive"), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        key = next((key for key in PROBABILITY_KEYS if key in members), None)
        if key is None:
            tables = []
            for name, info in members.items():
                with archive.open(info) as member:
                    if len(_header(member, str(path))[0]) == 2:
                        tables.append(name)
            key = tables[0] if len(tables) == 1 else None
    if key is None:
        raise ProbabilityError(
            f"{str(path)!r} has no array {MEMBER!r}; it holds: {', '.join(members) or 'nothing'}.",
            "Save it with numpy.savez(path, pred_probs=..., labels=...).",
        )
    if members[key].compress_type != zipfile.ZIP_STORED:  # deflate cannot be entered in the middle
        return ArraySource(load_npz(path, (key,))[key], repr(str(path)))
    with reading(path, "an .npz archive"), open(path, "rb") as handle:
        handle.seek(members[key].header_offset)
        head = handle.read(30)  # local file header: lengths of name and extra field at 26 and 28
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    return NpySource.open(str(path), members[key].header_offset + 30 + lengths)


class ZarrSource:
    """Rows of a two-dimensional zarr array."""

    in_memory = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._array: Any = None
        self.name = repr(path)
        array = self._open()
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.shape = check_form(array.shape, self.dtype, self.name)
        #: Rows per stored chunk: reading less would decode a chunk more than once.
        self.natural_rows = int(array.chunks[0])

    def _open(self) -> Any:
        if self._array is None:
            require("zarr", "scale", f"reading {self._path!r}")
            import zarr

            with parsing(self._path, "zarr"):
                opened: Any = zarr.open(self._path, mode="r")
                if isinstance(opened, zarr.Group):
                    opened = opened.get(MEMBER)
                if not isinstance(opened, zarr.Array):
                    raise UnreadableError(f"the zarr group {self._path!r} has no array {MEMBER!r}.")
            self._array = opened
        return self._array

    def read(self, start: int, stop: int) -> np.ndarray:
        array = self._open()
        with parsing(self._path, "zarr"):
            return np.asarray(array[start:stop])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}


class ParquetSource:
    """Rows of one parquet file or of all parquet files of a folder, in the order of their names.

    Attributes
    ----------
    class_names : tuple of str or None
        Names of the class columns; None for a list column.
    """

    in_memory = False

    def __init__(self, path: str) -> None:
        self.name = repr(path)
        self._files = self._list(path)
        self._starts: list[int] = []  # first row of each row group
        self._groups: list[tuple[int, int]] = []  # file, row group in it
        self._local = PerThread()
        rows = 0
        schema = self._file(0).schema_arrow
        for number in range(len(self._files)):
            parquet = self._file(number)
            if parquet.schema_arrow.names != schema.names:
                raise ProbabilityError(f"{self._files[number]!r} has other columns than {self._files[0]!r}.")
            for group in range(parquet.num_row_groups):
                self._starts.append(rows)
                self._groups.append((number, group))
                rows += parquet.metadata.row_group(group).num_rows
        self._lists = MEMBER in schema.names
        self._columns = [MEMBER] if self._lists else class_columns(schema, self.name)
        self.class_names = None if self._lists else tuple(self._columns)
        first = self._group(0) if self._groups else np.empty((0, len(self._columns)), np.float32)
        self.shape = (rows, first.shape[1])
        self.dtype = first.dtype
        edges = np.diff([*self._starts, rows])
        #: Rows per row group: reading less would decode a group more than once.
        self.natural_rows = int(edges.max()) if len(edges) else 1

    def column(self, names: Sequence[str]) -> list[Any] | None:
        """The values of the first of these columns that is there."""
        name = next((name for name in names if name in self._file(0).schema_arrow.names), None)
        if name is None:
            return None
        values: list[Any] = []
        for number, file in enumerate(self._files):
            opened = self._file(number)
            with parsing(file, "parquet"):
                values += opened.read(columns=[name]).column(0).to_pylist()
        return values

    @staticmethod
    def _list(path: str) -> list[str]:
        if "://" in path:
            filesystem, inner = _fsspec(path)
            names = filesystem.glob(f"{inner.rstrip('/')}/*.parquet") if not inner.endswith(".parquet") else [inner]
            return [filesystem.unstrip_protocol(name) for name in sorted(names)]
        folder = Path(path)
        files = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
        if not files:
            raise UnreadableError(f"the folder {path!r} holds no parquet file.")
        return [str(file) for file in files]

    def _file(self, number: int) -> Any:
        import pyarrow.parquet as pq

        opened: dict[int, Any] = self._local.__dict__.setdefault("opened", {})
        if number not in opened:
            name = self._files[number]
            with parsing(name, "parquet"):
                opened[number] = pq.ParquetFile(_open_binary(name) if "://" in name else regular_file(name))
        return opened[number]

    def _group(self, index: int) -> np.ndarray:
        """Row group by running number, decoded; the last one is kept per thread."""
        last: tuple[int, np.ndarray] | None = getattr(self._local, "last", None)
        if last is not None and last[0] == index:
            return last[1]
        number, group = self._groups[index]
        opened = self._file(number)
        with parsing(self._files[number], "parquet"):
            table = opened.read_row_group(group, columns=self._columns)
        if table.num_columns == 0 or any(column.null_count for column in table.columns):
            raise ProbabilityError(f"{self._files[number]!r}, row group {group}: empty or missing values.")
        try:
            if self._lists:
                column = table.column(0).combine_chunks()
                rows = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
            else:
                rows = np.stack([column.to_numpy() for column in table.columns], axis=1)
        except (ValueError, AttributeError) as error:
            raise ProbabilityError(
                f"{self._files[number]!r} is not a table of probabilities: {error}.",
                f"Give one number column per class, or a list column {MEMBER!r} of equal lengths.",
            ) from error
        self._local.last = (index, rows)
        return rows

    def read(self, start: int, stop: int) -> np.ndarray:
        parts = []
        index = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            begin = start - self._starts[index]
            parts.append(self._group(index)[begin : begin + stop - start])
            start += len(parts[-1])
            index += 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
