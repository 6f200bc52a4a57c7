"""The Map page: every item as a point, and what is selected there as a list that can be judged."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import streamlit as st

from auditor.core.errors import DataError
from auditor.ui.components import gallery_grid, item_map, page_link
from auditor.ui.exchange import Exchange
from auditor.ui.item_points import item_points
from auditor.ui.payload import grid_item
from auditor.ui.people import current_reviewer
from auditor.ui.selections import read_selection
from auditor.ui.views.card import exchange_of, message_of, mirror_of
from auditor.ui.workspace import Workspace

#: Selected items that are listed at once.
LISTED: Final = 50
_MAP: Final = "item-map"
_GRID: Final = "map-grid"


def map_page(ws: Workspace) -> None:
    """The map, and under it the selected items. The layouts are computed by a process of their own, never here."""
    reviewer = current_reviewer(ws.store)
    exchange = exchange_of(ws, _GRID, lambda: Exchange(ws.store, reviewer, lambda _n: []).counted(), reviewer)
    # Stored before the list is read, which shows them then.
    exchange.receive(message_of(_GRID))
    name = _selection()
    item_map({"selection": name, "reviewer": reviewer, "verdicts": ws.store.progress().verdicts}, _MAP)
    numbers = np.zeros(0, np.uint32)
    if name:
        try:
            numbers = read_selection(ws.run, name)
        except DataError as error:
            st.warning(f"{error.what} {error.way_out}")
    shown = _page(len(numbers), name) if len(numbers) else slice(0)
    items = ws.store.at(item_points(ws).places_of(numbers[shown]).tolist())
    aslist = ws.contents.kind in ("text", "table")
    tiles = [grid_item(ws, item, reviewer, aslist) for item in items]
    # Once it was there it stays, also without items: verdicts on the last ones may be on their way.
    if tiles or message_of(_GRID) is not None:
        outbox = {**exchange.status(), "mirror": mirror_of(ws, exchange)}
        classes = {"classes": list(ws.run.class_names), "new_classes": ws.store.new_classes()}
        gallery_grid(tiles, _GRID, aslist, outbox, classes)


def _selection() -> str:
    """The name of what is selected: what the map said last, else what the address says."""
    state: Any = st.session_state.get(_MAP)
    said = None if state is None else state.get("selection")
    if said is None:
        return str(st.query_params.get("selection", ""))
    if said:
        st.query_params["selection"] = said
    else:
        st.query_params.pop("selection", None)
    return str(said)


def _page(n: int, name: str) -> slice:
    """Heading of the list, with its pager; the part of it that is shown."""
    key, pages = f"map-page-{name}", -(-n // LISTED)
    page = min(st.session_state.setdefault(key, 0), pages - 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{n:,} selected")
        page_link("gallery", "See them in the gallery", ":material/grid_view:", selection=name, items="all")
        page_link("review", "Judge them one by one", ":material/rate_review:", selection=name, queue="selection")
        if pages > 1:
            st.button("Previous", disabled=page == 0, on_click=_turn, args=(key, page - 1))
            st.markdown(f"page {page + 1} of {pages:,}")
            st.button("Next", disabled=page == pages - 1, on_click=_turn, args=(key, page + 1))
    return slice(page * LISTED, (page + 1) * LISTED)


def _turn(key: str, page: int) -> None:
    st.session_state[key] = page
