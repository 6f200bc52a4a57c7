"""Nearest neighbours by cosine: blocks of one matrix product, scanned once for the k largest; approximate for many."""

from __future__ import annotations

import numpy as np

from auditor.core.errors import DataError
from auditor.detect.approximate import approximate_neighbours, largest_entries, leading_axes, sampled_rows

#: Most items compared with one another that are all compared; above, `approximate_neighbours` searches.
EXACT_LIMIT = 50_000

#: Products of numbers above which comparing all rows takes minutes; rows are then narrowed (`narrowed`).
COSTLY = 2e12
#: Width of narrowed rows: a fifteenth of the products for 3,824 features of an encoder, and most neighbours stay the
#: same.
NARROW = 256

#: Bytes of one block of similarities (float32). Small enough to stay near the cache, large enough for BLAS.
BLOCK_BYTES = 1 << 26


def is_exact(n: int) -> bool:
    """Whether the neighbours among `n` items are searched exactly."""
    return n <= EXACT_LIMIT


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; zero rows stay zero."""
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    norms = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return (rows / np.where(norms > 0, norms, 1.0)).astype(np.float32)


def is_costly(n: int, width: int) -> bool:
    """Whether n rows of this width are narrowed before they are compared."""
    return width > NARROW and n * n * width > COSTLY


def narrowed(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 along their leading `NARROW` directions, float16 (n, NARROW), found on a sample of the rows.

    Cosines become larger, because what the other directions hold is left out.
    """
    axes = leading_axes(unit_rows(rows[sampled_rows(len(rows))]), NARROW)
    out = np.empty((len(rows), NARROW), np.float16)
    for start in range(0, len(rows), 4096):
        out[start : start + 4096] = unit_rows(unit_rows(rows[start : start + 4096]) @ axes)
    return out


def nearest(
    embeddings: np.ndarray, k: int, folds: np.ndarray | None = None, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other items of every item; nearly those where more than `EXACT_LIMIT` are compared.

    Parameters
    ----------
    embeddings : float array (n, d)
        Rows are scaled to length 1 here; a zero row has cosine 0 with everything.
    k : int
    folds : array (n,), optional
        Neighbours have the same value as the item.
    groups : array (n,), optional
        Neighbours have another value than the item: (near) duplicates are left out.

    Returns
    -------
    positions : int64 array (n, k)
        Nearest first, the lower position first among equals; -1 where there are fewer than k.
    cosines : float32 array (n, k)
        0 where there is no neighbour.
    """
    n = len(embeddings)
    if k < 1:
        raise DataError(f"{k} neighbours asked for.", "Ask for at least one.")
    unit = unit_rows(embeddings)
    codes = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    positions = np.full((n, k), -1, dtype=np.int64)
    cosines = np.zeros((n, k), dtype=np.float32)
    if folds is None:
        members = [np.arange(n)]
    else:
        members = [np.flatnonzero(folds == value) for value in np.unique(folds)]
    for member in members:
        _within(unit[member], member, codes[member].astype(np.int64), positions, cosines)
    return positions, cosines


def _within(
    unit: np.ndarray, member: np.ndarray, codes: np.ndarray, positions: np.ndarray, cosines: np.ndarray
) -> None:
    """Fill the rows `member` of the result with neighbours among `member`."""
    m, k = len(member), positions.shape[1]
    if not is_exact(m):
        best, values = approximate_neighbours(unit, codes, k)
        positions[member] = np.where(best >= 0, member[best], -1)
        cosines[member] = values
        return
    step = max(1, min(m, BLOCK_BYTES // (4 * m)))
    for start in range(0, m, step):
        similar = unit[start : start + step] @ unit.T
        best, values = largest_entries(similar, codes[start : start + step], codes, k)
        rows = member[start : start + step]
        positions[rows] = np.where(best >= 0, member[best], -1)
        cosines[rows] = np.where(best >= 0, values, 0.0)
