"""The two components in the browser: the review card and the gallery grid."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from auditor.ui.workspace import Workspace

__all__ = ["gallery_grid", "review_card"]


@cache
def _component(name: str, html: str) -> Any:
    return st.components.v2.component(f"auditor.{name}", js="index.js", css="index.css", html=html)


def review_card(data: dict[str, Any], key: str) -> None:
    """Mount the review card. What it sends stands in ``st.session_state[key]["outbox"]``."""
    _component("review_card", '<div class="review-card"></div>')(data=data, key=key, on_outbox_change=lambda: None)


def gallery_grid(ws: Workspace, items: list[dict[str, Any]], key: str, selectable: bool = True) -> list[str]:
    """Mount a grid; returns the ids selected, in the order of `items`."""
    grid = _component("gallery", "")
    result = grid(data={"items": items, "selectable": selectable}, key=key, on_selected_change=lambda: None)
    chosen = set(result.selected or ()) if isinstance(result.selected, list) else set()
    return [item["id"] for item in items if item["id"] in chosen]
