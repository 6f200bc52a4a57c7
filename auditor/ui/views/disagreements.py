"""The Disagreements page: items on which reviewers differ, settled one by one."""

from __future__ import annotations

import streamlit as st

from auditor.ui.exchange import MOST_HAND, Exchange
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import card_page
from auditor.ui.workspace import Workspace


def disagreements_page(ws: Workspace) -> None:
    """The card with everybody's verdicts beside the item; a verdict here settles it."""
    reviewer = current_reviewer(ws.store)
    waiting = ws.store.progress().disagreements
    if not waiting:
        st.header("No open disagreement")
        st.caption("Items judged by two or more reviewers who differ appear here.")
        return
    st.caption(f"{waiting:,} open disagreements. Your verdict here settles the item, whoever voted before.")

    supply = lambda _n: ws.store.disagreements(limit=MOST_HAND)  # noqa: E731
    make = lambda: Exchange(ws.store, reviewer, supply, origin="adjudication")  # noqa: E731
    card_page(ws, "settle-card", make, reviewer, with_votes=True)
