"""Streams: human text to stderr, results to stdout; no colour or bars where nobody watches."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

from auditor.core.errors import AuditorError, storage_errors
from auditor.core.escaping import json_printable, printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console


class _Forgiving:
    """A standard stream whose reader may go away (``| head``): the rest is dropped, the command ends as it would."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        with storage_errors(getattr(self._stream, "name", "output")):
            try:
                yield
            except OSError as error:
                # What is still held goes nowhere too, or Python's last flush would end in exit code 120.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
                if not isinstance(error, BrokenPipeError):
                    raise


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Let a command run to its own exit code when whoever reads its output has gone.

    Raises
    ------
    StorageError
        If standard output or error lead to a full disk.
    """
    out, err = (cast(TextIO, _Forgiving(s or open(os.devnull, "w"))) for s in (sys.stdout, sys.stderr))  # noqa: SIM115
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()


@cache
def console() -> Console:
    """The console on stderr."""
    from rich.console import Console

    plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ
    # Where no terminal gives a width, a fixed one keeps tables from being cut at 80 columns in logs.
    width = None if sys.stderr.isatty() else int(os.environ.get("COLUMNS", 120))
    return Console(stderr=True, no_color=plain, highlight=False, emoji=False, width=width, soft_wrap=True)


def say(text: str) -> None:
    """One line of human text."""
    console().print(printable(text), markup=False)


def fail(error: AuditorError) -> None:
    """Show an error: what, where, and the way out."""
    console().print(printable_lines(f"Error: {error}"), markup=False)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json_printable(json.dumps(document, ensure_ascii=False, allow_nan=False)) + "\n")
    sys.stdout.flush()


def answer(lines: Iterable[str], document: Mapping[str, Any] | None, quiet: bool = False) -> None:
    """What a command has to say: lines for people, and its document for programs, where one was asked for."""
    if not quiet:
        for line in lines:
            say(line)
    if document is not None:
        print_json(document)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on stderr. Columns whose names begin with ``>`` are aligned to the right."""
    from rich.box import HEAVY_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=HEAVY_HEAD if title else None)
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    for row in rows:
        # Text, not markup: class names and ids are the user's and may hold square brackets.
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console().print(table)


def command_line() -> str:
    """The command as it was typed, for what it writes."""
    return shlex.join(["auditor", *sys.argv[1:]])


class RichProgress:
    """Progress events as bars on a terminal, as plain lines elsewhere.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    #: Seconds between plain lines of one task.
    EVERY = 15.0

    def __init__(self, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._quiet = quiet
        self._tasks: dict[str, Any] = {}
        self._last: dict[str, float] = {}
        #: Task -> its total and unit, for plain lines.
        self._sizes: dict[str, tuple[float, str]] = {}
        self._bars: Progress | None = None
        if not quiet and console().is_terminal:
            before, note = "{task.description:<14}", "{task.fields[note]}"
            texts = [TextColumn(template, markup=False) for template in (before, note)]
            columns = (texts[0], BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), texts[1])
            self._bars = Progress(*columns, console=console(), transient=True)

    def __enter__(self) -> RichProgress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def stage(self, name: str, detail: str = "") -> None:
        if not self._quiet:
            say(f"{name:<12} {detail}".rstrip())

    def start(self, task: str, total: float, unit: str = "") -> None:
        self._sizes[task] = total, unit
        if self._bars:
            self._tasks[task] = self._bars.add_task(printable(task), total=total, note=printable(unit))

    def advance(self, task: str, done: float, note: str = "") -> None:
        if self._bars and task in self._tasks:
            self._bars.update(self._tasks[task], completed=done, note=printable(note))
        elif not self._quiet and note:
            import time

            now = time.monotonic()
            if now - self._last.get(task, -self.EVERY) >= self.EVERY:
                self._last[task] = now
                total, unit = self._sizes.get(task, (0, ""))
                place = f"{unit} {done:,.4g} of {total:,.4g}, ".lstrip() if total else ""
                say(f"  {task}: {place}{note}")

    def finish(self, task: str, note: str = "") -> None:
        if self._bars and task in self._tasks:
            self._bars.remove_task(self._tasks.pop(task))
        if not self._quiet and note:
            say(f"  {task}: {note}")

    def note(self, message: str) -> None:
        if not self._quiet:
            say(f"  note: {message}")
