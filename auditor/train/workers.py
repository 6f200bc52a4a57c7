"""Worker processes: each fits one task after the other and reports over its own pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.core.errors import AuditorError, ResourceError, UsageError
from auditor.core.files import atomic_path, load_npy
from auditor.core.progress import Progress
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.results import fit_and_store

#: Seconds a stopped worker gets before it is killed.
GRACE = 3.0


@dataclass(frozen=True)
class SharedData:
    """Training data as it travels to a worker: images as the path of a ``.npy`` file, the rest by value."""

    kind: str
    features: Any
    path: Path | None
    labels: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, data: TrainingData, content: str, folder: Path) -> SharedData:
        """Ready to travel; images that are not in a ``.npy`` file yet are written to one in `folder`."""
        features = data.features
        if not isinstance(features, np.ndarray):
            return cls(data.kind, features, None, data.labels, data.n_classes)
        if isinstance(features, np.memmap) and features.filename and _is_npy(features):
            path = Path(features.filename)
        else:
            path = folder / f"{content.removeprefix('sha256:')[:16]}.npy"
            if not path.is_file():
                with atomic_path(path) as temporary, open(temporary, "wb") as handle:
                    np.save(handle, np.ascontiguousarray(features), allow_pickle=False)
        return cls(data.kind, None, path, data.labels, data.n_classes)

    def open(self) -> TrainingData:
        """The training data; images memory-mapped, so that all workers share one copy in the page cache."""
        features = self.features if self.path is None else load_npy(self.path, mmap=True)
        return TrainingData(self.kind, features, self.labels, self.n_classes)


def _is_npy(features: np.memmap) -> bool:
    """Whether the map is the whole of a .npy file (not a slice of it, not a raw file)."""
    path = Path(str(features.filename))
    if path.suffix != ".npy" or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    return whole.shape == features.shape and whole.dtype == features.dtype and whole.offset == features.offset


class _PipeProgress:
    """Hands every event of `auditor.core.progress.Progress` to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *arguments: self._pipe.send(("progress", method, arguments))


def _die_with_parent() -> None:
    """End this process as soon as the parent is gone: an orphan would go on using the cores."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(pipe: Connection, trainer: Trainer, shared: SharedData, folder: Path) -> None:
    """Body of a worker: receive (task, key) until None comes."""
    # Ctrl-C reaches the whole process group; the parent decides, workers would only print tracebacks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    try:
        data = shared.open()
        pipe.send(("ready",))
        while (message := pipe.recv()) is not None:
            task, key = message
            fit_and_store(trainer, data, task, key, folder, cast(Progress, _PipeProgress(pipe)))
            pipe.send(("done", task.name))
    except AuditorError as error:
        pipe.send(("error", error))
    except (EOFError, BrokenPipeError):
        return  # the parent closed the pipe: it is stopping
    except Exception as error:  # noqa: BLE001  whatever a user's trainer raises must reach the caller with its place
        pipe.send(("failure", f"{type(error).__name__}: {error}", traceback.format_exc()))


def run_in_workers(
    trainer: Trainer,
    data: TrainingData,
    content: str,
    tasks: Sequence[FitTask],
    keys: dict[str, str],
    workers: int,
    progress: Progress,
    folder: Path,
) -> None:
    """Fit `tasks` in `workers` processes; results are stored under `folder`. `content` is the hash of the data.

    Raises
    ------
    AuditorError
        The first error of a fit, the same object type as raised there.
    ResourceError
        If a worker process dies (out of memory, killed).
    RuntimeError
        If a trainer raised something else; its traceback is in the notes.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "worker processes were started while the main script was being imported.",
            "Put the call under  if __name__ == '__main__':  or use workers=1.",
        )
    # spawn: forking a process that has used torch or OpenMP threads can hang.
    context = multiprocessing.get_context("spawn")
    team: dict[Connection, Any] = {}
    waiting = list(reversed(tasks))
    try:
        shared = SharedData.of(data, content, folder / "shared")
        for number in range(workers):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, trainer, shared, folder), name=f"auditor-fit-{number}", daemon=True
            )
            process.start()
            there.close()
            team[here] = process
        while team:
            for pipe in wait(list(team)):
                channel = cast(Connection, pipe)
                if _serve(channel, team[channel], waiting, keys, progress):
                    process = team.pop(channel)
                    channel.close()
                    process.join()
    finally:
        _stop(team)
        shutil.rmtree(folder / "shared", ignore_errors=True)


def _serve(pipe: Connection, process: Any, waiting: list[FitTask], keys: dict[str, str], progress: Progress) -> bool:
    """Handle one message of a worker; True if the worker is finished."""
    try:
        message = pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join(GRACE)
        raise _death(process.exitcode) from error
    kind = message[0]
    if kind == "progress":
        getattr(progress, message[1])(*message[2])
        return False
    if kind == "error":
        raise message[1]
    if kind == "failure":
        failure = RuntimeError(f"a fit failed in a worker process: {message[1]}")
        failure.add_note(message[2])
        raise failure
    if not waiting:  # "ready" or "done", and nothing left to do
        pipe.send(None)
        return True
    task = waiting.pop()
    pipe.send((task, keys[task.name]))
    return False


def _death(code: int | None) -> ResourceError:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
        return ResourceError(
            f"a training process was ended by {name}.",
            "If the machine ran out of memory, use fewer workers. Start again: finished parts are kept.",
        )
    return ResourceError(
        f"a training process ended unexpectedly (exit code {code}).",
        "In a script, put the call under  if __name__ == '__main__':  or use workers=1.",
    )


def _stop(team: dict[Connection, Any]) -> None:
    """End all workers that are still there, politely first."""
    for process in team.values():
        process.terminate()
    for pipe, process in team.items():
        process.join(GRACE)
        if process.is_alive():
            process.kill()
            process.join()
        with contextlib.suppress(OSError):
            pipe.close()
