"""Checks of one measure of a picture against an absolute limit."""

from __future__ import annotations

import numpy as np

from auditor.quality.base import Found, NotApplicable
from auditor.quality.common import beyond, decided_by_nature, image_column, share_of
from auditor.quality.subject import Subject

__all__ = ["against_limit"]


def against_limit(subject: Subject, column: str, limit: float, below: bool, what: str) -> Found | NotApplicable:
    """Items whose `column` lies beyond `limit`, the farthest first.

    Where more than a tenth do, that is how the data looks, and only those far from the others are named
    (`auditor.quality.common.beyond`).
    """
    given = image_column(subject, column)
    if isinstance(given, NotApplicable):
        return given
    rows, values = given
    known = np.isfinite(values)
    if not known.any():
        return NotApplicable(f"{column} cannot be measured on pictures without contrast")
    hit = beyond(values, limit, below)
    plain = known & ((values < limit) if below else (values > limit))
    order = np.argsort(values[hit] if below else -values[hit], kind="stable")
    items, measured = rows[hit][order].astype(np.int64), values[hit][order]
    facts = {
        "measure": column,
        "limit": limit,
        "median": round(float(np.median(values[known])), 4),
        "beyond_limit": int(plain.sum()),
        "by_nature": decided_by_nature(plain, known),
    }
    nature = f"; {plain.sum():,} are beyond the limit, so many that this is how the data looks"
    summary = f"{share_of(len(items), len(rows))} {what}" + (nature if facts["by_nature"] else "")
    return Found(summary, items, measured, facts=facts)
