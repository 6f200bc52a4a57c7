"""Files of anybody's: only regular ones are read, and what a parser raises about one is said to be wrong with it."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from auditor.core.errors import AuditorError, MemoryGuardError, UnreadableError, UsageError


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


#: What the system says of a path that no file can have, or that leads where we may not go.
_UNUSABLE: Final = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)


def unusable_path(error: BaseException | None) -> UnreadableError | None:
    """What is wrong with the path that an `OSError` names, or None where it is another error.

    Even ``Path.is_dir`` raises for such paths instead of answering no. For a zero byte `ValueError` is raised where a
    path is made absolute.
    """
    if isinstance(error, ValueError) and "null byte" in str(error):
        return UnreadableError("a path holds a zero byte, and no file is called so.", "Check the path.")
    if not isinstance(error, OSError) or error.errno not in _UNUSABLE or error.filename is None:
        return None
    return UnreadableError(f"cannot use {str(error.filename)!r}: {str(error.strerror).lower()}.", "Check the path.")


@contextmanager
def usable_paths() -> Iterator[None]:
    """Around code that looks for what a path of anybody's names.

    Raises
    ------
    UnreadableError
        In place of an `OSError` about the path.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if (reason := unusable_path(error)) is None:
            raise
        raise reason from error


#: The beginning of a path of Windows, perhaps as it stands in an address.
_DRIVE: Final = re.compile(r"/?[A-Za-z]:[\\/]")


def local_path(address: str) -> str:
    """A path as it is; the path of an address ``file://``, of this machine or of a drive of Windows.

    Raises
    ------
    UsageError
        If it is an address of another machine.
    """
    scheme, separator, rest = address.partition(":")
    if not separator or scheme.lower() != "file" or not rest.startswith(("/", "\\")):
        return address
    if rest.startswith("//"):
        host, slash, tail = rest[2:].partition("/")
        if _DRIVE.match(rest[2:]):
            tail = rest[2:]
        elif host.lower() in ("", "localhost"):
            tail = slash + tail
        else:
            raise UsageError(f"{address!r} lies on the machine {host!r}.", "Copy it here, and name its path.")
    else:
        tail = rest
    path = unquote(tail)
    return path.lstrip("/") if _DRIVE.match(path) else path


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
