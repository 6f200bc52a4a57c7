"""Limits on what a review says of the judged rows: how many have a verdict, and how many labels are wrong."""

from __future__ import annotations

import numpy as np

from auditor.estimation.estimate import LEAST_DRAWS, estimate, frame_total, with_known
from auditor.estimation.state import ReviewState
from auditor.estimation.uniform import uniform_part
from auditor.policy.corrections import Corrections
from auditor.policy.result import LimitResult
from auditor.stats.intervals import Interval
from auditor.stats.totals import uniform_total


def reviewed(judged: int, now: Corrections, state: ReviewState, limit: int) -> LimitResult:
    """Judged rows with a verdict; where there are fewer rows than asked for, all of them.

    Parameters
    ----------
    judged : int
        Rows the limits speak of.
    now : Corrections
        Those of them that the run audited, over the items of `state`, and what became of them.
    state : ReviewState
    limit : int
    """
    found, needed = int((now.known & state.reviewed).sum()) + now.confirmed, min(limit, judged)
    words = f"{found:,} of {judged:,} judged rows have a verdict; {needed:,} needed"
    return LimitResult("min_reviewed", "passed" if found >= needed else "failed", limit, found, words)


def error_rate(judged: int, now: Corrections, state: ReviewState, limit: float) -> LimitResult:
    """Upper limit of the share of wrong labels among the judged rows; ambiguous verdicts count as wrong.

    Parameters are those of `reviewed`. Judged rows that the run could not audit count as possibly wrong, and so do
    those whose label was changed to one that nobody confirmed. Of labels corrected since the review, the wrong ones
    among the labels as they were are estimated, and those that are gone are taken off; see `Corrections`. All reviewed:
    the exact share. All rows of the run: the total of `auditor estimate`, corrected for reviewer error where that is
    possible. A part of them with at least 30 draws: the same estimate of the part. Else the exact interval of its
    uniform draws. Which one it is depends on counts of reviews only, never on what they found.
    """
    name = "max_estimated_error_rate_upper"
    if not judged:
        return LimitResult(name, "passed", limit, 0.0, "no row is new or changed")
    size = int(now.known.sum()) + now.confirmed
    unknown = judged - size
    total = _total(now, state)
    if total is None:
        reason = "the audit stream has too few verdicts on these rows (auditor sample, then auditor review)"
        return LimitResult.not_measured(name, limit, reason)
    interval, how = total
    upper = (interval.high + unknown) / judged
    words = (
        f"estimated {interval.value / judged:.2%} wrong labels [{interval.low / judged:.2%}, {upper:.2%}] ({how}); "
        f"the upper limit may be at most {limit:.2%}"
    )
    if corrected := int((now.settled & now.known).sum()) + now.confirmed:
        words += f"; {corrected:,} label(s) were corrected as people said and count as right"
    if now.spoiled.any():
        words += f"; {int(now.spoiled.sum()):,} label(s) that people found right were changed and count as wrong"
    if now.open:
        words += f"; {now.open:,} of {judged:,} rows have a new label that nobody confirmed and count as possibly wrong"
    if unknown > now.open:
        words += (
            f"; {unknown - now.open:,} of {judged:,} rows could not be audited or were changed since, "
            "and count as possibly wrong"
        )
    return LimitResult.at_most(name, limit, upper, words)


def _total(now: Corrections, state: ReviewState) -> tuple[Interval, str] | None:
    """Labels that are wrong now among the known rows, and what the number rests on; None without a review that counts.

    The labels as the run recorded them, less the faults that are gone, with the new ones. Both are counts of reviewed
    items, without sampling error, so the limits move by as much.
    """
    if not now.domain.any():
        return (Interval(0.0, 0.0, 0.0, 0.95), "every row confirmed") if now.confirmed else None
    recorded = _recorded(now.domain, state)
    if recorded is None or not (now.settled.any() or now.spoiled.any()):
        return recorded
    interval, how = recorded
    more = int(now.spoiled.sum()) - int(now.settled.sum())
    # Reviewed items that are wrong still are wrong, whatever an estimate that few draws carry leaves of them.
    least = float((now.domain & (state.wrong("strict") | now.spoiled) & ~now.settled).sum())
    value, low, high = (max(limit + more, least) for limit in (interval.value, interval.low, interval.high))
    return Interval(value, low, high, interval.level), how


def _recorded(known: np.ndarray, state: ReviewState) -> tuple[Interval, str] | None:
    """Wrong labels among some items as the run recorded them."""
    wrong = state.wrong("strict")
    if known.any() and state.reviewed[known].all():
        n = float((wrong & known).sum())
        return Interval(n, n, n, 0.95), "every row reviewed"
    if known.all():
        strict = estimate(state).strict
        if strict is None:
            return None
        if strict.corrected is not None:
            return strict.corrected.estimate, "corrected for reviewer error"
        return strict.total.estimate, f"{strict.total.draws:,} draws, not corrected for reviewer error"
    draws, part = int(known[state.draws].sum()), uniform_part(state, known).distinct
    if draws >= LEAST_DRAWS:
        total, how = frame_total(state, wrong, domain=known), f"{draws:,} draws"
    elif len(part):
        total = uniform_total(wrong[part], int((known & state.in_frame).sum()))
        how = f"{len(part):,} uniform draws, exact"
    else:
        return None
    return with_known(state, total, wrong, known).estimate, how
