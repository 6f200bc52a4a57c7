"""The numbers as JSON documents; what cannot be known is null."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from auditor.estimation.estimate import NOT_ENOUGH, ErrorEstimate, PartEstimate, TreatedTotals
from auditor.estimation.flag_lists import FlagList
from auditor.estimation.state import ReviewState
from auditor.estimation.status import ReviewStatus
from auditor.stats.intervals import Interval
from auditor.stats.totals import Total

__all__ = ["estimate_document", "list_document", "status_document"]


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {name: _number(getattr(found, name)) for name in ("value", "low", "high", "level")}


def _total(total: Total | None) -> dict[str, Any] | None:
    if total is None:
        return None
    return {
        **(_interval(total.estimate) or {}),
        "method": total.method,
        "draws": total.draws,
        "found": total.found,
        "notes": list(total.notes),
    }


def _treated(found: TreatedTotals | None) -> dict[str, Any] | None:
    if found is None:
        return None
    error = found.reviewer
    return {
        "total": _total(found.total),
        "uniform": _total(found.uniform),
        "stratified": _total(found.stratified),
        "corrected": _total(found.corrected),
        "reviewer": found.reviewer_note,
        "sensitivity": _interval(error.sensitivity) if error else None,
        "specificity": _interval(error.specificity) if error else None,
    }


def _part(part: PartEstimate) -> dict[str, Any]:
    document: dict[str, Any] = {
        "given": part.given,
        "items": part.items,
        "draws": part.draws,
        "errors_drawn": part.errors,
        "estimate": _interval(part.estimate),
        "note": NOT_ENOUGH if part.estimate is None else None,
    }
    return document if part.suggested is None else {**document, "suggested": part.suggested}


def estimate_document(found: ErrorEstimate) -> dict[str, Any]:
    """``auditor.estimate/1``."""
    calibration = found.calibration
    bins = (
        []
        if calibration is None
        else [{key: _number(value) for key, value in asdict(b).items()} for b in calibration.bins]
    )
    return {
        "schema": "auditor.estimate/1",
        "run": found.run,
        "design": found.design,
        "items": found.items,
        "known": found.known,
        "bad_items": found.bad_items,
        "draws_planned": found.planned,
        "draws_judged": found.judged,
        "draws_used": found.draws,
        "strict": _treated(found.strict),
        "lenient": _treated(found.lenient),
        "classes": [_part(p) for p in found.classes],
        "pairs": [_part(p) for p in found.pairs],
        "pairs_without_estimate": found.pairs_without,
        "brier": None if calibration is None or calibration.brier is None else _number(calibration.brier),
        "reliability": bins,
        "notes": list(found.notes),
    }


def status_document(status: ReviewStatus) -> dict[str, Any]:
    """``auditor.status/1``."""
    remaining = {**asdict(status.remaining), "expected": _number(status.remaining.expected)}
    expected = {
        name: None if value is None else _number(value)
        for name, value in (("flagged_expected", status.flagged_expected), ("next_expected", status.next_expected))
    }
    return {
        "schema": "auditor.status/1",
        "run": status.run,
        "progress": asdict(status.progress),
        "flagged_open": status.flagged_open,
        "remaining": remaining,
        "next_items": status.next_items,
        **expected,
        "may_stop": status.may_stop,
        "estimate": estimate_document(status.estimate),
    }


def list_document(state: ReviewState, found: FlagList) -> dict[str, Any]:
    """``auditor.flag-list/1``."""
    at = found.positions
    flagged = [
        {
            "id": str(state.ids[i]),
            "given": str(state.given[i]),
            "suggested": str(state.suggested[i]),
            "score": _number(float(state.score[i])),
        }
        for i in at
    ]
    return {
        "schema": "auditor.flag-list/1",
        "run": state.run,
        "kind": found.kind,
        "n_flagged": len(at),
        "words": found.words(),
        "uniform_reviews": found.uniform_reviews,
        "candidates": found.candidates,
        "more_uniform_reviews": found.more_uniform,
        "more_draws": found.more_draws,
        "left_out_as_right": found.left_out,
        "flagged": flagged,
    }
