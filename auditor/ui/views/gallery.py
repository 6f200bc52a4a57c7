"""The Gallery page: many items at once, filtered, with one verdict for all that are selected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import uuid4

import streamlit as st

from auditor.core.errors import ResourceError
from auditor.core.escaping import markdown_text, quoted
from auditor.review.readout import PageFilter, ReviewItem
from auditor.ui.components import gallery_grid
from auditor.ui.payload import grid_item
from auditor.ui.people import current_reviewer
from auditor.ui.workspace import Workspace, follow_detectors

PAGE_SIZE: Final = 50
_ANY: Final = "any"
_FLAGGED: Final = {"flagged": True, "all": None, "not flagged": False}
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
    position = st.session_state.setdefault("gallery-position", {"filter": wanted, "stack": [None]})
    if position["filter"] != wanted:
        position.update(filter=wanted, stack=[None])
    page = ws.store.page(wanted, position["stack"][-1], PAGE_SIZE)
    if not page.items:
        st.info("No item fits these filters.")
        return
    bar = st.container(horizontal=True, vertical_alignment="center")
    number = len(position["stack"])
    # A page of its own for each selection: after a bulk verdict nothing is selected any more.
    key = f"gallery-{number}-{st.session_state.get('gallery-round', 0)}-{hash(wanted)}"
    selected = gallery_grid(ws, [grid_item(ws, item) for item in page.items], key)
    with bar:
        _pager(position, number, page.after)
        _bulk(ws, reviewer, [item for item in page.items if item.item_id in set(selected)])


def _filters(ws: Workspace) -> PageFilter:
    facts, progress = ws.store.facts, ws.store.progress()
    first, second = st.columns(4), st.columns(4)
    missing = (
        None
        if facts["detectors"]
        else f"Not computed for this run yet. Once: auditor show {quoted(ws.run.path)} --item ID"
    )
    return PageFilter(
        given=_choice(first[0], "Given label", ws.run.class_names),
        suggested=_choice(first[1], "Suggested label", ws.run.class_names),
        flagged=_FLAGGED[first[2].selectbox("Items", list(_FLAGGED))],
        reviewed=_STATE[first[3].selectbox("State", list(_STATE))],
        min_score=_number(second[0], "Score from", "lowest"),
        max_score=_number(second[1], "to", "highest"),
        detector=_choice(second[2], "Detector", facts["detectors"], help=missing, disabled=missing is not None),
        reviewer=_choice(second[3], "Judged by", progress.by_reviewer),
    )


def _choice(column: Any, label: str, names: Iterable[str], **options: Any) -> str | None:
    chosen: str = column.selectbox(label, [_ANY, *names], **options)
    return None if chosen == _ANY else chosen


def _number(column: Any, label: str, placeholder: str) -> float | None:
    text = column.text_input(label, placeholder=placeholder).strip()
    try:
        return float(text) if text else None
    except ValueError:
        st.warning(f"{label}: not a number; it is ignored.")
        return None


def _pager(position: dict[str, Any], number: int, after: tuple[float, int] | None) -> None:
    # Callbacks run before the page is drawn: one run of the script for a turn, not two.
    stack = position["stack"]
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
                refused = f", {len(result.refused)} refused: {result.refused[0][1]}" if result.refused else ""
                st.session_state["gallery-toast"] = f"{len(result.accepted)} verdicts stored{refused}"
            except ResourceError as error:
                st.session_state["gallery-toast"] = f"Not stored: {error.what}"
            st.session_state["gallery-round"] = st.session_state.get("gallery-round", 0) + 1
            st.rerun()
    if toast := st.session_state.pop("gallery-toast", None):
        st.toast(markdown_text(toast))


def bulk_events(items: list[ReviewItem], verdict: str) -> list[dict[str, Any]]:
    """One verdict on each item, with the labels the grid showed."""
    shown = [(i.item_id, {"shown_label": i.given, "shown_suggested": i.suggested}) for i in items]
    return [{"uuid": str(uuid4()), "item_id": item_id, "verdict": verdict, **labels} for item_id, labels in shown]
