"""One writer per run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from auditor.core.errors import RunError, storage_errors
from auditor.runs.layout import LOCK


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder's lock. The system releases it when the process dies, however it dies.

    Raises
    ------
    RunError
        If another process is writing this run.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(
                f"another process is working on the run {str(folder)!r}.",
                "Wait for it, or give this run another folder with --out.",
            ) from error
    try:
        yield
    finally:
        lock.release()
