"""Streams: human text to stderr, results to stdout; no colour where nobody watches."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from auditor.core.display import console, say
from auditor.core.errors import AuditorError, storage_errors
from auditor.core.escaping import json_printable, printable, printable_lines


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
    out, err = (
        cast(TextIO, _Forgiving(s or open(os.devnull, "w", encoding="utf-8")))  # noqa: SIM115
        for s in (sys.stdout, sys.stderr)
    )
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()


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
