"""What long work tells the outside: a small event protocol with a silent default.

The library never prints. The command line passes a rich display, the tests a recorder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Receiver of progress events. All methods return at once and never raise."""

    def stage(self, name: str, detail: str = "") -> None:
        """A stage of the run begins."""

    def start(self, task: str, total: float, unit: str = "") -> None:
        """A countable task begins; `task` is its display name and key."""

    def advance(self, task: str, done: float, note: str = "") -> None:
        """`done` of the task's total is finished (absolute, not an increment); `note` e.g. accuracy so far."""

    def finish(self, task: str, note: str = "") -> None:
        """The task is over."""

    def note(self, message: str) -> None:
        """One line worth showing to the user."""


class SilentProgress:
    """Drops every event."""

    def stage(self, name: str, detail: str = "") -> None: ...

    def start(self, task: str, total: float, unit: str = "") -> None: ...

    def advance(self, task: str, done: float, note: str = "") -> None: ...

    def finish(self, task: str, note: str = "") -> None: ...

    def note(self, message: str) -> None: ...


_bars = threading.Lock()
_hiding = 0
_shown: Any = None


@contextmanager
def no_foreign_bars() -> Iterator[None]:
    """Keep the bars of other libraries (transformers, datasets, the Hub's client: all of them tqdm's) out of the
    output inside, in all threads. May be nested."""
    global _hiding, _shown
    if find_spec("tqdm") is None:
        yield
        return
    from tqdm.std import tqdm

    with _bars:
        _hiding += 1
        if _hiding == 1:
            shown = _shown = tqdm.__init__

            def hidden(self: Any, *arguments: Any, **options: Any) -> None:
                shown(self, *arguments, **{**options, "disable": True})

            tqdm.__init__ = hidden
    try:
        yield
    finally:
        with _bars:
            _hiding -= 1
            if not _hiding:
                tqdm.__init__ = _shown
