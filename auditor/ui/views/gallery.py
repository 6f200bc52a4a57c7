"""The Gallery page: many items at once, filtered, searched and ordered, with one verdict for all that are selected.

What it shows stands in the page's address, so a view can be kept and sent to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from auditor.core.escaping import markdown_text, quoted
from auditor.ui.components import gallery_grid
from auditor.ui.exchange import Exchange
from auditor.ui.filters import ITEMS, ORDERS, STATES, GalleryFilter, matching, read_filter
from auditor.ui.payload import grid_item
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import exchange_of, message_of, mirror_of
from auditor.ui.workspace import Workspace, follow_detectors

PAGE_SIZE: Final = 50
#: Items that one click may select and judge: so many verdicts fit into what a browser keeps of a page.
MOST_AT_ONCE: Final = 5000
_KEY: Final = "gallery-grid"
#: Widths of a tile and of the picture in it, in pixels.
_SIZES: Final = {"small": (96, 96), "medium": (140, 192), "large": (260, 384)}
_VIEWS: Final = {**dict.fromkeys(_SIZES, "tiles"), "list": "list"}
_DEFAULTS: Final = GalleryFilter()


def gallery_page(ws: Workspace) -> None:
    """Filters in one line, a page of items, and the verdicts for the selection."""
    reviewer = current_reviewer(ws.store)
    exchange = exchange_of(ws, _KEY, lambda: Exchange(ws.store, reviewer, lambda _n: []).counted(), reviewer)
    # Stored before the page is read, which shows them then.
    exchange.receive(message_of(_KEY))
    follow_detectors(ws.run, ws.store)
    wanted, ignored = read_filter(ws, st.query_params)
    size = _controls(ws, wanted)
    for line in ignored:
        st.warning(f"Ignored, {markdown_text(line)}.")
    places = matching(ws, wanted, reviewer)
    number = _page_number(len(places))
    _chips(wanted, len(places), number)
    if wanted.words and (note := ws.search.note()):
        st.caption(note)
    shown = places[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    aslist = _VIEWS[size] == "list"
    tile, width = _SIZES.get(size, _SIZES["medium"])
    items = [grid_item(ws, item, reviewer, aslist, width) for item in ws.store.at(shown.tolist())]
    key = urlencode(wanted.address())
    # Drawn without items as well: verdicts on the last ones may be on their way.
    outbox = {**exchange.status(), "mirror": mirror_of(ws, exchange)}
    more: dict[str, Any] = {"tile": tile, "filter": key, "total": len(places), "most": MOST_AT_ONCE}
    more |= {"classes": list(ws.run.class_names), "new_classes": ws.store.new_classes()}
    if _asks_for_all() == key:
        more["all"] = everything(ws, places[:MOST_AT_ONCE], reviewer)
    gallery_grid(items, _KEY, aslist, outbox, more)


def everything(ws: Workspace, places: np.ndarray, reviewer: str) -> list[list[Any]]:
    """What the browser needs to judge items it does not show: id, given label, other candidate, the reviewer's own
    verdict and its uuid, None for what there is not."""
    c, own = ws.catalogue, ws.store.own_verdicts(reviewer)
    names = (*c.class_names, None)  # the last one is that of no candidate
    return [
        [c.ids[at].as_py(), names[c.given[at]], names[c.suggested[at]], *own.get(at + 1, (None, None))[::-1]]
        for at in (places - 1).tolist()
    ]


def _asks_for_all() -> str | None:
    state = st.session_state.get(_KEY)
    asked = None if state is None else state.get("all")
    return asked if isinstance(asked, str) else None


def _controls(ws: Workspace, wanted: GalleryFilter) -> str:
    """Search, order, size and the other filters; returns the size."""
    words = ws.contents.kind in ("text", "table")
    usual = "list" if words else "medium"
    size = st.query_params.get("size", usual)
    size = size if size in _VIEWS else usual
    with st.container(horizontal=True, vertical_alignment="bottom", key="gallery-controls"):
        _text(wanted, "words", "Search", "words of ids and texts" if words else "words of ids")
        _select(wanted, "order", "Order", ORDERS)
        st.session_state["gallery-size"] = size
        st.segmented_control(
            "Size",
            list(_VIEWS),
            key="gallery-size",
            required=True,
            on_change=lambda: _put("size", st.session_state["gallery-size"], usual),
        )
        with st.popover("Filters", icon=":material/filter_list:"):
            _filters(ws, wanted)
    return size


def _filters(ws: Workspace, wanted: GalleryFilter) -> None:
    names = {name: name for name in ws.run.class_names}
    _select(wanted, "given", "Given label", names)
    _select(wanted, "suggested", "Other candidate", names)
    _select(wanted, "items", "Items", ITEMS)
    _select(wanted, "state", "State", STATES)
    detectors = ws.store.facts["detectors"]
    missing = (
        None if detectors else f"Not computed for this run yet. Once: auditor show {quoted(ws.run.path)} --item ID"
    )
    _select(wanted, "detector", "Detector", {d: d for d in detectors}, help=missing, disabled=not detectors)
    people = {name: name for name in ws.store.progress().by_reviewer}
    if wanted.judged_by is not None:
        people.setdefault(wanted.judged_by, wanted.judged_by)
    _select(wanted, "judged_by", "Judged by", people)
    _text(wanted, "score_from", "Score from", "lowest")
    _text(wanted, "score_to", "Score to", "highest")


def _select(wanted: GalleryFilter, name: str, label: str, options: dict[str, str], **more: Any) -> None:
    key, default = f"filter-{name}", getattr(_DEFAULTS, name)
    st.session_state[key] = getattr(wanted, name)
    anything: dict[str, Any] = {"index": None, "placeholder": "any"} if default is None else {}
    st.selectbox(
        label,
        list(options),
        format_func=lambda option: options.get(option, option),
        key=key,
        on_change=_changed,
        args=(name,),
        **anything,
        **more,
    )


def _text(wanted: GalleryFilter, name: str, label: str, placeholder: str) -> None:
    key, value = f"filter-{name}", getattr(wanted, name)
    st.session_state[key] = "" if value is None else str(value)
    st.text_input(label, placeholder=placeholder, key=key, on_change=_changed, args=(name,))


def _changed(name: str) -> None:
    _set(name, st.session_state[f"filter-{name}"] or None, getattr(_DEFAULTS, name))


def _set(name: str, value: str | None, default: str | None) -> None:
    """Into the address; another filter begins at its first page."""
    _put(name, value, default)
    st.query_params.pop("page", None)


def _put(name: str, value: str | None, default: str | None) -> None:
    if value is None or value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def _chips(wanted: GalleryFilter, total: int, number: int) -> None:
    """How many items there are, every condition with a way to drop it, and the pages."""
    with st.container(horizontal=True, vertical_alignment="center", key="gallery-chips"):
        flagged = "flagged " if wanted.items == "flagged" else ""
        st.markdown(f"**{total:,}** {flagged}item{'' if total == 1 else 's'}")
        chips = wanted.chips()
        for name, text in chips:
            st.button(
                f"{markdown_text(text)} ✕",
                key=f"chip-{name}",
                help="Drop this condition",
                on_click=_set,
                args=(name, None, None),
            )
        if len(chips) > 1:
            st.button("Drop all", type="tertiary", key="chip-all", on_click=_drop, args=([name for name, _ in chips],))
        if (pages := -(-total // PAGE_SIZE)) > 1:
            st.session_state["gallery-page"] = number
            st.pagination(pages, key="gallery-page", on_change=_turned)


def _drop(names: Sequence[str]) -> None:
    for name in names:
        _set(name, None, None)


def _page_number(total: int) -> int:
    text = st.query_params.get("page", "1")
    asked = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return min(max(1, asked), max(1, -(-total // PAGE_SIZE)))


def _turned() -> None:
    _put("page", str(st.session_state["gallery-page"]), "1")
