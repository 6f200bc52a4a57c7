"""The audit stream: items drawn for review with known probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.core.errors import DataError

#: Share of the draws that is uniform. It caps every weight at 1 / UNIFORM_SHARE = 3.33, and it is what finds errors
#: the model cannot see.
UNIFORM_SHARE = 0.3
#: Least standard deviation the model's own doubt is taken for: no model is that sure.
LEAST_DOUBT = 0.02
#: The same for items whose given label the model would change. They are few, and networks are too sure of them: drawn
#: as rarely as the model's own doubt asks, those that are right after all are rare jumps of a large weight, and a
#: review that meets none of them has an interval that lies too high (`benchmarks/interval_coverage.py`).
CANDIDATE_DOUBT = 0.2


@dataclass(frozen=True, eq=False)
class AuditSample:
    """Draws from a frame of n items.

    Attributes
    ----------
    positions : int64 array (B,)
        Item of each draw; an item drawn twice occurs twice, is reviewed once and counts twice.
    weights : float64 array (B,)
        ``1 / (n * probability of the item in one draw)``: 1 for uniform draws.
    n_items : int
        Size of the frame.
    max_weight : float
        Largest weight any item of the frame could have had.
    replaced : bool
        Whether the draws are independent, with replacement; False for a sample of different items.
    """

    positions: np.ndarray
    weights: np.ndarray
    n_items: int
    max_weight: float
    replaced: bool = True

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions, dtype=np.int64)
        weights = np.asarray(self.weights, dtype=np.float64)
        if positions.ndim != 1 or positions.shape != weights.shape:
            raise DataError(f"audit sample: {positions.shape} positions and {weights.shape} weights.")
        if len(positions) and not 0 <= positions.min() <= positions.max() < self.n_items:
            raise DataError(f"audit sample: a position is outside the {self.n_items} items.")
        if not ((weights > 0) & (weights <= self.max_weight * (1 + 1e-9))).all():
            raise DataError(f"audit sample: a weight is not positive, or above the largest, {self.max_weight:.3g}.")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return len(self.positions)

    def inclusion(self, weights: np.ndarray | float) -> np.ndarray:
        """Chance that an item of this weight is among the draws at all."""
        return inclusion_probabilities(1 / (self.n_items * np.asarray(weights)), len(self), self.replaced)


def inclusion_probabilities(p: np.ndarray, draws: int, replaced: bool = True) -> np.ndarray:
    """Chance that an item is drawn at least once in `draws` draws with probability `p` each.

    ``1 - (1 - p)^draws``; without replacement ``draws * p``, at most 1.
    """
    p = np.asarray(p, np.float64)
    if not replaced:
        return np.minimum(draws * p, 1.0)
    return -np.expm1(draws * np.log1p(-np.minimum(p, 1 - 1e-12)))


def audit_probabilities(
    margin: np.ndarray,
    uniform_share: float = UNIFORM_SHARE,
    candidate_share: float = 0.0,
    candidate_doubt: float = CANDIDATE_DOUBT,
) -> np.ndarray:
    """Probability of each item in one draw: proportional to the model's doubt, with a uniform floor.

    ``s = sigmoid(margin); a = sqrt(max(s (1 - s), d^2)); pi = (1 - u - c) a / sum(a) + u / n + c [margin > 0] / m``,
    m the number of candidates, i.e. items with a margin above 0, and d 0.02, for candidates `candidate_doubt`. For a
    calibrated model the variance of the difference
    estimator is smallest with probabilities proportional to ``a``; a list with a promised precision needs uniform
    draws among the candidates, of which the doubtful ones alone bring few.

    Parameters
    ----------
    margin : float64 array (n,)
        Log-odds that the given label is wrong.
    uniform_share : float
        u, in (0, 1]; 1 draws uniformly.
    candidate_share : float
        c, in [0, 1 - u]; without candidates these draws are spread as the doubt is.
    candidate_doubt : float
        Least doubt about a candidate, in (0, 1/2]. Streams drawn before there was one have `LEAST_DOUBT`.

    Returns
    -------
    float64 array (n,)
        Sums to 1.
    """
    margin = np.asarray(margin, np.float64)
    if margin.ndim != 1 or len(margin) == 0 or not np.isfinite(margin).all():
        raise DataError("audit: the scores must be a non-empty list of finite numbers.")
    if not 0 < uniform_share <= 1:
        raise DataError(f"audit: the uniform share is {uniform_share}; it must be above 0 and at most 1.")
    if not 0 <= candidate_share <= 1 - uniform_share:
        raise DataError(f"audit: the share of candidates is {candidate_share}; at most {1 - uniform_share:g} is left.")
    if not 0 < candidate_doubt <= 0.5:
        raise DataError(f"audit: the least doubt about a candidate is {candidate_doubt}; it is above 0, at most 0.5.")
    s, candidates = expit(margin), margin > 0
    doubt = np.sqrt(np.maximum(s * (1 - s), np.where(candidates, candidate_doubt, LEAST_DOUBT) ** 2))
    share = candidate_share if candidates.any() else 0.0
    p = (1 - uniform_share - share) * doubt / doubt.sum() + uniform_share / len(margin)
    return p + share * candidates / candidates.sum() if share else p


def draw_audit(probabilities: np.ndarray, draws: int, rng: np.random.Generator) -> AuditSample:
    """Draw `draws` items with replacement.

    Parameters
    ----------
    probabilities : float64 array (n,)
        Of one draw; from `audit_probabilities`.
    draws : int
    rng : numpy Generator
    """
    if draws < 1:
        raise DataError(f"audit: {draws} draws; at least one is needed.")
    n = len(probabilities)
    cumulative = np.cumsum(probabilities)
    positions = np.searchsorted(cumulative, rng.random(draws) * cumulative[-1], side="right")
    positions = np.minimum(positions, n - 1)
    return AuditSample(positions, 1.0 / (n * probabilities[positions]), n, 1.0 / (n * float(probabilities.min())))
