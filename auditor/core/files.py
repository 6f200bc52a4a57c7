"""Reading and writing files safely: atomic writes, and arrays that never run code when loaded."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import re
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from auditor.core.config import check_unpacked
from auditor.core.errors import (
    AuditorError,
    MemoryGuardError,
    UnreadableError,
    UnsafeFileError,
    UsageError,
    storage_errors,
)
from auditor.core.hashing import hash_json

#: How the names end that files and folders have while they are written.
TEMPORARY = re.compile(r"\.tmp-(\d+)(?:-\d+)?$")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it over `path`.

    A killed process leaves at most a ``*.tmp-<pid>`` file, never half a file under the real name.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
            sync_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_to_disk(place: Path) -> None:
    """Make a file, or the names in a folder, survive a crash: a rename is durable only once its folder is."""
    try:
        handle = os.open(place, os.O_RDONLY)
    except OSError:  # not every file system lets one open a folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_temporary(folder: Path) -> int:
    """Delete what killed `atomic_path` calls left under `folder`, and nothing of another name; returns how many files
    that were. Only for a folder nobody else is writing to."""
    stale = [path for path in Path(folder).rglob(".*.tmp-*") if TEMPORARY.search(path.name) and path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


@contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open `path` for writing so that it appears whole or not at all."""
    with atomic_path(path) as temporary, open(temporary, mode) as handle:
        yield handle


def json_value(value: Any, digits: int | None = None) -> Any:
    """`value` as JSON can hold it, at any depth.

    Dataclasses become objects of their fields, NumPy's scalars and arrays Python's numbers and lists, tuples lists,
    keys text; what is not a finite number (a precision without a flag, a missing cell of a table) becomes ``null``.
    Floats are rounded to `digits`. Other objects stay as they are.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_value(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item, digits) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist(), digits)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    return None if value is not None and value != value else value


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically and without touching its line ends."""
    with atomic_write(path) as handle:
        handle.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically.

    Raises
    ------
    ValueError
        For a number that is not finite: the builder of a document says where null may stand (`json_value`).
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """`write_json` of an object that also holds ``digest``, the hash of all else in it."""
    content = json.loads(json.dumps(value, allow_nan=False))  # as it will be read
    write_json(path, content | {"digest": hash_json(content)})


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Stop before a command replaces what lies at a path that a person named.

    Raises
    ------
    UsageError
        If something does and `overwrite` was not asked for.
    """
    if not overwrite and os.path.lexists(path):
        raise UsageError(
            f"{str(path)!r} exists already; nothing is overwritten.", "Choose another name, or add --overwrite."
        )


def regular_file(path: Path | str, limit: int | None = None) -> Path:
    """`path`, if a file lies there whose reading ends: no folder, no pipe, no device, at most `limit` bytes.

    Raises
    ------
    UnreadableError
    """
    path = Path(path)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnreadableError(
            f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.", "Check the path."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise UnreadableError(
            f"{str(path)!r} is {kinds.get(stat.S_IFMT(status.st_mode), 'a device')}, not a regular file.",
            "Save what it gives in a file first.",
        )
    if limit is not None and status.st_size > limit:
        raise UnreadableError(f"{str(path)!r} has {status.st_size:,} bytes, more than the {limit:,} that are read.")
    return path


@contextmanager
def reading(path: Path | str, form: str) -> Iterator[Path]:
    """Parse a file of anybody's: whatever the parser raises is said to be wrong with the file.

    Parameters
    ----------
    path : Path or str
    form : str
        What it is read as, e.g. ``"JSON"``.

    Raises
    ------
    UnreadableError
        If it is no regular file, cannot be read, or is not what it should be.
    MemoryGuardError
        If what it holds does not fit into memory.
    """
    path = regular_file(path)
    with parsing(path, form):
        yield path


@contextmanager
def parsing(where: Path | str, form: str) -> Iterator[None]:
    """As `reading`, of bytes that are open already, or lie behind an address."""
    try:
        yield
    except AuditorError:
        raise
    except MemoryError as error:
        raise MemoryGuardError(f"{str(where)!r} needs more memory than there is: {error}.") from error
    except Exception as error:
        # Parsers fed damaged bytes raise nearly anything: zlib.error, RecursionError, IndexError, NotImplementedError.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableError(f"cannot read {str(where)!r} as {form}: {reason.strip().rstrip('.')}.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `UnreadableError` if it is absent or not JSON."""
    with reading(path, "JSON") as file:
        check_unpacked(path, file.stat().st_size)
        return json.loads(file.read_bytes())


