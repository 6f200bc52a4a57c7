"""The outbox protocol without a browser: every message may come late, twice or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from auditor.core.errors import ResourceError
from auditor.review.readout import ReviewItem
from auditor.ui.exchange import BATCH, Exchange
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
    assert len(exchange.batch) == BATCH
    first = exchange.batch
    events = [_event(item) for item in first[:30]]
    exchange.receive({"n": 1, "left": 21, "events": events[:29]})
    assert exchange.batch is first
    exchange.receive({"n": 2, "left": 20, "events": events[29:]})
    second = exchange.batch
    assert [i.item_id for i in second[:20]] == [i.item_id for i in first[30:]]
    assert len(second) == BATCH
    exchange.receive({"n": 2, "left": 20, "events": events[29:]})  # the same message again
    assert exchange.batch is second


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
