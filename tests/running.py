"""The command line called by tests: in this process, or where the process itself is tested in one of its own.

A process of its own imports everything anew, 2 to 3 s of a core for each call; in this process a call costs its work.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from filelock import FileLock

from auditor.cli import console
from auditor.cli.main import run

__all__ = ["Done", "call", "call_process", "made_once"]

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
