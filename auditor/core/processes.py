"""Work in several processes: one result per task, events on the way, errors as they were raised.

Workers are fresh interpreters that import neither the caller's script nor its notebook (loky), so no
``if __name__ == "__main__"`` is needed; what they need is sent to them by value once they have started.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import cloudpickle
from loky.backend.process import LokyProcess

from auditor.core.errors import AuditorError, ResourceError

Task = TypeVar("Task")
Result = TypeVar("Result")
#: What works on the tasks inside a worker: called with a task and with what sends an event to the parent.
Job = Callable[[Task, Callable[[Any], None]], Result]

#: Seconds a stopped worker gets before it is killed.
GRACE = 3.0


def in_processes(
    begin: Callable[[], Job[Task, Result]],
    tasks: Iterable[Task],
    workers: int,
    listen: Callable[[Any], None] = lambda event: None,
) -> Iterator[tuple[Task, Result]]:
    """Tasks and their results, in the order in which they are finished.

    Parameters
    ----------
    begin : callable
        Called once in each worker; returns the job.
    tasks : iterable
        Drawn one by one, as workers become free.
    workers : int
        Below 2 the job runs in this process, and its errors are what it raised.
    listen : callable
        Receives, in this process, the events that jobs send.

    Raises
    ------
    AuditorError
        The first error of a job, the same object type as raised there.
    ResourceError
        If a worker dies (out of memory, killed).
    RuntimeError
        If a job raised something else; its traceback is in the notes.
    """
    if workers < 2:
        job = begin()
        for task in tasks:
            yield task, job(task, listen)
        return
    waiting = iter(tasks)
    current: dict[Connection, Task] = {}
    team: dict[Connection, Any] = {}
    try:
        payload = cloudpickle.dumps(begin)
        for _ in range(workers):
            pipe, process = _start(payload)
            team[pipe] = process
        while team:
            for pipe in cast(list[Connection], wait(list(team))):
                kind, content = _receive(pipe, team[pipe])
                if kind == "event":
                    listen(content)
                    continue
                if kind == "result":
                    yield current.pop(pipe), content
                try:
                    current[pipe] = next(waiting)
                except StopIteration:
                    pipe.send_bytes(b"")
                    pipe.close()
                    team.pop(pipe).join()
                else:
                    pipe.send(current[pipe])
    finally:
        _stop(team)


def _start(payload: bytes) -> tuple[Connection, Any]:
    pipe, there = Pipe()
    process = LokyProcess(target=_work, args=(there,), daemon=True)
    process.start()
    # From here on only the worker holds the other end: if it dies, sending and receiving fail at once.
    there.close()
    with contextlib.suppress(BrokenPipeError):  # the next receive tells of it
        pipe.send_bytes(payload)
    return pipe, process


def _receive(pipe: Connection, process: Any) -> tuple[str, Any]:
    try:
        kind, content = pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join(GRACE)
        raise _death(process.exitcode) from error
    if kind == "error":
        raise content
    return kind, content


def _death(code: int | None) -> ResourceError:
    signals = {-s.value: s.name for s in signal.Signals}
    how = f"was ended by {signals[code]}" if code in signals else f"ended unexpectedly (exit code {code})"
    return ResourceError(
        f"a worker process {how}.",
        "If the machine ran out of memory, use fewer workers. Start again: finished parts are kept.",
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
        pipe.close()


def _work(pipe: Connection) -> None:
    """Body of a worker: learn the job, then work on one task after the other until an empty message comes."""
    # Ctrl-C reaches the whole process group; the parent decides, workers would only print tracebacks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(pipe, messages), daemon=True).start()
    try:
        job = pickle.loads(messages.get())()
        pipe.send(("ready", None))
        while message := messages.get():
            pipe.send(("result", job(pickle.loads(message), lambda event: pipe.send(("event", event)))))
    except AuditorError as error:
        pipe.send(("error", error))
    except BrokenPipeError:
        return  # the parent has stopped
    except Exception as error:  # noqa: BLE001  whatever a user's code raises must reach the caller with its place
        failure = RuntimeError(f"a worker process failed: {type(error).__name__}: {error}")
        failure.add_note(traceback.format_exc())
        pipe.send(("error", failure))


def _read(pipe: Connection, messages: SimpleQueue[bytes]) -> None:
    """Hand on what the parent sends; end this process with the parent: an orphan would go on using the cores."""
    with contextlib.suppress(EOFError, OSError):
        while message := pipe.recv_bytes():
            messages.put(message)
        messages.put(message)
        return
    os._exit(1)
