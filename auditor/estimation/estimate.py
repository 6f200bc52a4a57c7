"""How many labels are wrong: the total with its interval, beside it the exact ones, by class and by pair of classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from auditor.core.errors import DataError
from auditor.core.escaping import printable
from auditor.core.seeds import generator
from auditor.core.views import VIEWS
from auditor.estimation.probability import Calibration, calibrate
from auditor.estimation.reviewer_error import NOT_CORRECTED, ReviewerError, reviewer_error
from auditor.estimation.state import ReviewState
from auditor.estimation.uniform import uniform_part
from auditor.review.sampling import score_bands
from auditor.review.vocabulary import Treatment
from auditor.stats.intervals import Interval
from auditor.stats.totals import (
    LEAST_FOR_A_NUMBER,
    Total,
    correct_for_reviewer,
    estimate_total,
    number_words,
    stratified_total,
    uniform_total,
)

#: Draws and errors a part (class, pair of classes) needs before it gets a number of its own.
LEAST_DRAWS: Final = LEAST_FOR_A_NUMBER
LEAST_ERRORS: Final = 5
NOT_ENOUGH: Final = "not enough reviews"
#: Uniform draws below which the exact interval beside the estimate says nothing.
LEAST_UNIFORM: Final = 10


@dataclass(frozen=True)
class TreatedTotals:
    """The number of wrong labels under one treatment of ambiguous verdicts.

    Attributes
    ----------
    treatment : str
    total : Total
        Frame and exactly known items together.
    uniform, stratified : Total or None
        Exact intervals from the uniform part; None where it is too small.
    corrected : Total or None
        Corrected for reviewer error, from first verdicts; None where `reviewer_note` says why.
    reviewer : ReviewerError or None
    reviewer_note : str
        What the correction rests on, or why there is none.
    """

    treatment: Treatment
    total: Total
    uniform: Total | None
    stratified: Total | None
    corrected: Total | None
    reviewer: ReviewerError | None
    reviewer_note: str


@dataclass(frozen=True)
class PartEstimate:
    """A class (`suggested` is None) or a pair of given and suggested class; strict treatment.

    `estimate` is None where there are fewer than `LEAST_DRAWS` draws or `LEAST_ERRORS` errors.
    """

    given: str
    suggested: str | None
    items: int
    draws: int
    errors: int
    estimate: Interval | None


@dataclass(frozen=True)
class ErrorEstimate:
    """What the verdicts say about the number of wrong labels.

    Attributes
    ----------
    state : ReviewState
        What it rests on.
    strict, lenient : TreatedTotals or None
        None without a usable draw, and `notes` say so.
    classes, pairs : tuple of PartEstimate
        All classes; the pairs with an estimate. None where labels are no classes.
    pairs_without : int
        Pairs with a draw but no estimate.
    calibration : Calibration or None
    notes : tuple of str
    """

    state: ReviewState
    strict: TreatedTotals | None
    lenient: TreatedTotals | None
    classes: tuple[PartEstimate, ...]
    pairs: tuple[PartEstimate, ...]
    pairs_without: int
    calibration: Calibration | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        state = self.state
        lines = [f"ErrorEstimate of {state.run}: {state.judged:,} of {state.planned:,} draws judged"]
        for t in (self.strict, self.lenient):
            if t is not None:
                ambiguous = "wrong" if t.treatment == "strict" else "right"
                lines.append(
                    f"{number_words(t.total)} of {len(state):,} labels are wrong; ambiguous ones count as {ambiguous}"
                )
        return "\n  ".join(map(printable, [*lines, *self.notes[:2]]))

    def _repr_html_(self) -> str:
        return str(VIEWS.load("estimate")(self))


def estimate(state: ReviewState, seed: int = 0) -> ErrorEstimate:
    """Total number of wrong labels among the audited items.

    The frame is estimated by the cross-fitted difference estimator (`stats.totals.estimate_total`) on the run's
    ranking; items known outside the frame are added exactly. Limits hold for a nominal 95 %.

    Parameters
    ----------
    state : ReviewState
    seed : int
        Of the halves of the cross-fit.
    """
    notes = []
    unknown = int((~state.in_frame & ~state.known).sum())
    if unknown:
        notes.append(
            f"the verdicts on {unknown} item(s) outside the frame were taken back: they are counted as possibly wrong"
        )
    strict = lenient = calibration = None
    classes: list[PartEstimate] = []
    pairs: list[PartEstimate] = []
    if len(state.draws) or not len(state.frame):
        strict, lenient = (_treated(state, t, seed) for t in ("strict", "lenient"))
        classes = [_part(state, name, None, state.given == name, seed) for name in state.class_names]
        # Of labels that are no classes hardly two are alike.
        told = state.draws if state.class_names else state.draws[:0]
        drawn = zip(state.given[told], state.suggested[told], strict=True)
        for given, suggested in sorted({(str(g), str(s)) for g, s in drawn}):
            domain = (state.given == given) & (state.suggested == suggested)
            pairs.append(_part(state, given, suggested, domain, seed))
        calibration = calibrate(state, frame_total(state, state.wrong("strict"), seed).estimate.value, seed)
    else:
        notes.append("no estimate yet: the audit stream has no verdicts it can use (auditor sample, then review)")
    if state.judged > len(state.draws) and len(state.frame):
        notes.append(
            f"{state.judged - len(state.draws)} judged draw(s) are not used: they are known exactly, or come after "
            "one that is still open"
        )
    estimated = tuple(part for part in pairs if part.estimate is not None)
    return ErrorEstimate(
        state, strict, lenient, tuple(classes), estimated, len(pairs) - len(estimated), calibration, tuple(notes)
    )


def _rng(seed: int) -> np.random.Generator:
    # The same halves for every treatment and part: their differences are not those of the split.
    return generator(seed, "numbers", "halves")


def frame_total(state: ReviewState, wrong: np.ndarray, seed: int = 0, domain: np.ndarray | None = None) -> Total:
    """Wrong labels in the frame of the audit stream, or in the part of it that lies in `domain`, bool (n,).

    `wrong` is over all items, bool (n,). This is the interval every command reports; items known exactly come on top.
    """
    if not len(state.frame):
        return Total(Interval(0.0, 0.0, 0.0, 0.95), "all reviewed", 0, 0)
    inside = None if domain is None else domain[state.frame]
    score = state.score[state.frame]
    return estimate_total(score, state.sample, wrong[state.draws], _rng(seed), domain=inside)


def with_known(state: ReviewState, total: Total, wrong: np.ndarray, domain: np.ndarray) -> Total:
    """Add what lies in `domain`, bool (n,), but outside the frame: items known exactly, those that may be either."""
    e, exact = total.estimate, int((wrong & domain & state.known).sum())
    unknown = int((domain & ~state.in_frame & ~state.known).sum())
    interval = Interval(e.value + exact, e.low + exact, e.high + exact + unknown, e.level)
    return replace(total, estimate=interval, found=total.found + exact)


def _treated(state: ReviewState, treatment: Treatment, seed: int) -> TreatedTotals:
    everything, wrong = np.ones(len(state), bool), state.wrong(treatment)
    total = with_known(state, frame_total(state, wrong, seed), wrong, everything)
    uniform, stratified = (t and with_known(state, t, wrong, everything) for t in _exact_totals(state, wrong))
    error = reviewer_error(state, treatment)
    corrected, note = None, error if isinstance(error, str) else error.basis
    if isinstance(error, ReviewerError):
        # One verdict per item: sensitivity and specificity are those of a single verdict, not of a majority.
        first = state.wrong(treatment, state.first)
        seen = with_known(state, frame_total(state, first, seed), first, everything)
        specificity = None if error.same else error.specificity
        try:
            corrected = correct_for_reviewer(seen, len(state), error.sensitivity, specificity)
        except DataError as refusal:
            note = f"{NOT_CORRECTED}: {refusal.what}"
    known_error = None if isinstance(error, str) else error
    return TreatedTotals(treatment, total, uniform, stratified, corrected, known_error, note)


def _exact_totals(state: ReviewState, wrong: np.ndarray) -> tuple[Total | None, Total | None]:
    """Exact intervals over the frame: of its uniform part, and of the uniform parts of its score bands."""
    size = len(state.frame)
    draws = uniform_part(state, state.in_frame).draws
    uniform = uniform_total(wrong[draws], size) if len(draws) >= LEAST_UNIFORM else None
    band = np.full(len(state), -1)
    band[state.frame] = score_bands(size)
    # Within a band the probabilities differ less: more draws survive the thinning than over the whole frame.
    parts = [uniform_part(state, band == b).draws for b in np.unique(band[band >= 0])]
    drawn = np.concatenate(parts) if parts else np.empty(0, np.int64)
    if len(drawn) < LEAST_UNIFORM:
        return uniform, None
    place = np.cumsum(state.in_frame) - 1
    return uniform, stratified_total(band[state.frame], place[drawn], wrong[drawn])


def _part(state: ReviewState, given: str, suggested: str | None, domain: np.ndarray, seed: int) -> PartEstimate:
    wrong = state.wrong("strict")
    draws = int(domain[state.draws].sum())
    errors = int((wrong & domain)[state.draws].sum())
    interval = None
    if draws >= LEAST_DRAWS and errors >= LEAST_ERRORS:
        interval = with_known(state, frame_total(state, wrong, seed, domain), wrong, domain).estimate
    return PartEstimate(given, suggested, int(domain.sum()), draws, errors, interval)
