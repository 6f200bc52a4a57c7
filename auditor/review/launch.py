"""The reviewer beside a program: started in a process of its own, from a notebook or a script."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import auditor
from auditor.core.config import Settings
from auditor.core.errors import ResourceError, require
from auditor.core.escaping import quoted

#: Seconds a stopped server gets before it is killed.
GRACE: Final = 10.0
_OPEN: Final = re.compile(r"The review is open at (\S+)")


class Review:
    """A reviewer that is running.

    Attributes
    ----------
    address : str
        Where it is, with the token that opens it. Who has it may give verdicts.
    folder : Path
        The run under review; its verdicts lie there.
    process : Popen
    place : object
        What must live as long as this, such as a temporary folder.

    Notes
    -----
    It runs until `stop` is called or this process ends; ``with`` stops it, too. No verdict is lost in either case.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.process = process
        self.place: Any = None
        self._end = weakref.finalize(self, stop, process)

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Stop it. A second call does nothing."""
        self._end()
        self.place = None

    def __enter__(self) -> Review:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Review of {str(self.folder)!r}: {self.address if self.running else 'stopped'}"

    def _repr_html_(self) -> str:
        if not self.running:
            return escape(repr(self))
        link = escape(self.address, quote=True)
        return f'<a href="{link}" target="_blank" rel="noopener">Review {escape(self.folder.name)}</a>; .stop() ends it'


def start_review(
    run: Path,
    *,
    reviewer: str | None = None,
    port: int = 0,
    browser: bool = True,
    plan: Sequence[tuple[str, float]] = (),
    settings: Settings | None = None,
) -> Review:
    """Start the reviewer on a run and wait until it is open.

    Parameters
    ----------
    run : Path
        Run folder.
    reviewer : str, optional
        Name offered to who opens the page.
    port : int
        0 = any free one.
    browser : bool
        Open it, where there is a screen.
    plan : sequence of (str, number)
        Fields of `auditor.review.loading.QueuePlan`, fixed when the run is first reviewed.
    settings : Settings, optional
        Where the data set is looked for.

    Raises
    ------
    MissingExtraError
        Without the extra ``ui``.
    ResourceError
        If it does not start; with what it said.
    """
    require("streamlit", "ui", "the review app")
    config = {"run": str(run.resolve()), "reviewer": reviewer, "plan": sorted(plan), "token": secrets.token_urlsafe(24)}
    process = subprocess.Popen(
        [sys.executable, "-c", "from auditor.ui.server import serve_parent; serve_parent()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_environment(settings),
        # Ctrl-C in the caller's terminal is for the caller.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    said: list[str] = []
    try:
        # Not on the command line: others can read what programs are started with.
        process.stdin.write(json.dumps([config, port, browser]) + "\n")
        process.stdin.flush()
        address = _address(process.stderr, said)
        if address is not None and not _answers(address, process):
            address = None
    except BaseException:
        stop(process)
        raise
    if address is None:
        stop(process)
        errors = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
        raise ResourceError(
            f"the reviewer did not start: {[*said, 'it said nothing', *errors][-1].rstrip('.')}.",
            f"All it says is shown in a terminal by: auditor review {quoted(run)}",
        )
    threading.Thread(target=_listen, args=(process.stderr,), daemon=True).start()
    return Review(process, address, run)


def _environment(settings: Settings | None) -> dict[str, str]:
    """The environment of the server: this package and these settings are its own."""
    package = str(Path(auditor.__file__).resolve().parents[1])
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
    return environ | (settings.environ() if settings is not None else {})


def _address(lines: IO[str], said: list[str]) -> str | None:
    """What the server prints once it is open; None if it ends before."""
    for line in lines:
        if found := _OPEN.search(line):
            return found[1]
        said.append(line.strip())
    return None


def _answers(address: str, process: subprocess.Popen[Any]) -> bool:
    """Whether the server takes connections: it says its address just before it does."""
    where, end = urlsplit(address), time.monotonic() + GRACE
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection((where.hostname or "", where.port or 80), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _listen(lines: IO[str]) -> None:
    """Take what the server goes on to say, so that it never waits for a reader."""
    with lines:
        for _ in lines:
            pass


def stop(process: subprocess.Popen[Any]) -> None:
    """End a server, politely first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:
        process.stdin.close()
