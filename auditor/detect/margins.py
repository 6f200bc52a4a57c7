"""The margin family: how far the best other class is ahead of the given label. Functions of arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Added to every probability before its logarithm (not clipped to it), so that a margin stays within 9.22.
LOG_FLOOR = 1e-4
#: Entries that are worked on at once where a step needs a copy: it stays small, and in the cache.
_BLOCK_ENTRIES = 1 << 17


def row_blocks(p: np.ndarray) -> Iterator[slice]:
    """Slices that cut the rows of `p` (n, K) into blocks of about a megabyte of float64."""
    step = max(1, _BLOCK_ENTRIES // p.shape[1])
    for start in range(0, len(p), step):
        yield slice(start, start + step)


def given_probability(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P(given label), (n,), in the dtype of `p`."""
    return p[np.arange(len(labels)), labels]


def best_other(p: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class other than the given label.

    Returns
    -------
    classes : int64 array (n,)
        The lowest class index wins a tie.
    values : array (n,)
        Its entry of `p`.
    """
    classes = np.empty(len(labels), np.int64)
    for rows in row_blocks(p):
        masked = p[rows].copy()
        masked[np.arange(len(masked)), labels[rows]] = -np.inf
        classes[rows] = masked.argmax(axis=1)
    return classes, given_probability(p, classes)


def preferred_class(p: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of the largest entry, the given one among equals.

    Returns
    -------
    classes : int64 array (n,)
    ahead : bool array (n,)
        True where another class is strictly ahead of the given label.
    """
    other, value = best_other(p, labels)
    ahead = value > given_probability(p, labels)
    return np.where(ahead, other, labels), ahead


def log_odds(other: np.ndarray, given: np.ndarray, floor: float = LOG_FLOOR) -> np.ndarray:
    """``log(other + floor) - log(given + floor)``, float64."""
    return np.log(other + floor) - np.log(given + floor)


def log_odds_margin(p: np.ndarray, labels: np.ndarray, floor: float = LOG_FLOOR) -> np.ndarray:
    """``max_{k != y} log(p_ik + floor) - log(p_iy + floor)``, float64 (n,), positive where argmax p != y."""
    return log_odds(best_other(p, labels)[1], given_probability(p, labels), floor)


def id_keys(ids: np.ndarray) -> np.ndarray:
    """What ids are ordered by: the numbers where every id is a whole number written out, else the ids themselves.

    Rows without names are called by their numbers, as numbers where they are arrays and as text in a run folder; the
    order must not depend on which.
    """
    ids = np.asarray(ids)
    if ids.dtype.kind in "iu" or not len(ids) or not str(ids[0]).isdecimal():
        return ids
    text = ids.astype(str)
    try:
        numbers = text.astype(np.int64)
    except (ValueError, OverflowError):
        return ids
    return numbers if (numbers.astype(str) == text).all() else ids


def rank_order(score: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Positions from most to least suspicious: score descending, then item id ascending (`id_keys`).

    Ties are broken by identity and never by row position, so that the order of the rows changes nothing.
    """
    return np.lexsort((id_keys(ids), -np.asarray(score, dtype=np.float64)))
