"""The numbers in plain sentences, for the command line and the app alike."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.estimation.estimate import LEAST_DRAWS, LEAST_ERRORS, NOT_ENOUGH, ErrorEstimate, TreatedTotals
from auditor.estimation.expectation import Expected
from auditor.estimation.status import ReviewStatus
from auditor.stats.intervals import Interval
from auditor.stats.totals import Total

_TREATMENTS = {"strict": "ambiguous counted as wrong", "lenient": "ambiguous counted as right"}


def interval_words(found: Interval) -> str:
    """``390 [345, 435]``."""
    return f"{found.value:,.0f} [{found.low:,.0f}, {found.high:,.0f}]"


def number_words(total: Total) -> str:
    """``390 [345, 435]``, or ``between 3 and 9,996`` where the reviews are too few for a single number."""
    e = total.estimate
    return interval_words(e) if total.says_a_number else f"between {e.low:,.0f} and {e.high:,.0f}"


def _total_words(total: Total) -> str:
    notes = f" ({'; '.join(total.notes)})" if total.notes else ""
    return f"{interval_words(total.estimate)}, {total.method}, {total.draws:,} draws{notes}"


def _treated_lines(found: TreatedTotals, items: int) -> Iterator[str]:
    e = found.total.estimate
    value = f"{e.value / items:.2%} " if found.total.says_a_number else ""
    yield (
        f"{number_words(found.total)} of {items:,} labels are wrong ({value}[{e.low / items:.2%}, "
        f"{e.high / items:.2%}]), 95 % interval; {found.treatment}: {_TREATMENTS[found.treatment]}"
    )
    for note in found.total.notes:
        yield f"  {note}"
    for name, total in (("uniform draws", found.uniform), ("strata", found.stratified)):
        if total is not None:
            yield f"  beside it, {name}: {_total_words(total)}"
    if found.corrected is not None:
        yield f"  corrected for reviewer error: {number_words(found.corrected)}, from {found.reviewer_note}"
    else:
        yield f"  {found.reviewer_note}"


def estimate_lines(found: ErrorEstimate) -> Iterator[str]:
    """The whole estimate."""
    state = found.state
    yield (
        f"{state.run}: {state.judged:,} of {state.planned:,} draws of the audit stream judged, "
        f"{len(state.draws):,} used; {state.known.sum():,} items counted exactly; "
        f"{state.bad_items:,} broken items, which are no wrong labels"
    )
    for treated in (found.strict, found.lenient):
        if treated is not None:
            yield from _treated_lines(treated, len(state))
    shown = [p for p in found.classes if p.estimate is not None]
    for part in (*shown, *found.pairs):
        name = part.given if part.suggested is None else f"{part.given} -> {part.suggested}"
        if part.estimate is not None:
            yield f"  {name}: {interval_words(part.estimate)} of {part.items:,} ({part.draws:,} draws)"
    missing = len(found.classes) - len(shown)
    if missing or found.pairs_without:
        yield (
            f"  {NOT_ENOUGH} for {missing:,} class(es) and {found.pairs_without:,} pair(s) of classes: each needs "
            f"{LEAST_DRAWS} draws and {LEAST_ERRORS} errors among them"
        )
    if found.calibration is not None and found.calibration.bins:
        yield f"P(label wrong) against what was found (Brier score {found.calibration.brier:.4f}):"
        for b in found.calibration.bins:
            yield f"  said {b.predicted:6.1%}   found {b.observed:6.1%} [{b.low:.1%}, {b.high:.1%}]   n {b.n:,}"
    yield from (f"Note: {note}" for note in found.notes)


def status_lines(status: ReviewStatus) -> Iterator[str]:
    """Progress, errors remaining, what the next items bring."""
    p, r = status.progress, status.remaining
    yield (
        f"{status.run}: {p.judged:,} of {p.items:,} items judged, {p.verdicts:,} verdicts of {len(p.by_reviewer)} "
        f"reviewer(s); flagged {p.ranked_done:,} of {p.ranked_total:,}, audit {p.audit_done:,} of {p.audit_total:,}; "
        f"{p.disagreements:,} disagreement(s)"
    )
    expected = "" if status.flagged_expected is None else f", about {status.flagged_expected:,.0f} of them wrong"
    yield f"flagged items still open: {status.flagged_open:,}{expected}"
    yield (
        f"outside the list, {r.open:,} open items: {r.words()} wrong labels, 95 % however often one looks "
        f"({r.looked:,} uniform draws reviewed, {r.found:,} wrong)"
    )
    if not r.exact:
        yield "  the audit stream was drawn in strata: the bound is that of independent draws"
    if status.next_expected is not None:
        yield f"the next {status.next_items:,} items will find about {status.next_expected:,.0f}"
    if status.may_stop is not None:
        yield (
            "You may stop: no more than tolerated remain."
            if status.may_stop
            else f"Not yet: up to {r.high:,} may remain."
        )
    yield from (f"Note: {note}" for note in status.estimate.notes)


def expectation_lines(found: Expected) -> Iterator[str]:
    """What a sample will tell."""
    yield (
        f"{found.budget:,} draws, about {found.items:,.0f} different items. Expected: number of wrong labels within "
        f"+-{found.half_width:,.0f} (as many uniform draws: +-{found.uniform_half_width:,.0f}), if the model's doubts "
        "are about right; a model that is too sure of itself gets a wider interval"
    )
    if found.candidates_needed is not None:
        more = "" if found.budget_needed is None else f", which {found.budget_needed:,} draws bring about"
        yield (
            f"A list at the target precision needs at least {found.candidates_needed:,} uniform draws among the "
            f"candidates, all of them finds{more}; these draws bring about {found.uniform_candidates:,.0f}"
        )
