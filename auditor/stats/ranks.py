"""Ranks, ties and the agreement of two rankings."""

from __future__ import annotations

import numpy as np

from auditor.core.errors import DataError


def min_ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value, 1 = highest; equal values share the smallest rank.

    Parameters
    ----------
    values : float array (..., m)

    Returns
    -------
    int64 array (..., m)
    """
    values = np.asarray(values, np.float64)
    return 1 + (values[..., None, :] > values[..., :, None]).sum(axis=-1)


def pair_signs(values: np.ndarray) -> np.ndarray:
    """Sign of ``values[a] - values[b]``, int8 (..., m (m - 1) / 2), for all pairs a < b: (0, 1), (0, 2), ..

    Differences below 1e-12 are ties: they come from dividing equal counts.
    """
    values = np.asarray(values, np.float64)
    a, b = np.triu_indices(values.shape[-1], 1)
    difference = values[..., a] - values[..., b]
    return np.where(np.abs(difference) < 1e-12, 0, np.sign(difference)).astype(np.int8)


def kendall_tau(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Kendall's tau-b from pair signs, along the last axis; NaN where one ranking is all ties.

    Parameters
    ----------
    first, second : int8 arrays (..., pairs)
        From `pair_signs`.
    """
    x, y = np.asarray(first, np.int64), np.asarray(second, np.int64)
    both = (x * y).sum(axis=-1)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(scale > 0, both / scale, np.nan))


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation with average ranks for ties; NaN where one ranking is all ties."""
    x, y = _average_ranks(first), _average_ranks(second)
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _average_ranks(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    above = (values[None, :] > values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return above + (equal + 1) / 2


def rank_bounds(better: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks a model can have, given which differences are established.

    Where `better` holds with simultaneous confidence (Holm), so do all these ranks together.

    Parameters
    ----------
    better : bool array (m, m)
        ``[a, b]``: a is established to be better than b.

    Returns
    -------
    low, high : int64 arrays (m,)
        Best and worst possible rank, 1 = best.
    """
    better = np.asarray(better, bool)
    if better.ndim != 2 or better.shape[0] != better.shape[1] or (better & better.T).any():
        raise DataError("'better' must be a square table in which no two models beat each other.")
    return 1 + better.sum(axis=0), len(better) - better.sum(axis=1)


def tie_groups(values: np.ndarray, different: np.ndarray) -> list[list[int]]:
    """Runs of the ranking in which no two models are established to differ, as long as possible.

    Parameters
    ----------
    values : float array (m,)
    different : bool array (m, m)
        Symmetric.

    Returns
    -------
    list of lists of int
        Positions, best first; a model can be in several groups.
    """
    order = np.argsort(-np.asarray(values, np.float64), kind="stable")
    groups: list[list[int]] = []
    last = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not different[order[stop], order[start:stop]].any():
            stop += 1
        if stop > last:  # otherwise part of the group before
            groups.append(order[start:stop].tolist())
            last = stop
    return groups
