"""What a sample will tell, before anybody reviews it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.stats.precision import reviews_for_first_cut
from auditor.stats.sampling import (
    CANDIDATE_DOUBT,
    LEAST_DOUBT,
    UNIFORM_SHARE,
    audit_probabilities,
    inclusion_probabilities,
)
from auditor.stats.totals import expected_half_width

#: A list with a promised precision is possible from `reviews_for_first_cut` uniform reviews on, all of them finds; with
#: so many times as many it also stands a few reviews that are none.
ROOM = 3
#: Least and most of the draws that go to the candidates. The total hardly suffers (`benchmarks/results/statistics.md`):
#: every draw counts for it. With 0.3 of 1,000 draws, where 0.09 are needed, its interval covered 92 % on one network.
LEAST_FOR_CANDIDATES, MOST_FOR_CANDIDATES = 0.15, 0.5


@dataclass(frozen=True)
class Expected:
    """If the model's doubts are about right.

    Attributes
    ----------
    budget : int
        Draws.
    items : float
        Different items among them, expected.
    half_width : float
        Of the 95 % interval of the number of wrong labels.
    uniform_half_width : float
        With as many uniform draws.
    uniform_candidates : float
        Expected uniform draws among the candidates, for `auditor flag --precision`.
    candidates_needed : int or None
        The least number of them with which any list at the target precision is possible; None without a target.
    budget_needed : int or None
        Draws that bring that many about.
    """

    budget: int
    items: float
    half_width: float
    uniform_half_width: float
    uniform_candidates: float
    candidates_needed: int | None
    budget_needed: int | None


def candidate_share(margin: np.ndarray, budget: int, target_precision: float, confidence: float) -> float:
    """Share of `budget` draws to spread evenly over the candidates, so that a list of this precision is within reach.

    Rounded to hundredths: it is kept with the stream.
    """
    wanted = ROOM * reviews_for_first_cut(1 - target_precision, 1 - confidence)
    already = UNIFORM_SHARE * float((np.asarray(margin) > 0).mean())
    return math.ceil(100 * min(max(wanted / budget - already, LEAST_FOR_CANDIDATES), MOST_FOR_CANDIDATES)) / 100


def expect(
    margin: np.ndarray,
    budget: int,
    target_precision: float | None = None,
    confidence: float = 0.95,
    candidates_share: float = 0.0,
    candidate_doubt: float = CANDIDATE_DOUBT,
) -> Expected:
    """Expected precision of a sample of `budget` draws from items with these margins.

    The width is that of the limits of `stats.totals.estimate_total`, if each label is wrong with the model's own doubt.
    A model that is too sure of itself gets a wider interval than this says. `candidates_share` and `candidate_doubt`
    are those of the stream (`audit_probabilities`).
    """
    n, p = len(margin), audit_probabilities(margin, UNIFORM_SHARE, candidates_share, candidate_doubt)
    chance = np.clip(expit(margin), LEAST_DOUBT**2, 1 - CANDIDATE_DOUBT**2)
    drawn = inclusion_probabilities(p, budget)
    evenly = inclusion_probabilities(np.full(n, 1 / n), budget)
    candidates = margin > 0
    rate = float(p[candidates].min(initial=np.inf)) * int(candidates.sum()) if candidates.any() else 0.0
    needed = None if target_precision is None else reviews_for_first_cut(1 - target_precision, 1 - confidence)
    return Expected(
        budget,
        float(drawn.sum()),
        expected_half_width(chance, drawn),
        expected_half_width(np.full(n, chance.mean()), evenly),
        budget * rate,
        needed,
        None if needed is None or rate == 0 else math.ceil(needed / rate),
    )
