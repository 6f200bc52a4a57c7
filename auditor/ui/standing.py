"""Where a review stands, for the header of every page and the Overview: computed once per change of the verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from auditor.core.errors import AuditorError, ResourceError
from auditor.core.escaping import printable_lines
from auditor.estimation.state import read_state
from auditor.estimation.status import Outlook, ReviewStatus, review_status
from auditor.review.readout import ReviewCounts
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from auditor.ui.workspace import Workspace

#: Items up to which the numbers are computed by the server itself; above, the header has them from a process of its
#: own, and the Overview when they are asked for: they read whole tables.
LIVE_ITEMS: Final = 200_000
#: What that process runs; it reads the run and the store's address, which may hold a password, from its input.
_TELL: Final = (
    "import json, os, sys; getattr(os, 'nice', lambda n: n)(10); from auditor.ui.standing import read_outlook; "
    "print(json.dumps(read_outlook(*json.load(sys.stdin))))"
)
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


def read_outlook(run: str, store: str) -> dict[str, Any]:
    """The fields of the outlook of a review; see `_TELL`."""
    with VerdictStore.open(store, make=False) as opened:
        return asdict(review_status(read_state(open_run(run), opened)).outlook)


def _outlook_apart(ws: Workspace) -> Outlook:
    """The outlook of a large run, whose tables would stay in the memory of the server.

    Raises
    ------
    ResourceError
        If it cannot be computed.
    """
    address = ws.store.database.url.render_as_string(hide_password=False)
    asked = json.dumps([str(ws.run.path.resolve()), address])
    done = subprocess.run([sys.executable, "-c", _TELL], input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ResourceError((done.stderr.strip().splitlines() or ["the process was ended"])[-1])
    return Outlook(**json.loads(done.stdout))


@dataclass(frozen=True)
class Standing:
    """What the header tells; `outlook` is None before it is computed."""

    progress: ReviewCounts
    outlook: Outlook | None


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
    progress, outlook = standing.progress, standing.outlook
    counted, audit = progress.audit_counted, progress.audit_total
    words = f"{progress.judged:,} judged, {counted:,} count towards the estimate"
    wanted, purpose = audit - counted, ""
    if outlook is not None and not outlook.says_a_number:
        wanted, purpose = outlook.verdicts_for(0), " for a first number"
    elif outlook is not None and tolerated is not None:
        wanted, purpose = outlook.verdicts_for(tolerated), f" for ±{tolerated:,}"
    if purpose:
        words += f", about {wanted:,} more{purpose}" if wanted else f", enough{purpose}"
    share = counted / (counted + wanted) if counted + wanted else 0.0
    if outlook is None:
        return HeaderWords(words, share, "off", "")
    if tolerated is None:
        return HeaderWords(words, share, "off", "No stop tolerance set (Overview)")
    if outlook.remaining <= tolerated:
        return HeaderWords(words, share, "go", "You may stop")
    return HeaderWords(words, share, "wait", f"Go on: up to {outlook.remaining:,} wrong may remain off the list")


class Watcher:
    """Knows where one workspace stands; looks in the background, so that no page waits for a computation."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.latest: Standing | None = None
        self._not_before = 0.0
        #: Event and draws that the outlook of a large run was computed at.
        self._known_at: tuple[int, int] | None = None
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
            known = None if self.latest is None else self.latest.outlook
            if large or self.latest is None:  # counts are there at once, numbers a little later
                self.latest = Standing(self.ws.store.progress(), known)
            if not large:
                status = status_of(self.ws)
                self.latest = Standing(status.progress, status.outlook)
            elif self._known_at != (moment := (self.ws.store.reordering()[1], self.latest.progress.audit_total)):
                outlook = _outlook_apart(self.ws)
                self.latest, self._known_at = Standing(self.ws.store.progress(), outlook), moment
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
