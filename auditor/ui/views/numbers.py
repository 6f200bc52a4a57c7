"""What the review shows so far, on the Overview page: total, errors that remain, whether one may stop."""

from __future__ import annotations

import math
from typing import Final

import streamlit as st

from auditor.core.escaping import markdown_text, quoted
from auditor.estimation.estimate import ErrorEstimate
from auditor.estimation.reliability_plot import reliability_svg
from auditor.estimation.sentences import estimate_lines, status_lines
from auditor.estimation.status import ReviewStatus
from auditor.review.preferences import EVERYBODY
from auditor.runs.run import Run
from auditor.stats.intervals import Interval
from auditor.stats.totals import interval_words
from auditor.ui.components import table
from auditor.ui.people import set_kept, tolerance
from auditor.ui.standing import LIVE_ITEMS, status_of
from auditor.ui.workspace import Workspace

#: Seconds between looks at the store while the page is open.
EVERY: Final = 10.0


def numbers_section(ws: Workspace) -> None:
    """Draw the section; it follows the verdicts while the page is open."""
    if ws.run.counts["n_items"] > LIVE_ITEMS and not st.toggle(
        "Compute what the review shows (reads the whole run)", key="numbers-on"
    ):
        return
    _live(ws)


def total_section(ws: Workspace) -> None:
    """The total alone, where the run is small enough to compute it unasked."""
    if ws.run.counts["n_items"] <= LIVE_ITEMS:
        _total(status_of(ws).estimate)


def _total(estimate: ErrorEstimate) -> None:
    st.header(total_sentence(estimate))
    if estimate.strict is not None:
        st.html(_BAR + interval_bar(estimate.strict.total.estimate, len(estimate.state)))


def total_sentence(estimate: ErrorEstimate) -> str:
    """What the verdicts say of the total, as one sentence."""
    if estimate.strict is None:
        return "How many labels are wrong is not known yet"
    total = estimate.strict.total
    low, value, high = (f"{n:,.0f}" for n in (total.estimate.low, total.estimate.value, total.estimate.high))
    if total.says_a_number:
        return f"About {value} labels are wrong, {low} to {high}"
    return f"Between {low} and {high} labels are wrong"


def interval_bar(found: Interval, n_items: int) -> str:
    """An interval of a number of items on a scale that begins at 0, as HTML, in the colour of the text around it."""
    top = min(float(n_items), 1.15 * found.high) or 1.0
    place = lambda x: f"{100 * min(x / top, 1.0):.1f}%"  # noqa: E731
    low, value, high = (place(x) for x in (found.low, found.value, found.high))
    said = f"{found.value:,.0f} of {n_items:,} labels; 95 % interval {found.low:,.0f} to {found.high:,.0f}"
    return (
        f'<div class="interval" role="img" aria-label="{said}">'
        f'<i style="left:{low};width:calc(max({high} - {low}, 4px))"></i><b style="left:{value}"></b>'
        f"<span>0</span><span>{top:,.0f}{' (all)' if top == n_items else f' of {n_items:,}'}</span></div>"
    )


_BAR: Final = (
    "<style>.interval{position:relative;height:44px;max-width:760px;border-bottom:1px solid currentColor;display:flex;"
    "justify-content:space-between;align-items:flex-end;font-size:.85rem}"
    ".interval i{position:absolute;top:6px;height:16px;border-radius:8px;"
    "background:color-mix(in srgb,currentColor 35%,transparent)}"
    ".interval b{position:absolute;top:0;height:28px;width:4px;margin-left:-2px;border-radius:2px;"
    "background:currentColor}"
    "</style>"
)


def narrowing(status: ReviewStatus, run: Run) -> list[str]:
    """What would make the interval of the total shorter, the nearest first."""
    p, estimate = status.progress, status.estimate
    steps = []
    if waiting := p.audit_done - p.audit_counted:
        steps.append(
            f"{waiting:,} more of the random sample are judged and count as soon as those drawn before them are"
        )
    left = p.audit_total - p.audit_counted
    if estimate.strict is None or not estimate.strict.total.says_a_number:
        if 0 < (needed := status.outlook.verdicts_for(0.0)) <= left:
            steps.append(f"{needed:,} more verdicts on the random sample give a number")
    else:
        total = estimate.strict.total
        width = (total.estimate.high - total.estimate.low) / 2
        if more := min(status.outlook.verdicts_for(width / 2), left):
            reached = width * math.sqrt(total.draws / (total.draws + more))
            steps.append(
                f"about {more:,} more verdicts on the random sample bring ±{width:,.0f} down to ±{reached:,.0f}"
            )
    if not left:
        budget = max(300, 2 * p.audit_total)
        steps.append(f"the random sample is judged; a larger one: auditor sample {quoted(run.path)} --budget {budget}")
    return steps


def _keep_tolerated(ws: Workspace) -> None:
    """Into the store, for the next visit of anybody, and into the address, which can be sent."""
    chosen = st.session_state["numbers-tolerated"]
    ws.store.set_preference(EVERYBODY, "tolerated", chosen)
    set_kept("tolerated", None if chosen is None else str(chosen))


@st.fragment(run_every=EVERY)
def _live(ws: Workspace) -> None:
    status = status_of(ws)
    estimate, remaining = status.estimate, status.remaining
    _total(estimate)
    if steps := narrowing(status, ws.run):
        st.markdown("**What would narrow it:** " + markdown_text("; ".join(steps)) + ".")
    st.caption(
        f"95 % interval, from the {status.progress.audit_counted:,} verdicts on the random sample that count; "
        "ambiguous labels count as wrong."
        + (" Not corrected for reviewer error." if estimate.strict is None or estimate.strict.corrected is None else "")
    )
    columns = st.columns(3)
    columns[0].metric("Remaining outside the list", remaining.words().removeprefix("expected remaining "), border=True)
    expected = "unknown" if status.next_expected is None else f"about {status.next_expected:,.0f}"
    columns[1].metric(f"Wrong among the next {status.next_items:,}", expected, border=True)
    with columns[2]:
        tolerated = _tolerated(ws)
    if tolerated is not None:
        held = "with 95 % confidence no more than tolerated remain outside the list, however often you look"
        if remaining.high <= tolerated:
            st.success(f"You may stop: {held}.")
        else:
            st.warning(f"Not yet: up to {remaining.high:,} may remain outside the list.")
    with st.expander("Estimate in full"):
        # As text: names in the data must not be read as Markdown.
        st.code("\n".join(status_lines(status)), language=None, wrap_lines=True)
        st.code("\n".join(estimate_lines(estimate)), language=None, wrap_lines=True)
        if rows := part_rows(estimate):
            table(rows)
        if estimate.calibration is not None and estimate.calibration.bins:
            st.image(reliability_svg(estimate.calibration.bins))
        if (last := ws.store.reordering()[0]) is not None:
            st.caption(f"Order of the list: {markdown_text(last.reason)}")
        if estimate.state.design != "importance":
            command = f"auditor sample {quoted(ws.run.path)} --budget 300"
            st.caption(f"For lists with a guarantee, draw a sample: {markdown_text(command)}")


def _tolerated(ws: Workspace) -> int | None:
    return st.number_input(
        "Wrong labels tolerated outside the flagged list",
        min_value=0,
        value=tolerance(),
        step=1,
        key="numbers-tolerated",
        on_change=_keep_tolerated,
        args=(ws,),
        help="Says whether you may stop. Look as often as you like: the bound holds at every look.",
    )


def part_rows(estimate: ErrorEstimate) -> list[dict[str, object]]:
    """Classes and pairs of classes that have an estimate of their own."""
    return [
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
