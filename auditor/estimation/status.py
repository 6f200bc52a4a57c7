"""How far a review is, how many errors remain, and whether one may stop: valid however often one looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor.estimation.estimate import LEAST_DRAWS, ErrorEstimate, estimate
from auditor.estimation.state import NEXT, ReviewState
from auditor.estimation.uniform import uniform_part
from auditor.stats.stopping import remaining_errors

if TYPE_CHECKING:
    from auditor.review.readout import ReviewCounts


@dataclass(frozen=True)
class RemainingErrors:
    """Wrong labels among the unflagged items without a verdict.

    Attributes
    ----------
    expected : float
    low, high : int
        95 %, at every look at once.
    pool, open : int
        Unflagged items, fixed when the stream was drawn; those without a verdict.
    looked, found : int
        Uniform draws from the pool that were reviewed, and the wrong labels among them.
    exact : bool
        False where the draws come from a sample in strata: the bound is then that of independent draws.
    """

    expected: float
    low: int
    high: int
    pool: int
    open: int
    looked: int
    found: int
    exact: bool

    def words(self) -> str:
        if self.looked < LEAST_DRAWS and self.low < self.high:
            # What is expected then is for the most part the prior's guess, which is no finding.
            return f"expected remaining unknown [{self.low:,}, {self.high:,}]"
        return f"expected remaining {self.expected:,.0f} [{self.low:,}, {self.high:,}]"


@dataclass(frozen=True)
class Outlook:
    """What a status says of what is left to do, in a few numbers that a process can tell another; strict treatment.

    Attributes
    ----------
    draws : int
        Verdicts of the audit sample that the number of wrong labels rests on.
    half_width : float
        Half of its 95 % interval, in items; 0 where there is none.
    says_a_number : bool
        Whether it is more than limits.
    open : int
        Items without a verdict.
    remaining : int
        Wrong labels that may remain outside the list: the upper limit of `RemainingErrors`.
    """

    draws: int
    half_width: float
    says_a_number: bool
    open: int
    remaining: int

    def verdicts_for(self, half_width: float) -> int:
        """About how many more verdicts on the audit sample bring the 95 % interval of the number of wrong labels down
        to plus and minus `half_width`, in items.

        The width falls with the square root of the number of draws. Before there is a number it is those that one
        needs.
        """
        if self.draws < LEAST_DRAWS:
            return LEAST_DRAWS - self.draws
        # Half an item is as narrow as an interval in whole items can be asked to be.
        ratio = self.half_width / max(half_width, 0.5)
        return min(max(0, math.ceil(self.draws * (ratio**2 - 1))), self.open)


@dataclass(frozen=True)
class ReviewStatus:
    """The state of a review.

    Attributes
    ----------
    progress : ReviewCounts
    flagged_open : int
        Flagged items without a verdict.
    flagged_expected : float or None
        Wrong labels among them, from the calibrated probabilities; None before there are any.
    remaining : RemainingErrors
        Outside the flagged list.
    next_items : int
        Items next in the ranked list, at most `NEXT`.
    next_expected : float or None
        Wrong labels they will show.
    may_stop : bool or None
        Whether at most the tolerated number remains outside the list; None where none was given.
    estimate : ErrorEstimate
    """

    run: str
    progress: ReviewCounts
    flagged_open: int
    flagged_expected: float | None
    remaining: RemainingErrors
    next_items: int
    next_expected: float | None
    may_stop: bool | None
    estimate: ErrorEstimate

    @property
    def outlook(self) -> Outlook:
        """What is left to do."""
        treated, open_items = self.estimate.strict, int((~self.estimate.state.reviewed).sum())
        if treated is None:
            return Outlook(0, 0.0, False, open_items, self.remaining.high)
        total, interval = treated.total, treated.total.estimate
        half = (interval.high - interval.low) / 2
        return Outlook(total.draws, half, bool(total.says_a_number), open_items, self.remaining.high)

    def __repr__(self) -> str:
        p = self.progress
        return (
            f"ReviewStatus of {self.run}: {p.judged:,} of {p.items:,} items judged, {self.flagged_open:,} flagged ones "
            f"open\n  outside the list: {self.remaining.words()} wrong labels"
        )


def review_status(state: ReviewState, at_most: int | None = None, seed: int = 0) -> ReviewStatus:
    """Status of a review; strict treatment.

    The stop rule audits the unflagged items: `stats.stopping.remaining_errors` on the uniform part of the audit
    stream. Other reviews of the pool are taken off afterwards, which keeps the bound valid.

    Parameters
    ----------
    state : ReviewState
    at_most : int, optional
        Remaining errors outside the list that are tolerated.
    seed : int
    """
    numbers = estimate(state, seed)
    p = None if numbers.calibration is None else numbers.calibration.p_wrong
    open_items = ~state.reviewed
    waiting = np.flatnonzero(state.flagged & open_items)
    # When the list is done, the queue goes on with the most suspicious of the others.
    queued = state.following[open_items[state.following]]
    following = queued if len(queued) else np.flatnonzero(open_items)[:NEXT]
    remaining = _remaining(state, p)
    return ReviewStatus(
        state.run,
        state.progress,
        len(waiting),
        None if p is None else float(p[waiting].sum()),
        remaining,
        len(following),
        None if p is None else float(p[following].sum()),
        None if at_most is None else remaining.high <= at_most,
        numbers,
    )


def _remaining(state: ReviewState, p: np.ndarray | None) -> RemainingErrors:
    pool = ~state.flagged & state.in_frame
    part = uniform_part(state, pool)
    wrong = state.wrong("strict")
    looked = part.distinct
    n_wrong = int(wrong[looked].sum())
    size = int(pool.sum())
    bound = remaining_errors(size, len(looked), n_wrong)
    open_items = pool & ~state.reviewed
    # Reviewed by other ways than the uniform draws: no longer open, and their errors no longer remain.
    others = pool & state.reviewed
    others[looked] = False
    elsewhere, n_open = int((others & wrong).sum()), int(open_items.sum())
    low = min(max(0, int(bound.low) - elsewhere), n_open)
    high = min(max(low, int(bound.high) - elsewhere), n_open)
    expected = max(0.0, bound.value - elsewhere) if p is None else float(p[open_items].sum())
    return RemainingErrors(
        min(max(expected, float(low)), float(high)), low, high, size, n_open, len(looked), n_wrong, part.exact
    )
