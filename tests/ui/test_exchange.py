"""The outbox protocol without a browser: every message may come late, twice or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from auditor.core.errors import ResourceError
from auditor.review.readout import ReviewItem
from auditor.ui import exchange as exchanges
from auditor.ui.exchange import LEASE, LEAST_HAND, MOST_HAND, Exchange, leave_page
from auditor.ui.workspace import Workspace


def _event(item: ReviewItem, verdict: str = "given") -> dict[str, Any]:
    return {
        "uuid": str(uuid4()),
        "kind": "verdict",
        "item_id": item.item_id,
        "verdict": verdict,
        "shown_label": item.given,
        "shown_suggested": item.suggested,
        "ms": 400,
    }


@pytest.fixture
def exchange(ws: Workspace) -> Exchange:
    made = Exchange.for_review(ws.store, "ann")
    made.fill()
    return made


def test_a_message_is_stored_once_however_often_it_comes(ws: Workspace, exchange: Exchange) -> None:
    events = [_event(item) for item in exchange.batch[:3]]
    for n in (1, 1, 2):
        exchange.receive({"n": n, "left": 47, "events": events})
        assert exchange.acked == [e["uuid"] for e in events]
    again = Exchange.for_review(ws.store, "ann")  # a new session, as after a restart
    again.receive({"n": 3, "left": 47, "events": events})
    assert again.acked == [e["uuid"] for e in events]
    assert (exchange.saved, again.saved, ws.store.progress().verdicts) == (3, 3, 3)


def test_the_hand_is_refilled_once_when_it_runs_low(exchange: Exchange) -> None:
    assert len(exchange.batch) == LEAST_HAND
    first = exchange.batch
    events = [_event(item) | {"ms": 60_000} for item in first[:5]]
    exchange.receive({"n": 1, "left": 6, "events": events[:4]})
    assert exchange.batch is first
    exchange.receive({"n": 2, "left": 5, "events": events[4:]})
    second = exchange.batch
    assert [i.item_id for i in second[:5]] == [i.item_id for i in first[5:]]
    assert len(second) == LEAST_HAND
    exchange.receive({"n": 2, "left": 5, "events": events[4:]})  # the same message again
    assert exchange.batch is second


@pytest.mark.parametrize(("ms", "size"), [(80, MOST_HAND), (1000, 30), (30_000, LEAST_HAND), ("forged", LEAST_HAND)])
def test_a_quick_reviewer_has_more_in_hand(exchange: Exchange, ms: object, size: int) -> None:
    events = [_event(item) | {"ms": ms} for item in exchange.batch[:4]]
    exchange.receive({"n": 1, "left": 0, "events": events})
    assert len(exchange.batch) == size


def _holders(ws: Workspace) -> dict[str, int]:
    return {hand.reviewer: hand.items for hand in ws.store.hands()}


def test_a_hand_goes_back_when_the_last_page_of_a_reviewer_is_left(ws: Workspace, exchange: Exchange) -> None:
    other = Exchange.for_review(ws.store, "ANN")  # a second tab
    other.fill()
    assert _holders(ws) == {"ann": LEAST_HAND}
    assert leave_page(exchange.page)
    assert _holders(ws) == {"ann": LEAST_HAND}
    other.leave()
    assert _holders(ws) == {}
    assert not leave_page(exchange.page)
    assert not leave_page("guessed")
    exchange.fill()  # the page is entered again
    assert _holders(ws) == {"ann": LEAST_HAND}


def test_a_silent_page_keeps_nothing_and_a_sign_of_life_keeps_the_hand(
    ws: Workspace, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = ws.store.clock()
    monkeypatch.setattr(ws.store, "clock", lambda: now)
    exchange.fill()
    now += LEASE - 1
    exchange.receive({"n": 1, "left": 10, "events": []})
    now += LEASE - 1
    assert _holders(ws) == {"ann": LEAST_HAND}
    now += 2
    assert _holders(ws) == {}
    event = _event(exchange.batch[0])
    exchange.receive({"n": 2, "left": 9, "events": [event]})  # late, and not lost
    assert exchange.acked == [event["uuid"]]
    monkeypatch.setattr(exchanges.time, "monotonic", lambda: 1e9)
    visitor = Exchange.for_review(ws.store, "visitor")
    visitor.fill()
    assert not leave_page(exchange.page)  # nobody heard of it for long


def test_a_verdict_from_another_tab_is_asked_for(ws: Workspace, exchange: Exchange) -> None:
    item = exchange.batch[0]
    here, there = _event(item) | {"replaces": None}, _event(item, "neither") | {"replaces": None}
    exchange.receive({"n": 1, "left": 9, "events": [here]})
    tab = Exchange.for_review(ws.store, "ann")
    for n in (1, 2):  # until it is answered
        tab.receive({"n": n, "left": 9, "events": [there]})
        assert (tab.acked, tab.conflicts) == ([], [[there["uuid"], here["uuid"], "given"]])
    tab.receive({"n": 3, "left": 9, "events": [there | {"replaces": here["uuid"]}]})
    assert (tab.acked, tab.conflicts, tab.saved) == ([there["uuid"]], [], 1)
    assert ws.store.progress().by_verdict == {"neither": 1}


def test_forged_events_are_refused_and_told(ws: Workspace, exchange: Exchange) -> None:
    item = exchange.batch[0]
    stale = _event(item) | {"shown_label": "another"}
    foreign = _event(item) | {"item_id": "item/of/another/run"}
    other = _event(item) | {"reviewer": "ben", "stream": "audit"}
    exchange.receive({"n": 1, "left": 50, "events": [stale, foreign, other, {"uuid": ["x"]}, {"uuid": None}, 7, None]})
    assert ws.store.progress().by_reviewer == {"ann": 1}  # the session's name, whatever the event says
    assert {e["uuid"] for e in (stale, foreign, other)} == set(exchange.acked)
    assert any("stale or forged" in reason for _, reason in exchange.refused)
    exchange.receive("no message")
    exchange.receive({"n": "x", "left": None, "events": {"a": 1}})
    assert ws.store.progress().verdicts == 1


def test_nothing_is_acknowledged_while_the_store_is_away(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    event = _event(exchange.batch[0])

    def away(*_: object) -> None:
        raise ResourceError("the verdict store cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(exchange.store, "submit", away)
        exchange.receive({"n": 1, "left": 49, "events": [event]})
    assert exchange.acked == []
    assert exchange.problem == "the verdict store cannot be reached"
    exchange.receive({"n": 2, "left": 49, "events": [event]})
    assert (exchange.acked, exchange.problem) == ([event["uuid"]], None)


def test_undo_brings_the_item_back(ws: Workspace, exchange: Exchange) -> None:
    item = exchange.batch[0]
    event = _event(item)
    undo: Mapping[str, Any] = {"uuid": str(uuid4()), "kind": "retract", "target": event["uuid"]}
    exchange.receive({"n": 1, "left": 50, "events": [event, undo]})
    assert exchange.saved == 0
    exchange.fill()
    assert item.item_id in {i.item_id for i in exchange.batch}
    state = ws.store.state(item.item_id)
    assert state is not None
    assert [e["kind"] for e in state.events] == ["verdict", "retract"]


def test_what_is_saved_is_counted_by_items(ws: Workspace, exchange: Exchange) -> None:
    """Undoing a correction brings the earlier verdict back: as many items are judged as before."""
    item = exchange.batch[0]
    first, corrected = _event(item), _event(item, "neither")
    undo = [{"uuid": str(uuid4()), "kind": "retract", "target": event["uuid"]} for event in (corrected, first)]
    steps = [(first, 1), (corrected | {"replaces": first["uuid"]}, 1), (undo[0], 1), (undo[1], 0), (_event(item), 1)]
    for n, (event, saved) in enumerate(steps):
        exchange.receive({"n": n, "left": 9, "events": [event]})
        assert (exchange.saved, ws.store.progress().by_reviewer.get("ann", 0)) == (saved, saved), n
    assert ws.store.progress().by_verdict == {"given": 1}
