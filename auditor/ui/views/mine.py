"""The page of one's own verdicts: found by words, and corrected to any class on the card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

from auditor.review.readout import ReviewItem
from auditor.review.vocabulary import NEW, OTHER
from auditor.ui.components import table, when
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
    position = st.session_state.setdefault("mine-position", {"of": None, "before": [None]})
    if position["of"] != (reviewer, words):
        position.update(of=(reviewer, words), before=[None])
    before = position["before"]
    verdicts = ws.store.judged_by(reviewer, words, before[-1], limit=LISTED + 1)
    if not verdicts and len(before) == 1:
        st.info("No verdict of yours fits these words." if words.strip() else "You have not judged an item yet.")
        return
    shown = verdicts[:LISTED]
    if len(verdicts) > LISTED or len(before) > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Newer", disabled=len(before) == 1, on_click=before.pop)
            last = shown[-1].event if shown else 0
            st.button("Older", disabled=len(verdicts) <= LISTED, on_click=before.append, args=(last,))
            st.caption(f"{len(shown)} verdicts, the latest first")
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
        st.caption("Pick a row to see the item, to correct the verdict, and to see what you said of it before.")
        return
    item = shown[chosen[0]].item_id
    make = lambda: Exchange(ws.store, reviewer, partial(_one, ws, item)).counted()  # noqa: E731
    card_page(ws, "mine-card", make, reviewer, subject=item)
    if history := own_history(ws, reviewer, item):
        st.caption("What you said of it, the latest first")
        table(history)


def _words(verdict: str | None) -> str:
    if verdict is None:
        return "taken back"
    if verdict.startswith(NEW):
        return f"new class {verdict.removeprefix(NEW)}"
    return verdict.removeprefix(OTHER).replace("_", " ")


def _one(ws: Workspace, item_id: str, _n: int) -> Sequence[ReviewItem]:
    state = ws.store.state(item_id)
    return [] if state is None else [state.item]


def own_history(ws: Workspace, reviewer: str, item_id: str) -> list[dict[str, str]]:
    """Everything that a reviewer said of an item, taken back or replaced as well, the latest first."""
    state = ws.store.state(item_id)
    events = [] if state is None else [e for e in state.events if ws.store.known_as(e["reviewer"]) == reviewer]
    return [{"when": when(e["server_time"]), "you said": _words(e["verdict"])} for e in reversed(events)]
