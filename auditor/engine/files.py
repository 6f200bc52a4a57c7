"""Probabilities in files, read in row ranges: .npy, .npz, zarr, parquet, local or behind an fsspec URI.

Nothing is unpickled. Each thread reads into its own buffer, so that while some threads wait for the disk others
compute.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from auditor.core.errors import MissingExtraError, ProbabilityError, UnreadableError, UnsafeFileError
from auditor.core.files import load_npz
from auditor.engine.sources import ArraySource, ProbabilitySource, ThreadBuffers

__all__ = ["NpySource", "ParquetSource", "ZarrSource", "open_probabilities"]

#: Name of the probabilities inside an archive, and of a list column in parquet.
MEMBER = "pred_probs"


def open_probabilities(path: str | Path) -> ProbabilitySource:
    """Open probabilities for reading in row ranges.

    Parameters
    ----------
    path : str or Path
        ``.npy``; ``.npz`` with a member ``pred_probs`` (read in pieces if stored uncompressed, else loaded);
        ``.zarr`` folder; ``.parquet`` file or a folder of them, read in the order of their names, with one
        number column per class or one list column ``pred_probs``; or any of .npy, .parquet, .zarr behind an
        fsspec URI such as ``s3://bucket/probabilities.npy``.

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
    if suffix == ".npy":
        return NpySource.open(text)
    raise UnreadableError(
        f"cannot tell what {text!r} holds.", "Give .npy, .npz (local), .zarr or .parquet; or a folder of parquet files."
    )


def _fsspec(uri: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("fsspec", "hf", f"reading {uri!r}") from error
    filesystem, inner = fsspec.core.url_to_fs(uri)
    return filesystem, str(inner)


def _open_binary(path: str) -> IO[bytes]:
    try:
        if "://" in path:
            filesystem, inner = _fsspec(path)
            handle: IO[bytes] = filesystem.open(inner, "rb")
            return handle
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise UnreadableError(f"cannot read {path!r}: {error.strerror or error}.") from error


class NpySource:
    """Rows of a C-ordered ``.npy`` array that begins at some offset of a file.

    Parameters
    ----------
    path : str
        File or fsspec URI.
    shape, dtype
        Of the array.
    offset : int
        Byte at which the first row begins.
    """

    def __init__(self, path: str, shape: tuple[int, int], dtype: np.dtype[Any], offset: int) -> None:
        self._path = path
        self._shape = shape
        self._dtype = dtype
        self._offset = offset
        self._buffers = ThreadBuffers()
        self._handles = _Handles(path)

    @classmethod
    def open(cls, path: str, start: int = 0) -> ProbabilitySource:
        """Read the header at byte `start` of the file. A Fortran-ordered local array is memory-mapped instead."""
        with _open_binary(path) as handle:
            handle.seek(start)
            shape, fortran, dtype = _header(handle, path)
            offset = handle.tell()
        if len(shape) != 2:
            raise ProbabilityError(f"{path!r} has shape {shape}; (items, classes) is expected.")
        if fortran and shape[0] > 1 and shape[1] > 1:
            if "://" in path:
                raise UnreadableError(
                    f"{path!r} is stored column by column and cannot be read in row ranges.",
                    "Save numpy.ascontiguousarray(array) instead.",
                )
            return ArraySource(np.memmap(path, dtype, "r", offset, shape, order="F"), path)
        source = cls(path, (int(shape[0]), int(shape[1])), dtype, offset)
        source._check_length()
        return source

    def _check_length(self) -> None:
        need = self._offset + self._shape[0] * self._shape[1] * self._dtype.itemsize
        with _open_binary(self._path) as handle:
            have = handle.seek(0, 2)
        if have < need:
            raise UnreadableError(f"{self._path!r} is cut off: {have} bytes, its header asks for {need}.")

    @property
    def name(self) -> str:
        return self._path

    @property
    def shape(self) -> tuple[int, int]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    @property
    def in_memory(self) -> bool:
        return False

    def read(self, start: int, stop: int) -> np.ndarray:
        rows = self._buffers.take("rows", (stop - start, self._shape[1]), self._dtype)
        view = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        handle = self._handles.take()
        try:
            handle.seek(self._offset + start * self._shape[1] * self._dtype.itemsize)
            while view:
                got = handle.readinto(view)  # type: ignore[attr-defined]
                if not got:
                    raise UnreadableError(f"{self._path!r} ended while rows {start}..{stop} were read.")
                view = view[got:]
        except OSError as error:
            raise UnreadableError(f"cannot read rows {start}..{stop} of {self._path!r}: {error}.") from error
        return rows


class _Handles:
    """One open file per thread, so that seeks do not disturb each other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def take(self) -> IO[bytes]:
        handle: IO[bytes] | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = _open_binary(self._path)
        return handle

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._path = state["path"]
        self._local = threading.local()


def _header(handle: IO[bytes], path: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(handle)
        read: Callable[[Any], Any] = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(handle)
    except ValueError as error:
        handle.seek(0)
        if handle.read(1) == b"\x80":
            raise UnsafeFileError(
                f"{path!r} is a Python pickle, which can run code when loaded; it was not opened.",
                "Save the array with numpy.save(path, array).",
            ) from error
        raise UnreadableError(f"{path!r} is not a NumPy array file: {error}.") from error
    if dtype.hasobject:
        raise UnsafeFileError(
            f"{path!r} holds Python objects, which can run code when loaded; it was not opened.",
            "Save a plain numeric array with numpy.save(path, array).",
        )
    return shape, fortran, dtype


def _open_npz(path: Path) -> ProbabilitySource:
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{MEMBER}.npy")
            stored = info.compress_type == zipfile.ZIP_STORED
    except (OSError, zipfile.BadZipFile) as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error}.") from error
    except KeyError as error:
        raise UnreadableError(
            f"{str(path)!r} has no member {MEMBER!r}.", "Save it with numpy.savez(path, pred_probs=..., labels=...)."
        ) from error
    if not stored:  # deflate cannot be entered in the middle
        return ArraySource(load_npz(path)[MEMBER], str(path))
    with open(path, "rb") as handle:
        handle.seek(info.header_offset)
        head = handle.read(30)  # local file header: lengths of name and extra field at 26 and 28
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    return NpySource.open(str(path), info.header_offset + 30 + lengths)


class ZarrSource:
    """Rows of a two-dimensional zarr array."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._array: Any = None
        array = self._open()
        if array.ndim != 2:
            raise ProbabilityError(f"{path!r} has shape {array.shape}; (items, classes) is expected.")
        #: Rows per stored chunk: reading less would decode a chunk more than once.
        self.natural_rows = int(array.chunks[0])

    def _open(self) -> Any:
        if self._array is None:
            try:
                import zarr
            except ImportError as error:
                raise MissingExtraError("zarr", "scale", f"reading {self._path!r}") from error
            try:
                opened = zarr.open(self._path, mode="r")
            except (OSError, ValueError, KeyError) as error:
                raise UnreadableError(f"cannot read {self._path!r} as zarr: {error}.") from error
            if not hasattr(opened, "chunks"):
                if MEMBER not in opened:
                    raise UnreadableError(f"the zarr group {self._path!r} has no array {MEMBER!r}.")
                opened = opened[MEMBER]
            self._array = opened
        return self._array

    @property
    def name(self) -> str:
        return self._path

    @property
    def shape(self) -> tuple[int, int]:
        rows, classes = self._open().shape
        return int(rows), int(classes)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._open().dtype)

    @property
    def in_memory(self) -> bool:
        return False

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._open()[start:stop])

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "natural_rows": self.natural_rows, "_array": None}


