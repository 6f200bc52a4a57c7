"""The Gallery page: many items at once, filtered, with one verdict for all that are selected."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import streamlit as st

from auditor.core.errors import ResourceError
from auditor.review.events import SubmitResult
from auditor.review.readout import PageFilter, ReviewItem
from auditor.ui.components import gallery_grid
from auditor.ui.payload import grid_item
from auditor.ui.people import current_reviewer
from auditor.ui.workspace import Workspace, follow_detectors

PAGE_SIZE: Final = 50
_ANY: Final = "any"
_STATE: Final = {_ANY: None, "judged": True, "not judged": False}
_BULK: Final = (
    ("given is right", "given"),
    ("suggested is right", "suggested"),
    ("both", "both"),
    ("neither", "neither"),
    ("unsure", "unsure"),
    ("bad item", "bad_item"),
)


def gallery_page(ws: Workspace) -> None:
    """Filters, a grid of `PAGE_SIZE`, and the verdicts for the selection."""
    reviewer = current_reviewer()
    follow_detectors(ws.run, ws.store)
    wanted = _filters(ws)
    place = st.session_state.setdefault("gallery-place", {"filter": wanted, "stack": [None]})
    if place["filter"] != wanted:
        place.update(filter=wanted, stack=[None])
    page = ws.store.page(wanted, place["stack"][-1], PAGE_SIZE)
    if not page.items:
        st.info("No item fits these filters.")
        return
    bar = st.container(horizontal=True, vertical_alignment="center")
    number = len(place["stack"])
    # A page of its own for each selection: after a bulk verdict nothing is selected any more.
    key = f"gallery-{number}-{st.session_state.get('gallery-round', 0)}-{hash(wanted)}"
    selected = gallery_grid(ws, [grid_item(ws, item) for item in page.items], key)
    with bar:
        _pager(place, number, page.after)
        _bulk(ws, reviewer, [item for item in page.items if item.item_id in set(selected)])


def _filters(ws: Workspace) -> PageFilter:
    facts, progress = ws.store.facts, ws.store.progress()
    first, second = st.columns(4), st.columns(4)
    classes = [_ANY, *ws.run.class_names]
    given = first[0].selectbox("Given label", classes)
    suggested = first[1].selectbox("Suggested label", classes)
    shown = first[2].selectbox("Items", ["flagged", "all", "not flagged"])
    state = first[3].selectbox("State", list(_STATE))
    low = second[0].text_input("Score from", placeholder="lowest")
    high = second[1].text_input("to", placeholder="highest")
    none = "The detectors of this run have not been computed. Once: auditor show RUN --item ID"
    detector = second[2].selectbox(
        "Detector",
        [_ANY, *facts["detectors"]],
        disabled=not facts["detectors"],
        help=None if facts["detectors"] else none,
    )
    who = second[3].selectbox("Judged by", [_ANY, *progress.by_reviewer])
    return PageFilter(
        given=None if given == _ANY else given,
        suggested=None if suggested == _ANY else suggested,
        flagged={"flagged": True, "all": None, "not flagged": False}[shown],
        detector=None if detector == _ANY else detector,
        min_score=_number(low, "Score from"),
        max_score=_number(high, "to"),
        reviewer=None if who == _ANY else who,
        reviewed=_STATE[state],
    )


def _number(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        st.warning(f"{name}: not a number; it is ignored.")
        return None


def _pager(place: dict[str, Any], number: int, after: tuple[float, int] | None) -> None:
    # Callbacks run before the page is drawn: one run of the script for a turn, not two.
    stack = place["stack"]
    st.button("Previous", icon=":material/chevron_left:", disabled=number == 1, on_click=stack.pop)
    st.markdown(f"page {number}")
    st.button(
        "Next",
        icon=":material/chevron_right:",
        icon_position="right",
        disabled=after is None,
        on_click=stack.append,
        args=(after,),
    )


def _bulk(ws: Workspace, reviewer: str, chosen: list[ReviewItem]) -> None:
    st.markdown(f"**{len(chosen)} selected**")
    for label, verdict in _BULK:
        if st.button(label, disabled=not chosen, key=f"bulk-{verdict}"):
            try:
                result = ws.store.submit(reviewer, bulk_events(chosen, verdict))
            except ResourceError as error:
                st.session_state["gallery-told"] = f"Not stored: {error.what}"
            else:
                st.session_state["gallery-told"] = _told(result)
            st.session_state["gallery-round"] = st.session_state.get("gallery-round", 0) + 1
            st.rerun()
    if told := st.session_state.pop("gallery-told", None):
        st.toast(told)


def bulk_events(items: list[ReviewItem], verdict: str) -> list[dict[str, Any]]:
    """One verdict on each item, with the labels the grid showed."""
    return [
        {
            "uuid": str(uuid4()),
            "item_id": item.item_id,
            "verdict": verdict,
            "shown_label": item.given,
            "shown_suggested": item.suggested,
        }
        for item in items
    ]


def _told(result: SubmitResult) -> str:
    text = f"{len(result.accepted)} verdicts stored"
    return f"{text}, {len(result.refused)} refused: {result.refused[0][1]}" if result.refused else text
