"""The outbox protocol between the review card and the store.

The card keeps every verdict it has not seen acknowledged and sends all of them with each change; the server stores
each once (`UNIQUE(event_uuid)`) and answers with the ids it is done with. A lost message, a repeated one, a dead
server or a reload therefore neither loses a verdict nor files one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.core.errors import ResourceError
from auditor.review.readout import ReviewItem
from auditor.review.store import VerdictStore

#: Items in a card's hand, and when it is filled up again.
BATCH: Final = 50
REFILL_AT: Final = 20
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
    origin : str
        ``"review"`` or ``"adjudication"``.
    supply : callable
        Gives the items to have in hand.
    after : callable, optional
        Called when new verdicts are stored; must return at once.
    """

    store: VerdictStore
    reviewer: str
    supply: Callable[[], Sequence[ReviewItem]]
    origin: str = "review"
    after: Callable[[], None] | None = None
    batch: list[ReviewItem] = field(default_factory=list)
    saved: int = 0
    acked: list[str] = field(default_factory=list)
    refused: list[list[str]] = field(default_factory=list)
    problem: str | None = None
    _done: dict[str, None] = field(default_factory=dict)
    _sent: int = -1

    @classmethod
    def for_review(cls, store: VerdictStore, reviewer: str, after: Callable[[], None] | None = None) -> Exchange:
        """Items come from the reviewer's queue."""
        exchange = cls(store, reviewer, lambda: store.next_batch(reviewer, BATCH), after=after)
        exchange.saved = store.progress().by_reviewer.get(reviewer, 0)
        return exchange

    def fill(self) -> None:
        """Fetch the hand anew."""
        try:
            self.batch = list(self.supply())
            self.problem = None
        except ResourceError as error:
            self.problem = error.what

    def receive(self, message: object) -> None:
        """Take in what the card sent: ``{"n": .., "left": .., "events": [..]}``; refill its hand when it runs low."""
        if not isinstance(message, Mapping):
            return
        events = message.get("events")
        events = [e for e in events if isinstance(e, Mapping)][:MOST] if isinstance(events, list) else []
        new = [e for e in events if not self._is_done(e)]
        if new and not self._store(new):
            return
        self.acked = [e["uuid"] for e in events if self._is_done(e)]
        number, left = message.get("n"), message.get("left")
        # The same message comes again with every rerun; only a new one asks for items.
        if isinstance(number, int) and number != self._sent:
            self._sent = number
            if isinstance(left, int) and left <= REFILL_AT:
                self.fill()

    def status(self) -> dict[str, Any]:
        """What the card is told about its messages."""
        return {"acked": self.acked, "refused": self.refused, "saved": self.saved, "problem": self.problem}

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
        kinds = {e["uuid"]: e.get("kind", "verdict") for e in events if isinstance(e.get("uuid"), str)}
        self.saved += sum(1 if kinds[uuid] == "verdict" else -1 for uuid in result.accepted)
        self.refused = [[uuid, reason] for uuid, reason in result.refused][-5:] or self.refused
        self._done.update(dict.fromkeys(result.acknowledged))
        while len(self._done) > 20 * MOST:
            del self._done[next(iter(self._done))]
        if result.accepted and self.after is not None:
            self.after()
        return True