class ParquetSource:
    """Rows of one parquet file or of all parquet files of a folder, in the order of their names."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = self._list(path)
        self._starts: list[int] = []  # first row of each row group
        self._groups: list[tuple[int, int]] = []  # file, row group in it
        self._local = threading.local()
        rows = 0
        columns: list[str] | None = None
        for number in range(len(self._files)):
            parquet = self._file(number)
            if columns is None:
                columns = list(parquet.schema_arrow.names)
            elif list(parquet.schema_arrow.names) != columns:
                raise ProbabilityError(f"{self._files[number]!r} has other columns than {self._files[0]!r}.")
            for group in range(parquet.num_row_groups):
                self._starts.append(rows)
                self._groups.append((number, group))
                rows += parquet.metadata.row_group(group).num_rows
        self._rows = rows
        self._lists = MEMBER in (columns or [])
        self._columns = [MEMBER] if self._lists else list(columns or [])
        first = self._group(0) if self._groups else np.empty((0, 0), np.float32)
        self._shape = (rows, first.shape[1])
        self._dtype = first.dtype
        edges = np.diff([*self._starts, rows])
        #: Rows per row group: reading less would decode a group more than once.
        self.natural_rows = int(edges.max()) if len(edges) else 1

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
        import pyarrow as pa
        import pyarrow.parquet as pq

        opened: dict[int, Any] = self._local.__dict__.setdefault("opened", {})
        if number not in opened:
            name = self._files[number]
            try:
                opened[number] = pq.ParquetFile(_open_binary(name) if "://" in name else name)
            except (OSError, pa.ArrowException) as error:
                raise UnreadableError(f"cannot read {name!r} as parquet: {error}.") from error
        return opened[number]

    def _group(self, index: int) -> np.ndarray:
        """Row group by running number, decoded; the last one is kept per thread."""
        kept = getattr(self._local, "kept", None)
        if kept is not None and kept[0] == index:
            decoded: np.ndarray = kept[1]
            return decoded
        number, group = self._groups[index]
        table = self._file(number).read_row_group(group, columns=self._columns)
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
        self._local.kept = (index, rows)
        return rows

    @property
    def name(self) -> str:
        return self._path

    @property
    def shape(self) -> tuple[int, int]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    @property
    def in_memory(self) -> bool:
        return False

    def read(self, start: int, stop: int) -> np.ndarray:
        parts = []
        index = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            rows = self._group(index)
            begin = start - self._starts[index]
            part = rows[begin : begin + stop - start]
            parts.append(part)
            start += len(part)
            index += 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()
