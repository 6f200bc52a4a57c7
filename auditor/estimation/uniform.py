"""The uniform part of the audit stream: what exact bounds, conformal lists and the stop rule rest on.

A draw of an item that has probability p is kept when its coin falls below ``p_min / p``. What is kept is an
independent uniform draw from the pool, whatever the probabilities were: so one importance stream serves both the
narrow estimate and the methods that need uniform draws. No weights are needed, and no guarantee is weakened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.estimation.state import ReviewState


@dataclass(frozen=True, eq=False)
class UniformPart:
    """Uniform draws from a pool.

    Attributes
    ----------
    draws : int64 array
        Items, in order of review; repeats occur.
    rate : float
        Expected uniform draws from the pool per draw of the stream, in [0, 1].
    exact : bool
        True for independent draws. False where the stream was drawn in strata: each item has the same chance, but the
        draws are more evenly spread than independent ones.
    """

    draws: np.ndarray
    rate: float
    exact: bool

    @property
    def distinct(self) -> np.ndarray:
        """The items in order of their first draw: a simple random sample without replacement."""
        return np.array(list(dict.fromkeys(self.draws.tolist())), np.int64)

    def stream_draws(self, uniform: int) -> int | None:
        """Draws of the stream that bring about `uniform` uniform ones; None where it brings none."""
        return int(np.ceil(uniform / self.rate)) if self.rate > 0 else None


def uniform_part(state: ReviewState, pool: np.ndarray) -> UniformPart:
    """Thin the usable draws to uniform ones from `pool`.

    Parameters
    ----------
    state : ReviewState
    pool : bool array (n,)
        Fixed without looking at verdicts of the frame; items outside the frame are ignored.
    """
    pool = pool & state.in_frame
    size = int(pool.sum())
    inside = pool[state.draws]
    p = state.probability[inside]
    if state.frame_probability is not None:
        least = float(state.frame_probability[pool].min(initial=np.inf))
        rate = least * size if size else 0.0
    else:
        # Only the drawn items' probabilities are at hand; any number not above them all gives a uniform part.
        least = float(p.min(initial=np.inf))
        rate = float((least / p).sum() / len(state.draws)) if len(p) else 0.0
    kept = state.coins[inside] < least / p if len(p) else np.zeros(0, bool)
    return UniformPart(state.draws[inside][kept], rate, state.design == "importance")
