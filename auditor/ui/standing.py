"""Where a review stands, for the header of every page and the Overview: computed once per change of the verdicts."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Final

from auditor.core.errors import AuditorError
from auditor.core.escaping import printable_lines
from auditor.estimation.state import read_state
from auditor.estimation.status import ReviewStatus, review_status, verdicts_for
from auditor.review.readout import ReviewCounts
from auditor.ui.workspace import Workspace

#: Items up to which the numbers follow the verdicts by themselves; above, one asks for them: they read whole tables.
LIVE_ITEMS: Final = 200_000
#: Computing takes at most one part in so many of the time, however quickly verdicts come.
REST: Final = 10.0

_lock = threading.Lock()
#: The last status, by run, event and number of draws.
_latest: dict[tuple[str, int, int], ReviewStatus] = {}


def run_key(ws: Workspace) -> str:
    """Names an open run: another start or another store is another one."""
    return f"{ws.run.path}:{ws.run.manifest['started']}:{id(ws.store)}"


def status_of(ws: Workspace) -> ReviewStatus:
    """The status as of the last event; computed once per event for all visitors. Errors as `read_state`."""
    key = run_key(ws), ws.store.reordering()[1], len(ws.store.audit_stream().item_ids)
    with _lock:
        if key not in _latest:
            status = review_status(read_state(ws.run, ws.store))
            _latest.clear()
            _latest[key] = status
        return _latest[key]


@dataclass(frozen=True)
class Standing:
    """What the header tells. `status` is None before it is computed, and where the run is too `large` for that."""

    progress: ReviewCounts
    status: ReviewStatus | None
    large: bool = False


@dataclass(frozen=True)
class HeaderWords:
    """The header in words.

    Attributes
    ----------
    progress : str
        How many are judged, how many count, how many more are wanted.
    share : float
        Of the bar, 0 to 1: verdicts that count, of these and those still wanted.
    light : str
        ``"go"``, ``"wait"`` or ``"off"``.
    stop : str
        What the light means.
    """

    progress: str
    share: float
    light: str
    stop: str


def header_words(standing: Standing, tolerated: int | None) -> HeaderWords:
    """The header of a review in which `tolerated` wrong labels may remain outside the flagged list.

    The same number says how wide the interval of the total may be.
    """
    progress, status = standing.progress, standing.status
    counted, audit = progress.audit_counted, progress.audit_total
    words = f"{progress.judged:,} judged, {counted:,} count towards the estimate"
    wanted, purpose = audit - counted, ""
    if status is not None and (status.estimate.strict is None or not status.estimate.strict.total.says_a_number):
        wanted, purpose = verdicts_for(status, 0), " for a first number"
    elif status is not None and tolerated is not None:
        wanted, purpose = verdicts_for(status, tolerated), f" for ±{tolerated:,}"
    if purpose:
        words += f", about {wanted:,} more{purpose}" if wanted else f", enough{purpose}"
    share = counted / (counted + wanted) if counted + wanted else 0.0
    if status is None:
        return HeaderWords(words, share, "off", "The Overview computes whether you may stop" if standing.large else "")
    if tolerated is None:
        return HeaderWords(words, share, "off", "No stop tolerance set (Overview)")
    if status.remaining.high <= tolerated:
        return HeaderWords(words, share, "go", "You may stop")
    return HeaderWords(words, share, "wait", f"Go on: up to {status.remaining.high:,} wrong may remain off the list")


class Watcher:
    """Knows where one workspace stands; looks in the background, so that no page waits for a computation."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.latest: Standing | None = None
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def look(self, patience: float = 0.0) -> Standing | None:
        """What is known, after at most `patience` seconds; None before the first look is done."""
        with self._lock:
            if (self._thread is None or not self._thread.is_alive()) and time.monotonic() >= self._not_before:
                self._thread = threading.Thread(target=self._work, name="auditor-standing", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(patience)
        return self.latest

    def _work(self) -> None:
        begin = time.monotonic()
        try:
            large = self.ws.run.counts["n_items"] > LIVE_ITEMS
            if large or self.latest is None:  # counts are there at once, numbers a little later
                self.latest = Standing(self.ws.store.progress(), None, large)
            if not large:
                status = status_of(self.ws)
                self.latest = Standing(status.progress, status)
        except AuditorError as error:
            # The pages say so themselves where they need the store; the next look tries again.
            sys.stderr.write(printable_lines(f"Warning: the state of the review is not known: {error.what}") + "\n")
        now = time.monotonic()
        self._not_before = now + (REST - 1) * (now - begin)


_watcher: Watcher | None = None


def watcher_of(ws: Workspace) -> Watcher:
    """The workspace's watcher; one workspace is open at a time."""
    global _watcher
    if _watcher is None or _watcher.ws is not ws:
        _watcher = Watcher(ws)
    return _watcher
