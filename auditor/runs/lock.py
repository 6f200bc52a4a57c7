"""One writer per run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.core.errors import RunError, storage_errors
from auditor.runs.layout import LOCK

__all__ = ["locked"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder's lock. The system releases it when the process dies, however it dies.

    Raises
    ------
    RunError
        If another process is writing this run.
    """
    path = folder / LOCK
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(handle, folder)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            raise _busy(folder) from error
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(folder) from error


def _busy(folder: Path) -> RunError:
    return RunError(
        f"another process is working on the run {str(folder)!r}.",
        "Wait for it, or give this run another folder with --out.",
    )
