"""The order of the ranked stream follows the verdicts, in the background: nobody waits for it."""

from __future__ import annotations

import sys
import threading

from auditor.audit.evidence import run_evidence
from auditor.core.errors import AuditorError
from auditor.core.escaping import printable_lines
from auditor.detect.base import Evidence
from auditor.estimation.adaptive import EVERY, is_due, too_large, update_order
from auditor.ui.workspace import Workspace


class Follower:
    """Learns the order of one workspace, one run of it at a time."""

    def __init__(self, ws: Workspace, every: int = EVERY) -> None:
        self.ws = ws
        self.every = every
        self._evidence: Evidence | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def nudge(self) -> None:
        """Start learning when enough verdicts have come and nobody is at it; returns at once."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._work, name="auditor-order", daemon=True)
            self._thread.start()

    def wait(self, seconds: float = 60.0) -> None:
        """Until what was started is done."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _work(self) -> None:
        try:
            if not too_large(self.ws.run) and is_due(self.ws.store, self.every):
                if self._evidence is None:
                    self._evidence = run_evidence(self.ws.run)
                update_order(self.ws.run, self.ws.store, self._evidence)
        except AuditorError as error:
            # The review goes on in the order there is; the next verdicts try again.
            sys.stderr.write(printable_lines(f"Warning: the order was not learned: {error.what}") + "\n")


_follower: Follower | None = None


def nudge(ws: Workspace) -> None:
    """Tell the workspace's follower that verdicts have come; one workspace is open at a time."""
    global _follower
    if _follower is None or _follower.ws is not ws:
        _follower = Follower(ws)
    _follower.nudge()
