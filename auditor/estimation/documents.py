"""Estimate, status and flag list as JSON documents; what cannot be known is null, floats have four digits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from auditor.core.files import json_value
from auditor.estimation.estimate import NOT_ENOUGH, ErrorEstimate, PartEstimate, TreatedTotals
from auditor.estimation.flag_lists import FlagList
from auditor.estimation.state import ReviewState
from auditor.estimation.status import ReviewStatus
from auditor.stats.intervals import Interval
from auditor.stats.totals import Total

__all__ = ["estimate_document", "list_document", "status_document"]


def _interval(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def _total(total: Total | None) -> dict[str, Any] | None:
    if total is None:
        return None
    return {**asdict(total.estimate), **{name: getattr(total, name) for name in ("method", "draws", "found", "notes")}}


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


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    return {**json_value(document, digits=4)}


def estimate_document(found: ErrorEstimate) -> dict[str, Any]:
    """``auditor.estimate/1``."""
    calibration = found.calibration
    document = {
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
        "brier": calibration and calibration.brier,
        "reliability": [asdict(b) for b in calibration.bins] if calibration else [],
        "notes": found.notes,
    }
    return _rounded(document)


def status_document(status: ReviewStatus) -> dict[str, Any]:
    """``auditor.status/1``."""
    document = {
        "schema": "auditor.status/1",
        "run": status.run,
        "progress": asdict(status.progress),
        "flagged_open": status.flagged_open,
        "remaining": asdict(status.remaining),
        "next_items": status.next_items,
        "flagged_expected": status.flagged_expected,
        "next_expected": status.next_expected,
        "may_stop": status.may_stop,
        "estimate": estimate_document(status.estimate),
    }
    return _rounded(document)


def list_document(state: ReviewState, found: FlagList) -> dict[str, Any]:
    """``auditor.flag-list/1``."""
    at = found.positions
    columns = {"id": state.ids, "given": state.given, "suggested": state.suggested, "score": state.score}
    document = {
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
        "flagged": [{name: values[i] for name, values in columns.items()} for i in at],
    }
    return _rounded(document)
