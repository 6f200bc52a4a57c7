"""The page of one's own verdicts: found by words, and corrected to any class on the card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

from auditor.review.readout import ReviewItem
from auditor.review.vocabulary import OTHER
from auditor.ui.components import when
from auditor.ui.exchange import Exchange
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import card_page
from auditor.ui.workspace import Workspace

#: Verdicts listed at once.
LISTED: Final = 100


def mine_page(ws: Workspace) -> None:
    """The list, and the card of the one that is picked."""
    reviewer = current_reviewer(ws.store)
    words = st.text_input("Search", placeholder="words of the item's id, its labels or the verdict", key="mine-words")
    verdicts = ws.store.judged_by(reviewer, words, limit=LISTED + 1)
    if not verdicts:
        st.info("No verdict of yours fits these words." if words.strip() else "You have not judged an item yet.")
        return
    if len(verdicts) > LISTED:
        st.caption(f"The latest {LISTED}; search for older ones.")
    shown = verdicts[:LISTED]
    rows = [
        {
            "item": v.item_id,
            "given label": v.given,
            "other candidate": v.suggested or "",
            "your verdict": _words(v.verdict),
            "when": when(v.server_time),
        }
        for v in shown
    ]
    picked: Any = st.dataframe(
        rows, hide_index=True, width="stretch", height=260, on_select="rerun", selection_mode="single-row", key="mine"
    )
    chosen = picked.selection.rows if picked else []
    if not chosen or chosen[0] >= len(shown):
        st.caption("Pick a row to see the item and to correct the verdict.")
        return
    item = shown[chosen[0]].item_id
    make = lambda: Exchange(ws.store, reviewer, partial(_one, ws, item)).counted()  # noqa: E731
    card_page(ws, "mine-card", make, reviewer, subject=item)
    _history(ws, reviewer, item)


def _words(verdict: str | None) -> str:
    return "taken back" if verdict is None else verdict.removeprefix(OTHER).replace("_", " ")


def _one(ws: Workspace, item_id: str, _n: int) -> Sequence[ReviewItem]:
    state = ws.store.state(item_id)
    return [] if state is None else [state.item]


def _history(ws: Workspace, reviewer: str, item_id: str) -> None:
    state = ws.store.state(item_id)
    events = [] if state is None else [e for e in state.events if ws.store.known_as(e["reviewer"]) == reviewer]
    if len(events) > 1:
        said = ", ".join(f"{_words(e['verdict'])} ({when(e['server_time'])})" for e in events)
        # As code: names in the data must not be read as Markdown.
        st.code(f"What you said of it: {said}", language=None, wrap_lines=True)
