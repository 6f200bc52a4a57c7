"""The random audit sample: who is drawn, and with which probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from auditor.core.seeds import generator

#: Bands of the ranking, as shares of the items from the most suspicious on. Errors are densest at the top, so the
#: bands are narrow there.
BAND_EDGES: Final = (0.01, 0.05, 0.2, 0.5, 1.0)
#: Share of the draws spread evenly over the items. It caps the weight of any item at 1 / 0.3 of the mean weight
#: (detection-and-statistics, 11.1); the rest is spread evenly over the bands.
UNIFORM: Final = 0.3


@dataclass(frozen=True)
class AuditDraw:
    """A random sample without replacement.

    Attributes
    ----------
    order : int64 array (m,)
        The drawn positions in random order: every prefix is a simple random part of the sample, so stopping after
        j items leaves inclusion probabilities ``inclusion * j / m``.
    inclusion : float64 array (n,)
        Probability with which each position was to be drawn, exact, in (0, 1].
    """

    order: np.ndarray
    inclusion: np.ndarray


def score_bands(n: int) -> np.ndarray:
    """Band of each place of a ranking of `n` items, int64 (n,), most suspicious first; see `BAND_EDGES`."""
    edges = np.ceil(np.array(BAND_EDGES) * n).astype(np.int64)
    return np.searchsorted(edges, np.arange(n), side="right").astype(np.int64)


def draw_audit(band: np.ndarray, classes: np.ndarray, size: int, seed: int) -> AuditDraw:
    """Draw `size` items at random inside strata (band x class).

    Systematic sampling with unequal probabilities: the items are put in order of band and class, at random inside a
    stratum; one random start then picks every item whose piece of the summed probabilities holds a whole number.
    Every item has exactly its probability, and each stratum gets its expected share but for rounding, however many
    strata there are.

    Parameters
    ----------
    band : int array (n,)
        Score band of each item.
    classes : int array (n,)
        Given label of each item.
    size : int
        Items to draw; all are drawn where it is `n` or more.
    seed : int

    Returns
    -------
    AuditDraw

    Source
    ------
    Madow 1949, "On the theory of systematic sampling, II", for the draw; R1 of the specification for the strata.
    """
    n = len(band)
    rng = generator(seed, "review", "audit")
    shuffled = rng.permutation(n)
    if size == 0:
        return AuditDraw(np.empty(0, dtype=np.int64), np.zeros(n))
    if size >= n:
        return AuditDraw(rng.permutation(n).astype(np.int64), np.ones(n))
    inclusion = _probabilities(np.asarray(band, dtype=np.int64), size)
    ordered = shuffled[np.lexsort((classes[shuffled], band[shuffled]))]
    # The sum is `size` but for rounding; made exact so that the number of draws is too.
    ends = np.cumsum(inclusion[ordered])
    ends *= size / ends[-1]
    ticks = rng.uniform() + np.arange(size)
    drawn = ordered[np.minimum(np.searchsorted(ends, ticks, side="right"), n - 1)]
    # An item of probability 1 spans a whole step and is hit once; rounding at its edges could hit it twice.
    drawn = np.unique(drawn)
    return AuditDraw(rng.permutation(drawn).astype(np.int64), inclusion)


def _probabilities(band: np.ndarray, size: int) -> np.ndarray:
    n, counts = len(band), np.bincount(band)
    present = np.flatnonzero(counts)
    weight = np.zeros(len(counts))
    weight[present] = (1 - UNIFORM) / (len(present) * counts[present]) + UNIFORM / n
    # Bands that would need a probability above 1 are taken whole; the rest share what is left.
    whole = np.zeros(len(counts), dtype=bool)
    while True:
        left = size - counts[whole].sum()
        share = weight * ~whole
        rate = share * left / (share * counts).sum()
        over = (rate > 1) & ~whole & (counts > 0)
        if not over.any():
            break
        whole |= over
    rate[whole] = 1.0
    return rate[band]
