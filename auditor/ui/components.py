"""What pages are made of: the review card and the gallery grid in the browser, tables, errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import pandas as pd
import streamlit as st

from auditor.core.errors import AuditorError

#: Begins the key of what says itself that the server is away, and keeps what is judged meanwhile.
KEEPS: Final = "keeps-"


@cache
def _component(name: str, file: str, html: str) -> Any:
    return st.components.v2.component(f"auditor.{name}", js=f"{file}.js", css=f"{file}.css", html=html)


def review_card(data: dict[str, Any], key: str) -> None:
    """Mount the review card. What it sends stands in ``st.session_state[key]["outbox"]``."""
    card = _component("review_card", "card", '<div class="review-card"></div>')
    with st.container(key=f"{KEEPS}{key}"):
        card(data=data, key=key, on_outbox_change=lambda: None)


def gallery_grid(
    items: list[dict[str, Any]], key: str, aslist: bool = False, outbox: dict[str, Any] | None = None
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
    """
    data = {"items": items, "list": aslist, "selectable": outbox is not None, **(outbox or {})}
    with st.container(key=f"{KEEPS if outbox is not None else 'shows-'}{key}"):
        _component("gallery", "gallery", "")(data=data, key=key, on_outbox_change=lambda: None)


def when(seconds: float) -> str:
    """A moment in words, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def table(rows: Sequence[dict[str, Any]]) -> None:
    """A table over the whole width; the keys of the rows are its header."""
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def error_box(error: AuditorError) -> None:
    """What is wrong and the way out, as code: names from the data in it must not be read as Markdown."""
    st.code(f"{error.what}\n{error.way_out or ''}", language=None)
