"""The Gallery page: many items at once, filtered, with one verdict for all that are selected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import streamlit as st

from auditor.core.escaping import quoted
from auditor.review.readout import PageFilter
from auditor.ui.components import gallery_grid
from auditor.ui.exchange import Exchange
from auditor.ui.payload import grid_item
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import exchange_of, message_of, mirror_of
from auditor.ui.workspace import Workspace, follow_detectors

PAGE_SIZE: Final = 50
_ANY: Final = "any"
_FLAGGED: Final = {"flagged": True, "all": None, "not flagged": False}
_STATE: Final = {_ANY: None, "judged": True, "not judged": False}
_KEY: Final = "gallery-grid"


def gallery_page(ws: Workspace) -> None:
    """Filters, a grid of `PAGE_SIZE`, and the verdicts for the selection."""
    reviewer = current_reviewer(ws.store)
    exchange = exchange_of(ws, _KEY, lambda: Exchange(ws.store, reviewer, lambda _n: []).counted(), reviewer)
    # Stored before the page is read, which shows them then.
    exchange.receive(message_of(_KEY))
    follow_detectors(ws.run, ws.store)
    wanted = _filters(ws)
    position = st.session_state.setdefault("gallery-position", {"filter": wanted, "stack": [None]})
    if position["filter"] != wanted:
        position.update(filter=wanted, stack=[None])
    page = ws.store.page(wanted, position["stack"][-1], PAGE_SIZE)
    if page.items:
        _pager(position, len(position["stack"]), page.after)
    else:
        st.info("No item fits these filters.")
    # Drawn without items as well: verdicts on the last ones may be on their way.
    aslist = ws.contents.kind in ("text", "table")
    items = [grid_item(ws, item, reviewer, aslist) for item in page.items]
    gallery_grid(items, _KEY, aslist, {**exchange.status(), "mirror": mirror_of(ws, exchange)})


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
        suggested=_choice(first[1], "Other candidate", ws.run.class_names),
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
    with st.container(horizontal=True, vertical_alignment="center"):
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
