"""Events as a browser sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from auditor.review.readout import ReviewItem

__all__ = ["events_on"]


def events_on(items: Sequence[ReviewItem], verdict: str) -> list[dict[str, Any]]:
    """One verdict on each item, with the labels that were shown."""
    shown = [(i.item_id, {"shown_label": i.given, "shown_suggested": i.suggested}) for i in items]
    return [{"uuid": str(uuid4()), "item_id": item_id, "verdict": verdict, **labels} for item_id, labels in shown]
