"""Commands and functions run by tests: in this process, or where the process itself is tested in one of its own.

A new interpreter imports everything anew, 2 to 5 s of a core. A call in this process costs its work, and so does
`forked`: its processes come from a server that has imported the heavy packages once.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from filelock import FileLock

from auditor.cli import console
from auditor.cli.main import run

__all__ = ["Done", "call", "call_process", "forked", "made_once", "unsynchronised"]

#: No network, no colours.
ENVIRON = {"AUDITOR_OFFLINE": "1", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document a ``--json`` call printed."""
        (line,) = self.stdout.strip().splitlines()
        return json.loads(line)


def _checked(done: Done, code: int | None) -> Done:
    if code is not None:
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


def call(*arguments: str | Path, cwd: Path | None = None, check: int | None = 0, **environ: str) -> Done:
    """``auditor *arguments`` in this process, with its messages, streams and exit code.

    ``find-errors`` trains in this process too, unless ``--workers`` is among the arguments.

    Parameters
    ----------
    *arguments : str or Path
    cwd : Path, optional
        Working folder during the call.
    check : int or None
        The exit code expected; None accepts any.
    **environ : str
        Environment variables during the call.
    """
    out, err = io.StringIO(), io.StringIO()
    if arguments[:1] == ("find-errors",) and "--workers" not in arguments:
        arguments += ("--workers", "1")
    console.console.cache_clear()  # the next one sees this environment
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, {**ENVIRON, **environ}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run([str(a) for a in arguments])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            console.console.cache_clear()
    return _checked(Done(code, out.getvalue(), err.getvalue()), check)


def call_process(*arguments: str | Path, cwd: Path | None = None, check: int | None = 0, **environ: str) -> Done:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRON, **environ},
        check=False,
    )
    return _checked(Done(done.returncode, done.stdout, done.stderr), check)


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["tests.running", "torch", "sklearn.linear_model", "auditor.audit.find_errors", "auditor.ui.server"]
)


def forked(
    work: Callable[..., Any],
    *arguments: Any,
    log: Path | None = None,
    errors: Path | None = None,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> BaseProcess:
    """``work(*arguments)`` started in a process of its own, which nobody waits for.

    Parameters
    ----------
    work : callable
        Of a module that can be imported.
    *arguments
    log : Path, optional
        What the process prints is appended to it.
    errors : Path, optional
        The same for stderr, if it is not to go to `log`.
    cwd : Path, optional
    environ : mapping, optional
        Added to this process's environment.
    """
    environ = {**os.environ, **(environ or {})}
    process = _FORKS.Process(target=_forked, args=(work, arguments, [log, errors or log], cwd, environ))
    process.start()
    return process


def _forked(work: Callable[..., Any], arguments: Any, logs: list[Path | None], cwd: Path | None, environ: Any) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.fsync = unsynchronised
    if cwd is not None:
        os.chdir(cwd)
    for stream, log in enumerate(logs, 1):
        if log is not None:
            with open(log, "ab") as file:
                os.dup2(file.fileno(), stream)
    work(*arguments)


def unsynchronised(handle: object) -> None:
    """In place of ``os.fsync``. No test cuts the power, and what is killed loses nothing that it has written: nobody
    need wait for the disk, milliseconds for every file."""


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills once in a test run, whoever asks first; copy it before use.

    Workers of pytest-xdist share it: their temporary folders lie in one.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not folder.exists():
            work = base / f"{name}.making"
            make(work)
            work.rename(folder)
    return folder
