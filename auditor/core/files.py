"""Reading and writing files safely: atomic writes, and arrays that never run code when loaded."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np

from auditor.core.config import check_unpacked
from auditor.core.errors import UnreadableError, UnsafeFileError, UsageError, storage_errors
from auditor.core.hashing import hash_json
from auditor.core.reading import reading

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


#: How JSON writes half of a character beyond the first plane, of which another half must follow.
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `UnreadableError` if it is absent, not JSON, or holds texts that no file can."""
    with reading(path, "JSON") as file:
        check_unpacked(path, file.stat().st_size)
        return parse_json(file.read_bytes())


def parse_json(text: str | bytes) -> Any:
    """The value of JSON that somebody else wrote; raises `ValueError` for other text, and for halves of characters,
    which can be neither shown nor written."""
    value = json.loads(text)
    if _HALF_CHARACTER.search(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text):
        json.dumps(value, ensure_ascii=False).encode()  # fails for halves that are no pair
    return value


def read_sealed(path: Path, unsealed: bool = True) -> dict[str, Any]:
    """The object that `write_sealed` wrote, without its digest.

    Parameters
    ----------
    path : Path
    unsealed : bool
        Whether an object without a digest, as earlier versions wrote it, is read too. Its fields may be missing or of
        any kind: damage to the name of the digest looks the same.

    Raises
    ------
    UnreadableError
        If it is absent, no object, or not what was written.
    """
    value = read_json(path)
    digest = value.pop("digest", None) if isinstance(value, dict) else None
    if not isinstance(value, dict) or (hash_json(value) != digest if digest is not None else not unsealed):
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
                    "Save it with numpy.save as an array of numbers, or of texts: array.astype(str).",
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


_SETS = (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET)


class _Type:
    """Stands for a ``numpy.dtype``: NumPy would take any state from a pickle, and a damaged one ends the process."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def made(self) -> np.dtype[Any]:
        if not re.fullmatch(r"[biufSUO]\d{1,6}", self.name):
            raise pickle.UnpicklingError(f"an array of {self.name!r}")
        return np.dtype(self.name).newbyteorder(cast(Any, self.order))


class _Array:
    """Stands for a ``numpy.ndarray``, for the same reason."""

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.type, self.columns, self.content = _Type("u1"), False, b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.type, self.columns, self.content = state

    @classmethod
    def of_buffer(cls, content: Any, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
        array = cls()
        array.__setstate__((1, shape, kind, order == "F", content))
        return array

    def made(self, plain: Callable[[Any], Any]) -> np.ndarray:
        kind = self.type.made()
        if kind.hasobject:
            flat = np.empty(len(self.content), object)
            for k, item in enumerate(self.content):
                flat[k] = plain(item)
        else:
            flat = np.frombuffer(self.content, kind)
        return flat.reshape(self.shape, order="F" if self.columns else "C")


class _ArraysOnly(pickle._Unpickler):  # the one in C makes room for any memo number
    """Resolves the names a pickled array needs, and no others: a file with a payload in its place does nothing."""

    # The functions have moved between NumPy versions.
    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy.core.numeric", "_frombuffer"): _Array.of_buffer,
        ("numpy._core.numeric", "_frombuffer"): _Array.of_buffer,
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): lambda text, encoding="latin1": text.encode(
            "latin1" if encoding == "latin1" else "utf-8"
        ),
    }

    stack: list[Any]  # of the pickle machine, as are `append` and `pop_mark`
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise _AsksForMore(f"it asks for {module}.{name}")
        return self._allowed[module, name]

    def load_build(self) -> None:
        state, of = self.stack.pop(), self.stack[-1]
        if not isinstance(of, _Array | _Type):
            raise pickle.UnpicklingError(f"a state for {type(of).__name__}")
        of.__setstate__(state)

    def load_items(self) -> None:
        pairs = self.pop_mark()
        _fill(self.stack[-1], pairs)

    def load_item(self) -> None:
        pair = [self.stack.pop() for _ in range(2)][::-1]
        _fill(self.stack[-1], pair)

    def load_dictionary(self) -> None:
        pairs = self.pop_mark()  # which makes another stack
        self.append(_fill({}, pairs))

    def load_bytes(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        data = self.read(size)
        if len(data) != size:  # pickle would first make an array of as many bytes as it says
            raise pickle.UnpicklingError(f"{size:,} bytes are announced, {len(data):,} follow")
        self.append(bytearray(data))

    #: No sets, no objects made without a call, no other state.
    dispatch: ClassVar[dict[int, Any]] = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in (*_SETS, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.OBJ, pickle.INST)
    } | {
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytes,
        pickle.SETITEMS[0]: load_items,
        pickle.SETITEM[0]: load_item,
        pickle.DICT[0]: load_dictionary,
    }


def _fill(target: Any, pairs: list[Any]) -> Any:
    """Put pairs into a dictionary; the hash of a tuple of tuples of tuples may take for ever."""
    keys = pairs[::2]
    if type(target) is not dict or not all(isinstance(key, str | bytes | int) for key in keys):
        raise pickle.UnpicklingError("a dictionary of other keys than texts and numbers")
    target.update(zip(keys, pairs[1::2], strict=True))
    return target


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
        return _made(_ArraysOnly(io.BytesIO(raw), encoding=encoding).load(), len(raw))
    except _AsksForMore as error:
        raise UnsafeFileError(
            f"{where} holds Python objects other than arrays ({error}), which could run code; it was not loaded.",
            "Fetch the published file again, or save it as plain arrays or JSON.",
        ) from error
    except Exception as error:  # damaged pickles raise nearly anything
        raise UnreadableError(f"{where} is damaged: {error}.", "Fetch it again.") from error


def _made(value: Any, most: int) -> Any:
    """`value` with the arrays that stand in it made, if it is a tree of at most `most` values.

    Raises
    ------
    UnpicklingError
        A few bytes may refer to one list again and again, and in it to another.
    """
    left = most

    def plain(value: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise pickle.UnpicklingError("it holds more values than bytes")
        if isinstance(value, _Array):
            return value.made(plain)
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(plain, value))
        if isinstance(value, bool | int | float | complex | str | bytes | bytearray | None):
            return value
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")

    return plain(value)
