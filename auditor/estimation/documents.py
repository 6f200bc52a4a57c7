"""Estimate, status and flag list as JSON documents; what cannot be known is null, floats have four digits."""

from __future__ import annotations

from typing import Any

from auditor.core.files import json_value
from auditor.estimation.estimate import NOT_ENOUGH, ErrorEstimate, PartEstimate, TreatedTotals
from auditor.estimation.flag_lists import FlagList
from auditor.estimation.state import ReviewState
from auditor.estimation.status import ReviewStatus
from auditor.stats.totals import Total


def _document(schema: str, **values: Any) -> dict[str, Any]:
    return {"schema": schema, **json_value(values, digits=4)}


def _picked(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _total(total: Total | None) -> dict[str, Any] | None:
    if total is None:
        return None
    return {**vars(total.estimate), **_picked(total, "method", "draws", "found", "notes")}


def _treated(found: TreatedTotals | None) -> dict[str, Any] | None:
    if found is None:
        return None
    error = found.reviewer
    return {
        **{name: _total(getattr(found, name)) for name in ("total", "uniform", "stratified", "corrected")},
        "reviewer": found.reviewer_note,
        "sensitivity": error and error.sensitivity,
        "specificity": error and error.specificity,
    }


def _part(part: PartEstimate) -> dict[str, Any]:
    document = _picked(part, "given", "items", "draws", "estimate")
    document |= {"errors_drawn": part.errors, "note": NOT_ENOUGH if part.estimate is None else None}
    return document if part.suggested is None else {**document, "suggested": part.suggested}


def estimate_document(found: ErrorEstimate) -> dict[str, Any]:
    """``auditor.estimate/1``."""
    calibration, state = found.calibration, found.state
    return _document(
        "auditor.estimate/1",
        **_picked(state, "run", "design"),
        items=len(state),
        known=int(state.known.sum()),
        bad_items=state.bad_items,
        notes=found.notes,
        draws_planned=state.planned,
        draws_judged=state.judged,
        draws_used=len(state.draws),
        strict=_treated(found.strict),
        lenient=_treated(found.lenient),
        classes=[_part(p) for p in found.classes],
        pairs=[_part(p) for p in found.pairs],
        pairs_without_estimate=found.pairs_without,
        brier=calibration and calibration.brier,
        reliability=calibration.bins if calibration else [],
    )


def status_document(status: ReviewStatus) -> dict[str, Any]:
    """``auditor.status/1``."""
    return _document("auditor.status/1", **{**vars(status), "estimate": estimate_document(status.estimate)})


def list_document(state: ReviewState, found: FlagList) -> dict[str, Any]:
    """``auditor.flag-list/1``."""
    columns = {"id": state.ids, "given": state.given, "suggested": state.suggested, "score": state.score}
    return _document(
        "auditor.flag-list/1",
        run=state.run,
        **_picked(found, "kind", "uniform_reviews", "candidates"),
        n_flagged=len(found.positions),
        words=found.words(),
        more_uniform_reviews=found.more_uniform,
        more_draws=found.more_draws,
        left_out_as_right=found.left_out,
        flagged=[{name: values[i] for name, values in columns.items()} for i in found.positions],
    )
