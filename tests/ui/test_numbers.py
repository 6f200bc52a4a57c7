"""The Overview page tells what the commands tell, and the queue's order follows the verdicts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from auditor.estimation.sentences import status_lines
from auditor.estimation.state import draw_stream, read_state
from auditor.estimation.status import review_status
from auditor.review.readout import ReviewItem
from auditor.stats.intervals import Interval
from auditor.ui.config import config_from_environ
from auditor.ui.exchange import Exchange
from auditor.ui.following import Follower
from auditor.ui.standing import status_of
from auditor.ui.views.numbers import interval_bar, narrowing, total_sentence
from auditor.ui.workspace import Workspace


def _event(item: Any, verdict: str) -> dict[str, Any]:
    return {
        "uuid": str(uuid4()),
        "item_id": item.item_id,
        "verdict": verdict,
        "shown_label": item.given,
        "shown_suggested": item.suggested,
    }


def _review(ws: Workspace, most: int) -> None:
    """Flagged items are wrong, the others right."""
    done = 0
    while done < most and (batch := ws.store.next_batch("ann", 50)):
        events = [_event(i, "neither" if i.flagged else "given") for i in batch]
        assert not ws.store.submit("ann", events).refused
        done += len(batch)


def _overview() -> AppTest:
    def run() -> None:
        from auditor.ui import workspace as workspaces
        from auditor.ui.views.overview import overview_page

        opened = workspaces.workspace()
        assert opened is not None
        overview_page(opened)

    return AppTest.from_function(run, default_timeout=60)


@pytest.fixture
def sampled(ws: Workspace) -> Workspace:
    draw_stream(ws.run, ws.store, 300, 0, anew=False)
    _review(ws, 2000)
    return ws


def test_the_overview_says_what_the_status_command_says(sampled: Workspace) -> None:
    app = _overview().run()
    assert not app.exception
    shown = "\n".join(str(code.value) for code in app.code)
    for line in status_lines(review_status(read_state(sampled.run, sampled.store))):
        assert line in shown
    total = status_of(sampled).estimate.strict
    assert total is not None
    e = total.total.estimate
    assert app.header[0].value == f"About {e.value:,.0f} labels are wrong, {e.low:,.0f} to {e.high:,.0f}"
    assert f"interval {e.low:,.0f} to {e.high:,.0f}" in app.get("html")[0].proto.body
    assert "[" in {m.label: m.value for m in app.metric}["Remaining outside the list"]
    assert "draws" in shown


def test_it_says_whether_one_may_stop(sampled: Workspace) -> None:
    app = _overview().run()
    high = status_of(sampled).remaining.high
    assert high > 0
    for tolerated, kind in ((high, "success"), (high - 1, "warning")):
        app.number_input[0].set_value(tolerated)
        app.run()
        told = app.get(kind)
        assert len(told) == 1, (kind, tolerated)
        assert ("You may stop" if kind == "success" else f"up to {high:,} may remain") in told[0].value


def test_few_verdicts_are_called_so(ws: Workspace) -> None:
    draw_stream(ws.run, ws.store, 100, 0, anew=False)
    _review(ws, 5)
    app = _overview().run()
    assert not app.exception
    assert "nan" not in "\n".join(str(m.value) for m in (*app.metric, *app.header)).lower()


def test_it_is_said_what_would_narrow_the_interval(ws: Workspace) -> None:
    draw_stream(ws.run, ws.store, 120, 0, anew=False)
    drawn = list(dict.fromkeys(ws.store.audit_stream().item_ids.tolist()))
    states = [ws.store.state(item) for item in drawn]
    items = [state.item for state in states if state is not None]

    def judge(part: list[ReviewItem]) -> str:
        ws.store.submit("ann", [_event(i, "neither" if i.flagged else "given") for i in part])
        return "; ".join(narrowing(status_of(ws), ws.run))

    few = judge(items[:10])
    assert total_sentence(status_of(ws).estimate).startswith("Between ")
    assert few == "20 more verdicts on the random sample give a number"
    half = judge([*items[10:50], *items[51:60]])
    assert "9 more of the random sample are judged and count as soon as those drawn before them are" in half
    assert f"about {len(items) - 50} more verdicts on the random sample bring ±" in half
    assert "auditor sample" in judge(items)


def test_the_bar_is_in_proportion() -> None:
    bar = interval_bar(Interval(50.0, 25.0, 100.0, 0.95), 100)
    assert "left:25.0%;width:calc(max(100.0% - 25.0%, 4px))" in bar
    assert 'left:50.0%"' in bar
    assert "(all)" in bar
    assert interval_bar(Interval(0.0, 0.0, 0.0, 0.95), 0).count("0.0%") == 4


def test_the_status_is_computed_once_per_event(sampled: Workspace) -> None:
    first = status_of(sampled)
    assert status_of(sampled) is first
    item = sampled.store.page(limit=1).items[0]
    sampled.store.submit("bob", [_event(item, "given")])
    second = status_of(sampled)
    assert second is not first
    assert second.progress.verdicts == first.progress.verdicts + 1


def test_verdicts_from_the_card_make_the_order_learn(ws: Workspace) -> None:
    follower = Follower(ws, every=10)
    exchange = Exchange.for_review(ws.store, "ann", follower.nudge)
    rng = np.random.default_rng(0)
    for n in range(4):
        exchange.fill()
        events = [_event(i, "neither" if rng.random() < 0.3 else "given") for i in exchange.batch]
        exchange.receive({"n": n, "left": 0, "events": events})
        follower.wait()
    last, events_there = ws.store.reordering()
    assert last is not None
    assert 0 < last.events <= events_there
    assert last.reason
    assert exchange.problem is None


def test_a_fixed_order_can_be_asked_for() -> None:
    assert config_from_environ({}).adaptive
    assert not config_from_environ({"AUDITOR_FIXED_ORDER": "1"}).adaptive
