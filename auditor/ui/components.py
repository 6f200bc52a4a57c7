"""What pages are made of: the review card and the gallery grid in the browser, tables, errors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd
import streamlit as st

from auditor.core.errors import AuditorError
from auditor.ui.workspace import Workspace


@cache
def _component(name: str, html: str) -> Any:
    return st.components.v2.component(f"auditor.{name}", js="index.js", css="index.css", html=html)


def review_card(data: dict[str, Any], key: str) -> None:
    """Mount the review card. What it sends stands in ``st.session_state[key]["outbox"]``."""
    _component("review_card", '<div class="review-card"></div>')(data=data, key=key, on_outbox_change=lambda: None)


def gallery_grid(ws: Workspace, items: list[dict[str, Any]], key: str, selectable: bool = True) -> list[str]:
    """Mount a grid; returns the ids selected, in the order of `items`."""
    grid = _component("gallery", "")
    selected = grid(data={"items": items, "selectable": selectable}, key=key, on_selected_change=lambda: None).selected
    return [item["id"] for item in items if isinstance(selected, list) and item["id"] in selected]


def table(rows: Sequence[dict[str, Any]]) -> None:
    """A table over the whole width; the keys of the rows are its header."""
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def error_box(error: AuditorError) -> None:
    """What is wrong and the way out, as code: names from the data in it must not be read as Markdown."""
    st.code(f"{error.what}\n{error.way_out or ''}", language=None)
