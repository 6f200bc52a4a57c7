"""The Review page: one item at a time."""

from __future__ import annotations

from auditor.ui.exchange import Exchange
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import card_page
from auditor.ui.workspace import Workspace

__all__ = ["review_page"]


def review_page(ws: Workspace) -> None:
    """The card with the reviewer's own queue."""
    reviewer = current_reviewer()
    card_page(ws, "review-card", lambda: Exchange.for_review(ws.store, reviewer), reviewer)
