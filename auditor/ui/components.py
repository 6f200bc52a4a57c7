"""What pages are made of: the review card, the gallery grid and the map in the browser, tables, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import pandas as pd
import streamlit as st

from auditor.core.errors import AuditorError
from auditor.ui.people import KEPT

#: Begins the key of what says itself that the server is away, and keeps what is judged meanwhile.
KEEPS: Final = "keeps-"


@cache
def _component(name: str, file: str, html: str) -> Any:
    return st.components.v2.component(f"auditor.{name}", js=f"{file}.js", css=f"{file}.css", html=html)


def review_card(data: dict[str, Any], key: str) -> None:
    """Mount the review card. What it sends stands in ``st.session_state[key]``: verdicts in its ``"outbox"``, how the
    reviewer wants the keys in its ``"settings"``."""
    card = _component("review_card", "card", '<div class="review-card"></div>')
    with st.container(key=f"{KEEPS}{key}"):
        card(data=data, key=key, on_outbox_change=lambda: None, on_settings_change=lambda: None)


def gallery_grid(
    items: list[dict[str, Any]],
    key: str,
    aslist: bool = False,
    outbox: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Mount a grid, or a list, of items.

    Parameters
    ----------
    items : list of dict
    key : str
    aslist : bool
        One item a line, for texts and table rows.
    outbox : dict, optional
        `Exchange.status` and where unsent verdicts are kept: items can be selected and judged then, and what the grid
        sends stands in ``st.session_state[key]["outbox"]``.
    more : dict, optional
        Of a page of many: ``filter``, which names what is shown, ``total`` items of it, ``most`` that can be selected,
        ``classes`` for another label and ``new_classes`` that verdicts have named, ``tile``, the width of one in
        pixels, and ``all``, the items of the whole filter once the grid has asked for them in
        ``st.session_state[key]["all"]``.
    """
    data = {"items": items, "list": aslist, "selectable": outbox is not None, **(outbox or {}), **(more or {})}
    with st.container(key=f"{KEEPS if outbox is not None else 'shows-'}{key}"):
        grid, same = _component("gallery", "gallery", ""), lambda: None
        grid(data=data, key=key, on_outbox_change=same, on_all_change=same)


def class_matrix(data: dict[str, Any], key: str, chosen: Callable[[], None]) -> None:
    """Mount the table of given labels and other candidates. `chosen` is called when a pair was clicked on, which stands
    in ``st.session_state[key]["pair"]``: two names, of which one may be None for any class."""
    _component("matrix", "matrix", "")(data=data, key=key, on_pair_change=chosen)


def page_link(page: str, label: str, icon: str | None = None, **address: str) -> None:
    """A link to another page by its name in the address, with what the address says on every page."""
    there = st.Page(lambda: None, title=label, url_path=page)  # pages are told apart by their name in the address
    kept = {name: st.query_params[name] for name in KEPT if name in st.query_params}
    st.page_link(there, label=label, icon=icon, query_params={**kept, **address})


def item_map(data: dict[str, Any], key: str) -> None:
    """Mount the map. The name of what is selected there stands in ``st.session_state[key]["selection"]``."""
    with st.container(key=f"shows-{key}"):
        _component("map", "map", "")(data=data, key=key, on_selection_change=lambda: None)


def when(seconds: float) -> str:
    """A moment in words, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def table(rows: Sequence[dict[str, Any]]) -> None:
    """A table over the whole width; the keys of the rows are its header."""
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def error_box(error: AuditorError) -> None:
    """What is wrong and the way out, as code: names from the data in it must not be read as Markdown."""
    st.code(f"{error.what}\n{error.way_out or ''}", language=None)
