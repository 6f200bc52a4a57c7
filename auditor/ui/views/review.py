"""The Review page: one item at a time."""

from __future__ import annotations

from functools import partial

import streamlit as st

from auditor.ui.config import current_config
from auditor.ui.exchange import Exchange
from auditor.ui.following import nudge
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import card_page
from auditor.ui.workspace import Workspace


def review_page(ws: Workspace) -> None:
    """The card with the reviewer's own queue; an item that the address names comes first."""
    reviewer = current_reviewer(ws.store)
    item = st.query_params.get("item")
    if item is not None and ws.store.state(item) is None:
        st.warning("This run has no such item as the address names.")
        item = None
    # The order may learn from the verdicts; --fixed-order keeps that of the run.
    after = partial(nudge, ws) if current_config().adaptive else None
    make = partial(Exchange.for_review, ws.store, reviewer, after, item)
    card_page(ws, "review-card", make, reviewer, subject=item)
