"""The Review page: one item at a time."""

from __future__ import annotations

from functools import partial

from auditor.ui.config import current_config
from auditor.ui.exchange import Exchange
from auditor.ui.following import nudge
from auditor.ui.people import current_reviewer
from auditor.ui.views.card import card_page
from auditor.ui.workspace import Workspace


def review_page(ws: Workspace) -> None:
    """The card with the reviewer's own queue."""
    reviewer = current_reviewer()
    # The order may learn from the verdicts; --fixed-order keeps that of the run.
    after = partial(nudge, ws) if current_config().adaptive else None
    card_page(ws, "review-card", lambda: Exchange.for_review(ws.store, reviewer, after), reviewer)
