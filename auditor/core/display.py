"""What a person sees while something runs: the console on stderr, and progress on it or in a notebook.

The library prints nothing else. ``progress=False`` keeps a call silent.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from auditor.core.escaping import printable
from auditor.core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
#: Least seconds between two pictures of the bars in a notebook: each is a message to the browser.
_REDRAW: Final = 0.25
#: Lines that a notebook keeps above the bars.
_KEPT: Final = 40


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


@contextmanager
def shown(progress: Progress | bool | None = None) -> Iterator[Progress]:
    """Who is told of the progress of one call of the library.

    Parameters
    ----------
    progress : Progress or bool, optional
        A receiver of events; True or None for `ShownProgress`; False for nobody.
    """
    if progress is None or progress is True:
        with ShownProgress() as bars:
            yield bars
    else:
        yield SilentProgress() if progress is False else progress


def counted(parts: Sequence[T], stage: str, unit: str, progress: Progress | bool | None = None) -> Iterator[T]:
    """The parts of a loop one after the other, while `shown` tells how many are done.

    Parameters
    ----------
    parts : sequence
    stage, unit : str
        What the loop does, and what one part is called.
    progress : Progress or bool, optional
        As in `shown`.
    """
    with shown(progress) as receiver:
        receiver.stage(stage, f"{len(parts)} {unit}s")
        receiver.start(stage, len(parts), unit)
        for done, part in enumerate(parts):
            receiver.advance(stage, done)
            yield part
        receiver.finish(stage)


class ShownProgress:
    """Progress events as bars on a terminal and in a notebook, as sparse plain lines elsewhere."""

    #: Seconds until the first plain line of a task, and between two of them.
    FIRST, EVERY = 3.0, 15.0

    def __init__(self) -> None:
        self._tasks: dict[str, Any] = {}
        #: Task -> its total and unit, when it began, and when a plain line is due.
        self._sizes: dict[str, tuple[float, str]] = {}
        self._began: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._bars: Any = None
        self._notebook: _Notebook | None = None
        notebook = console().is_jupyter
        if notebook or console().is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            texts = [TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[place]")]
            columns = (texts[0], BarColumn(style="grey66"), texts[1], TimeRemainingColumn())
            note = TextColumn("{task.fields[note]}", markup=False)
            self._bars = Progress(*columns, note, console=console(), transient=True, auto_refresh=not notebook)
            self._notebook = _Notebook(self._bars) if notebook else None

    def __enter__(self) -> ShownProgress:
        if self._bars and not self._notebook:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._notebook:
            for task in self._tasks.values():  # of an interrupted call
                self._bars.remove_task(task)
            self._notebook.draw()
        elif self._bars:
            self._bars.stop()

    def _say(self, line: str) -> None:
        if self._notebook:
            self._notebook.lines.append(printable(line))
            self._notebook.draw()
        else:
            say(line)

    def stage(self, name: str, detail: str = "") -> None:
        self._say(f"{name:<12} {detail}".rstrip())

    def start(self, task: str, total: float, unit: str = "") -> None:
        self._sizes[task] = total, unit
        self._began[task] = time.monotonic()
        self._due[task] = self._began[task] + self.FIRST
        if self._bars:
            place = self._place(task, 0)
            self._tasks[task] = self._bars.add_task(printable(task), total=total or None, place=place, note="")

    def advance(self, task: str, done: float, note: str = "") -> None:
        if self._bars:
            if task in self._tasks:
                place = self._place(task, done)
                self._bars.update(self._tasks[task], completed=done, place=place, note=printable(note))
                if self._notebook:
                    self._notebook.draw(sparse=True)
            return
        now = time.monotonic()
        if now >= self._due.get(task, now):
            self._due[task] = now + self.EVERY
            say(f"  {task}: {', '.join(filter(None, [self._place(task, done), note, self._left(task, done, now)]))}")

    def finish(self, task: str, note: str = "") -> None:
        if self._bars and task in self._tasks:
            self._bars.remove_task(self._tasks.pop(task))
        if note:
            self._say(f"  {task}: {note}")

    def note(self, message: str) -> None:
        self._say(f"  note: {message}")

    def _place(self, task: str, done: float) -> str:
        """``epoch 3 of 10``."""
        total, unit = self._sizes.get(task, (0, ""))
        return printable(f"{unit} {done:,.4g} of {total:,.4g}".lstrip()) if total else ""

    def _left(self, task: str, done: float, now: float) -> str:
        """``about 2 min left``, once a task has run long enough to tell."""
        passed, (total, _) = now - self._began.get(task, now), self._sizes.get(task, (0, ""))
        if passed < 1 or not 0 < done < total:
            return ""
        seconds = passed * (total - done) / done
        return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"


class _Notebook:
    """Lines and bars in the output of a notebook's cell, drawn over what was there before.

    Rich draws them; its own live display would need ipywidgets.
    """

    def __init__(self, bars: Any) -> None:
        from rich.console import Group
        from rich.jupyter import JupyterMixin
        from rich.text import Text

        self.lines: list[str] = []
        self._handle: Any = None
        self._drawn = 0.0

        class Picture(JupyterMixin):
            def __rich__(picture) -> Group:
                shown = self.lines[-_KEPT:]
                return Group(*map(Text, shown), *([bars.make_tasks_table(bars.tasks)] if bars.tasks else []))

        self._picture = Picture()

    def draw(self, sparse: bool = False) -> None:
        """Draw what there is to see; `sparse` leaves it out right after the last time."""
        now = time.monotonic()
        if sparse and now - self._drawn < _REDRAW:
            return
        self._drawn = now
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self._picture, display_id=True)
        else:
            self._handle.update(self._picture)
