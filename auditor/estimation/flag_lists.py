"""Flag lists with a guarantee: a bounded false discovery rate, or a precision with stated confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from auditor.core.errors import DataError, UsageError
from auditor.estimation.state import RIGHT, ReviewState
from auditor.estimation.uniform import UniformPart, uniform_part
from auditor.review.vocabulary import Treatment
from auditor.stats.fdr import Selection, select_fdr
from auditor.stats.precision import reviews_for_first_cut, select_precision


@dataclass(frozen=True, eq=False)
class FlagList:
    """Labels flagged, and what is guaranteed of them.

    Attributes
    ----------
    kind : str
        ``"fdr"`` or ``"precision"``.
    positions : int64 array
        Places in ``run.scores``, most suspicious first; empty where no list can be guaranteed.
    guarantee : str
        In words.
    uniform_reviews : int
        Reviews it rests on.
    candidates : int
        Items it could have flagged.
    more_uniform, more_draws : int
        Further uniform reviews, and draws of the audit stream that bring them about, after which a list becomes
        possible; 0 if there is one.
    left_out : int
        Items of the list that were reviewed and found right: taken out, which can only raise the precision.
    """

    kind: Literal["fdr", "precision"]
    positions: np.ndarray
    guarantee: str
    uniform_reviews: int
    candidates: int
    more_uniform: int
    more_draws: int
    left_out: int

    def __repr__(self) -> str:
        return f"FlagList of {len(self.positions):,} items: {self.words()}"

    def words(self) -> str:
        """The guarantee, or what is missing."""
        if len(self.positions):
            return self.guarantee
        if not self.candidates:
            return "empty list: there are no candidates"
        return (
            f"empty list: {self.guarantee}; about {self.more_uniform:,} more uniform reviews needed "
            f"(about {self.more_draws:,} more draws of the audit stream)"
        )


def flag_at_fdr(state: ReviewState, q: float, treatment: Treatment = "strict") -> FlagList:
    """Flag so that on average at most a share `q` of the flagged labels is right (conformal selection).

    Needs uniform draws; those are the uniform part of the importance draws. The score has not seen any verdict.

    Raises
    ------
    UsageError
        If the audit stream was drawn in strata, or q is not between 0 and 1.
    """
    if not 0 < q < 1:
        raise UsageError(f"--fdr is {q}; it must lie between 0 and 1.")

    def select(place: np.ndarray, wrong: np.ndarray) -> Selection:
        try:
            return select_fdr(state.score[state.frame], place, wrong, q)
        except DataError as error:
            raise DataError(f"cannot select a list: {error.what}", error.way_out) from error

    part = _required(state, state.in_frame)
    return _list(state, "fdr", state.in_frame, part, part.distinct, select, treatment)


def flag_at_precision(
    state: ReviewState, precision: float, confidence: float, treatment: Treatment = "strict"
) -> FlagList:
    """Flag so that with the stated confidence at least a share `precision` of the flagged labels is wrong.

    Candidates are the items of the frame whose label the model does not prefer (margin above 0); the cuts go along
    the run's ranking.

    Raises
    ------
    UsageError
        As `flag_at_fdr`.
    """
    if not (0 < precision < 1 and 0 < confidence < 1):
        raise UsageError(f"--precision {precision} and --confidence {confidence} must lie between 0 and 1.")
    pool = (state.margin > 0) & state.in_frame  # in the order of the ranking

    def select(place: np.ndarray, wrong: np.ndarray) -> Selection:
        return select_precision(np.arange(pool.sum()), place, wrong, precision, confidence)

    part = _required(state, pool)
    # Below the least number with which any cut can pass, that number is what is missing.
    least = reviews_for_first_cut(1 - precision, 1 - confidence)
    return _list(state, "precision", pool, part, part.draws, select, treatment, least)


def _required(state: ReviewState, pool: np.ndarray) -> UniformPart:
    if state.design != "importance":
        raise UsageError(
            "a list with a guarantee needs independent draws; this audit stream was drawn in strata when the run was "
            "loaded.",
            f"Draw one with: auditor sample {state.run} --budget 300",
        )
    return uniform_part(state, pool)


def _list(
    state: ReviewState,
    kind: Literal["fdr", "precision"],
    pool: np.ndarray,
    part: UniformPart,
    reviewed: np.ndarray,
    select: Callable[[np.ndarray, np.ndarray], Selection],
    treatment: Treatment,
    least: int = 0,
) -> FlagList:
    candidates, place = np.flatnonzero(pool), np.cumsum(pool) - 1
    selection = select(place[reviewed], state.wrong(treatment)[reviewed])
    positions = candidates[selection.flagged]
    missing = 0 if len(positions) or not len(candidates) else max(selection.more_reviews, least - len(part.draws))
    draws = part.stream_draws(missing) if missing else 0
    right = state.outcome[positions] == RIGHT
    return FlagList(
        kind,
        positions[~right],
        selection.guarantee,
        len(part.draws),
        len(candidates),
        missing,
        missing if draws is None else draws,
        int(right.sum()),
    )
