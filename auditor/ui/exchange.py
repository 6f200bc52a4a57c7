"""The outbox protocol between the browser and the store, and what a reviewer has in hand meanwhile.

The browser keeps every verdict it has not seen acknowledged and sends all of them with each change; the server stores
each once (`UNIQUE(event_uuid)`) and answers with the ids it is done with. A lost message, a repeated one, a dead
server or a reload therefore neither loses a verdict nor files one twice.

A hand is small and goes back to the queue when its page is left or closed, and after a short silence: who only looks
in keeps nothing from the others. A quick reviewer gets a larger one, so that no key waits for the server.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from auditor.core.errors import ResourceError
from auditor.review.parts import Pair
from auditor.review.people import person_key
from auditor.review.readout import ReviewItem
from auditor.review.store import VerdictStore

#: Items in a hand: at first, and at most. Between them it lasts `AHEAD` seconds at the reviewer's pace.
LEAST_HAND: Final = 10
MOST_HAND: Final = 50
AHEAD: Final = 30.0
#: Verdicts that a pace is read from: the last ones, once there are a few.
PACE_OF: Final = 10
PACE_FROM: Final = 3
#: Seconds without a sign of the reviewer after which the hand goes to others. The card gives one every 45 seconds.
LEASE: Final = 180.0
#: Longest outbox taken in at once; a card offline for hours sends the rest afterwards.
MOST: Final = 500


@dataclass
class Exchange:
    """One visitor's side of the protocol; lives in the session.

    Attributes
    ----------
    store : VerdictStore
    reviewer : str
        Who the session says it is; nothing in an event can change that.
    supply : callable
        Gives the items to have in hand, of a number that is asked for.
    origin : str
        ``"review"`` or ``"adjudication"``.
    after : callable, optional
        Called when new verdicts are stored; must return at once.
    holds : bool
        Whether the hand is the reviewer's alone, and so to be given back.
    page : str
        Names this page to the server; nobody else knows it.
    """

    store: VerdictStore
    reviewer: str
    supply: Callable[[int], Sequence[ReviewItem]]
    origin: str = "review"
    after: Callable[[], None] | None = None
    holds: bool = False
    page: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    batch: list[ReviewItem] = field(default_factory=list)
    round: int = 0
    saved: int = 0
    acked: list[str] = field(default_factory=list)
    refused: list[list[str]] = field(default_factory=list)
    conflicts: list[list[str]] = field(default_factory=list)
    problem: str | None = None
    _done: dict[str, None] = field(default_factory=dict)
    _sent: int = -1
    _pace: deque[float] = field(default_factory=lambda: deque(maxlen=PACE_OF))

    @classmethod
    def for_review(
        cls,
        store: VerdictStore,
        reviewer: str,
        after: Callable[[], None] | None = None,
        first: str | None = None,
        part: Sequence[Pair] | None = None,
    ) -> Exchange:
        """Items come from the reviewer's queue, or from a part of it, after the item `first` where one is named."""

        def supply(n: int) -> Sequence[ReviewItem]:
            state = None if first is None or exchange.round else store.state(first)
            hand = store.next_batch(reviewer, n, LEASE, part)
            return hand if state is None else [state.item, *(item for item in hand if item.item_id != first)]

        exchange = cls(store, reviewer, supply, after=after, holds=True)
        return exchange.counted()

    def counted(self) -> Exchange:
        """The same, knowing how many verdicts of the reviewer there are."""
        self.saved = self.store.progress().by_reviewer.get(self.reviewer, 0)
        return self

    @property
    def size(self) -> int:
        """Items the hand should hold."""
        if len(self._pace) < PACE_FROM:
            return LEAST_HAND
        return int(min(MOST_HAND, max(LEAST_HAND, AHEAD / max(median(self._pace), 0.01))))

    def fill(self) -> None:
        """Fetch the hand anew."""
        _seen(self)
        try:
            self.batch = list(self.supply(self.size))
            self.round += 1
            self.problem = None
        except ResourceError as error:
            self.problem = error.what

    def leave(self) -> None:
        """Give the hand back, unless the reviewer has it on another page as well."""
        if not (self.holds and _left(self)):
            return
        self.batch = []
        try:
            self.store.release(self.reviewer)
        except ResourceError as error:  # then it goes back when the lease runs out
            self.problem = error.what

    def receive(self, message: object) -> None:
        """Take in what the browser sent: ``{"n": .., "left": .., "events": [..]}``; refill a hand that runs low."""
        if not isinstance(message, Mapping):
            return
        events = message.get("events")
        events = [e for e in events if isinstance(e, Mapping)][:MOST] if isinstance(events, list) else []
        new = [e for e in events if not self._is_done(e)]
        self.conflicts = []
        if new and not self._store(new):
            return
        self.acked = [e["uuid"] for e in events if self._is_done(e)]
        number, left = message.get("n"), message.get("left")
        # The same message comes again with every rerun; only a new one asks for items.
        if isinstance(number, int) and number != self._sent:
            self._sent = number
            if isinstance(left, int) and left <= self.size // 2:
                self.fill()
            elif self.holds:
                self._stay()

    def status(self) -> dict[str, Any]:
        """What the browser is told about its messages."""
        told = {name: getattr(self, name) for name in ("acked", "refused", "conflicts", "saved", "problem")}
        return told | {"page": self.page if self.holds else None, "round": f"{self.page}:{self.round}"}

    def _stay(self) -> None:
        _seen(self)
        try:
            self.store.renew(self.reviewer, LEASE)
        except ResourceError as error:
            self.problem = error.what

    def _is_done(self, event: Mapping[str, Any]) -> bool:
        uuid = event.get("uuid")
        return isinstance(uuid, str) and uuid in self._done

    def _store(self, events: list[Mapping[str, Any]]) -> bool:
        try:
            result = self.store.submit(self.reviewer, events, self.origin)
            self.problem = None
        except ResourceError as error:
            self.problem = error.what
            return False
        sent = {e["uuid"]: e for e in events if isinstance(e.get("uuid"), str)}
        verdicts = [uuid for uuid in result.accepted if sent[uuid].get("kind", "verdict") == "verdict"]
        self.saved += result.judged
        self._pace.extend(sent[uuid]["ms"] / 1000 for uuid in verdicts if isinstance(sent[uuid].get("ms"), int | float))
        self.refused = [[uuid, reason] for uuid, reason in result.refused][-5:] or self.refused
        self.conflicts = [list(conflict) for conflict in result.conflicts]
        self._done.update(dict.fromkeys(result.acknowledged))
        while len(self._done) > 20 * MOST:
            del self._done[next(iter(self._done))]
        if result.accepted and self.after is not None:
            self.after()
        return True


_lock: Final = threading.Lock()
#: Pages with a hand that were heard of within a lease: by name, with when that was.
_open: Final[dict[str, tuple[Exchange, float]]] = {}


def _seen(exchange: Exchange) -> None:
    """Remember that a page is there, and forget those that have been silent."""
    now = time.monotonic()
    with _lock:
        for page in [page for page, (_, seen) in _open.items() if now - seen > LEASE]:
            del _open[page]
        if exchange.holds:
            _open[exchange.page] = exchange, now


def _left(exchange: Exchange) -> bool:
    """Forget a page; whether it was there and is the reviewer's last one."""
    with _lock:
        if _open.pop(exchange.page, None) is None:
            return False
        mine = exchange.store, person_key(exchange.reviewer)
        return all((other.store, person_key(other.reviewer)) != mine for other, _ in _open.values())


def leave_page(page: str) -> bool:
    """Give back the hand of a page that was closed; False where no such page is known."""
    with _lock:
        exchange = _open.get(page, (None, 0.0))[0]
    if exchange is not None:
        exchange.leave()
    return exchange is not None
