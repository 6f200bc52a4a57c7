"""What the review shows so far, on the Overview page: total, errors that remain, whether one may stop."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

import streamlit as st

from auditor.core.escaping import markdown_text, quoted
from auditor.estimation.reliability_plot import reliability_svg
from auditor.estimation.sentences import estimate_lines, status_lines
from auditor.estimation.state import read_state
from auditor.estimation.status import ReviewStatus, review_status
from auditor.stats.totals import interval_words, number_words
from auditor.ui.components import table
from auditor.ui.people import set_kept
from auditor.ui.workspace import Workspace

#: Items up to which the numbers follow the verdicts by themselves; above, one asks for them: they read whole tables.
LIVE_ITEMS: Final = 200_000
#: Seconds between looks at the store while the page is open.
EVERY: Final = 10.0


_lock = threading.Lock()
#: The last status, by run, event and number of draws.
_latest: dict[tuple[str, int, int], ReviewStatus] = {}


def status_of(ws: Workspace) -> ReviewStatus:
    """The status as of the last event; computed once per event for all visitors. Errors as `read_state`."""
    run = f"{ws.run.path}:{ws.run.manifest['started']}:{id(ws.store)}"
    key = run, ws.store.reordering()[1], len(ws.store.audit_stream().item_ids)
    with _lock:
        if key not in _latest:
            status = review_status(read_state(ws.run, ws.store))
            _latest.clear()
            _latest[key] = status
        return _latest[key]


def numbers_section(ws: Workspace) -> None:
    """Draw the section; it follows the verdicts while the page is open."""
    st.header("What the review shows")
    if ws.run.counts["n_items"] > LIVE_ITEMS and not st.toggle("Compute (reads the whole run)", key="numbers-on"):
        return
    kept = str(st.session_state.get("kept-tolerated", ""))
    tolerated = st.number_input(
        "Wrong labels tolerated outside the flagged list",
        min_value=0,
        value=int(kept) if kept.isascii() and kept.isdigit() and len(kept) < 10 else None,
        step=1,
        key="numbers-tolerated",
        on_change=_keep_tolerated,
        help="Says whether you may stop. Look as often as you like: the bound holds at every look.",
    )
    _live(ws, tolerated)


def _keep_tolerated() -> None:
    """Into the address: it holds over a reload and on every page, and can be sent to others."""
    chosen = st.session_state["numbers-tolerated"]
    set_kept("tolerated", None if chosen is None else str(chosen))


@st.fragment(run_every=EVERY)
def _live(ws: Workspace, tolerated: int | None) -> None:
    status = status_of(ws)
    if tolerated is not None:
        status = replace(status, may_stop=status.remaining.high <= tolerated)
    estimate, remaining = status.estimate, status.remaining
    columns = st.columns(3)
    total = None if estimate.strict is None else estimate.strict.total
    columns[0].metric("Wrong labels in all", "unknown" if total is None else number_words(total), border=True)
    columns[1].metric("Remaining outside the list", remaining.words().removeprefix("expected remaining "), border=True)
    expected = "unknown" if status.next_expected is None else f"about {status.next_expected:,.0f}"
    columns[2].metric(f"Wrong among the next {status.next_items:,}", expected, border=True)
    if status.may_stop is not None:
        held = "with 95 % confidence no more than tolerated remain outside the list, however often you look"
        if status.may_stop:
            st.success(f"You may stop: {held}.")
        else:
            st.warning(f"Not yet: up to {remaining.high:,} may remain outside the list.")
    last = ws.store.reordering()[0]
    # As text: names in the data must not be read as Markdown.
    st.code("\n".join(status_lines(status)), language=None, wrap_lines=True)
    if last is not None:
        st.caption(f"Order of the list: {markdown_text(last.reason)}")
    with st.expander("Estimate in full"):
        st.code("\n".join(estimate_lines(estimate)), language=None, wrap_lines=True)
        rows = [
            {
                "given": p.given,
                "suggested": p.suggested or "",
                "wrong": interval_words(p.estimate),
                "items": p.items,
                "draws": p.draws,
            }
            for p in (*estimate.classes, *estimate.pairs)
            if p.estimate is not None
        ]
        if rows:
            table(rows)
        if estimate.calibration is not None and estimate.calibration.bins:
            st.image(reliability_svg(estimate.calibration.bins))
    if estimate.state.design != "importance":
        command = f"auditor sample {quoted(ws.run.path)} --budget 300"
        st.caption(f"For lists with a guarantee, draw a sample: {markdown_text(command)}")
