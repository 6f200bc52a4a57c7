"""Whether networks of lower capacity lose less where labels are corrected: rank correlations with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError
from auditor.core.seeds import generator
from auditor.stats.ranks import spearman

#: Draws of items handled at once.
_BLOCK = 200


@dataclass(frozen=True)
class Relation:
    """Spearman's correlation of capacity with another figure of the same networks.

    Attributes
    ----------
    value : float
        NaN where one of the two is the same for all networks.
    low, high : float
        95 % percentile limits over items drawn again, the networks given; NaN where hardly a draw defines the
        correlation.
    p : float
        Two-sided, by exchanging networks: how often a capacity that has nothing to do with the figure correlates as
        strongly.
    networks, items : int
        Networks, and items the figure rests on that are not benign.
    """

    value: float
    low: float
    high: float
    p: float
    networks: int
    items: int


def capacity_relations(
    capacity: np.ndarray, benign: np.ndarray, before: np.ndarray, after: np.ndarray, draws: int, seed: int
) -> dict[str, Relation]:
    """Capacity beside two figures of each network.

    ``slope``: accuracy on correctable items with corrected labels minus accuracy on benign items; the slope of the
    network's line A(N) over the prevalence N of correctable items (Northcutt et al. 2021). If lower capacity wins as
    noise grows, large networks fall more steeply: a negative correlation. ``recovered``: accuracy on correctable items
    with corrected minus with original labels; networks that learned the wrong labels have little of it: again a
    negative correlation if large networks learn them more.

    Parameters
    ----------
    capacity : float array (m,)
        Parameters or MACs of each network.
    benign : float array (m, n_benign)
    before, after : float arrays (m, n_correctable)
        Right answers in [0, 1] (means over seeds) on benign items, and on correctable ones by the original and by the
        corrected label.
    draws : int
        Of items, and of exchanged networks.
    seed : int

    Returns
    -------
    dict
        ``slope`` and ``recovered``.

    Raises
    ------
    DataError
        For fewer than three networks, no items, or arrays that do not fit together.
    """
    size = np.asarray(capacity, np.float64)
    b, old, new = (np.asarray(a, np.float64) for a in (benign, before, after))
    m = len(size)
    if m < 3:
        raise DataError(f"{m} network(s): a relation with capacity needs at least 3.")
    if old.shape != new.shape or len(b) != m or len(old) != m or not b.shape[1] or not old.shape[1]:
        raise DataError(f"arrays of shapes {size.shape}, {b.shape}, {old.shape} and {new.shape} do not fit together.")
    figures = {"slope": new.mean(1) - b.mean(1), "recovered": (new - old).mean(1)}
    drawn = _drawn(b, old, new, draws, seed)
    return {name: _relation(size, figure, drawn[name], old.shape[1], draws, seed) for name, figure in figures.items()}


def _drawn(b: np.ndarray, old: np.ndarray, new: np.ndarray, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Both figures of every network in every draw of items, float64 (draws, m)."""
    random = generator(seed, "capacity", "items")
    n, k = b.shape[1], old.shape[1]
    slopes: dict[str, list[np.ndarray]] = {"slope": [], "recovered": []}
    for start in range(0, draws, _BLOCK):
        rows = min(_BLOCK, draws - start)
        on_benign = random.multinomial(n, np.full(n, 1 / n), size=rows) @ b.T / n
        weights = random.multinomial(k, np.full(k, 1 / k), size=rows)
        slopes["slope"].append(weights @ new.T / k - on_benign)
        slopes["recovered"].append(weights @ (new - old).T / k)
    return {name: np.concatenate(parts) for name, parts in slopes.items()}


def _relation(size: np.ndarray, figure: np.ndarray, drawn: np.ndarray, items: int, draws: int, seed: int) -> Relation:
    value = spearman(size, figure)
    if not np.isfinite(value):
        return Relation(math.nan, math.nan, math.nan, math.nan, len(size), items)
    again = np.array([spearman(size, row) for row in drawn])
    defined = again[np.isfinite(again)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) > draws / 2 else (math.nan, math.nan)
    random = generator(seed, "capacity", "networks")
    exchanged = np.array([spearman(random.permutation(size), figure) for _ in range(draws)])
    p = (1 + np.count_nonzero(np.abs(exchanged) >= abs(value) - 1e-12)) / (1 + draws)
    return Relation(value, float(low), float(high), float(p), len(size), items)