def read_sealed(path: Path) -> dict[str, Any]:
    """The object that `write_sealed` wrote, without its digest; or that an earlier version wrote, which has none.

    Raises
    ------
    UnreadableError
        If it is absent, no object, or not what was written.
    """
    value = read_json(path)
    digest = value.pop("digest", None) if isinstance(value, dict) else None
    if not isinstance(value, dict) or (digest is not None and hash_json(value) != digest):
        raise UnreadableError(
            f"{str(path)!r} is not what was written: it is damaged, or was changed.",
            "Restore it from a copy, or repeat the command that wrote it.",
        )
    return value


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file. LF, CR LF and CR end one, and none of the other signs of `str.splitlines`."""
    with reading(path, "text") as file:
        return file.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")


def load_npy(path: Path, mmap: bool = False) -> np.ndarray:
    """Load one array from a ``.npy`` file, never unpickling.

    Raises
    ------
    UnsafeFileError
        If the file is a pickle or holds Python objects.
    UnreadableError
        If it is absent, truncated or not an array.
    """
    with _reading_arrays(path):
        loaded = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise UnreadableError(f"{str(path)!r} is an archive of several arrays, not one array.")
    return _checked_texts(loaded, path)


def load_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Load the arrays of a ``.npz`` archive, all or those called `names`, never unpickling. Errors as `load_npy`."""
    with _reading_arrays(path), np.load(path, allow_pickle=False) as archive:
        members = archive.zip.infolist()
        wanted = [m.file_size for m in members if names is None or m.filename.removesuffix(".npy") in names]
        check_unpacked(path, sum(wanted))
        chosen = [name for name in archive.files if names is None or name in names]
        return {name: _checked_texts(archive[name], path) for name in chosen}


def _checked_texts(array: np.ndarray, path: Path) -> np.ndarray:
    """The array, if its texts are made of characters: NumPy does not look, and Python fails on them later."""
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(array.dtype.byteorder + "u4")
        if codes.size and codes.max() > sys.maxunicode:
            raise UnreadableError(f"{str(path)!r} holds a text of other than Unicode characters.")
    return array


@contextmanager
def _reading_arrays(path: Path) -> Iterator[None]:
    with reading(path, "a NumPy file") as file:
        with open(file, "rb") as handle:
            refuse_pickle(path, handle.read(6))
        try:
            yield
        except ValueError as error:
            if "pickle" in str(error).lower() or "object" in str(error).lower():
                raise UnsafeFileError(
                    f"{str(path)!r} holds Python objects or is a pickle, which can run code when loaded; it was not "
                    "opened.",
                    "Save a plain numeric or string array with numpy.save(path, array).",
                ) from error
            raise


def refuse_pickle(path: Path | str, head: bytes) -> None:
    """Raise `UnsafeFileError` if a file that begins with `head` is a pickle."""
    # Protocol 2+ pickles begin with 0x80; NumPy would only look inside if allow_pickle were set.
    if head[:1] == b"\x80":
        raise UnsafeFileError(
            f"{str(path)!r} is a Python pickle, which can run code when loaded; it was not opened.",
            "Save the array with numpy.save(path, array) or as parquet.",
        )


class _ArraysOnly(pickle._Unpickler):  # the one in C makes room for any memo number
    """Resolves the names a pickled array needs, and no others: a file with a payload in its place does nothing."""

    # The functions have moved between NumPy versions; an array says how it would be rebuilt.
    _rebuild = np.empty(0, np.uint8).__reduce__()[0]
    _from_buffer = np.empty(0, np.uint8).__reduce_ex__(5)[0]
    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _rebuild,
        ("numpy._core.multiarray", "_reconstruct"): _rebuild,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy._core.numeric", "_frombuffer"): _from_buffer,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): lambda text, encoding="latin1": text.encode(
            "latin1" if encoding == "latin1" else "utf-8"
        ),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise _AsksForMore(f"it asks for {module}.{name}")
        return self._allowed[module, name]


class _AsksForMore(pickle.UnpicklingError):
    pass


def unpickle_arrays(raw: bytes, where: str, encoding: str = "ASCII") -> Any:
    """Arrays, lists, dictionaries and numbers out of a pickle, without running anything it says.

    Raises
    ------
    UnsafeFileError
        If it asks for anything else.
    UnreadableError
        If it is damaged.
    """
    try:
        return _ArraysOnly(io.BytesIO(raw), encoding=encoding).load()
    except _AsksForMore as error:
        raise UnsafeFileError(
            f"{where} holds Python objects other than arrays ({error}), which could run code; it was not loaded.",
            "Fetch the published file again, or save it as plain arrays or JSON.",
        ) from error
    except Exception as error:  # damaged pickles raise nearly anything
        raise UnreadableError(f"{where} is damaged: {error}.", "Fetch it again.") from error
