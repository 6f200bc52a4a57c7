"""prune_by_noise_rate without a second full look at the probabilities.

For given class k and other class j the rule flags the R rows of class k with the largest margin p_j - p_k, ties
as ``numpy.argsort`` leaves them, and keeps the candidates among them. The scan stored, for candidates, every
p_j above p_k and above a floor. If at least R of them exist and the R-th largest margin v is above the floor,
nothing else can reach v, and the pair is *resolved*. The other pairs are read once more, and only for rows whose
margin can matter: p_j >= 0 bounds a margin from below by -p_k, so the R smallest p_k of the class bound v, and a
row's largest margin is known from the scan.
"""

from __future__ import annotations

import numba
import numpy as np

from auditor.engine.executors import Executor, run_kernel
from auditor.engine.pairs import PairReader, balanced
from auditor.engine.scan import RowStore
from auditor.engine.semantics import THRESHOLD_FLOOR


@numba.njit(nogil=True, cache=True)
def _count_pairs(base, rows, columns, labels, wanted, counts):  # type: ignore[no-untyped-def]
    n_classes = wanted.shape[0]
    for e in range(len(rows)):
        j = columns[e]
        y = labels[base + np.int64(rows[e])]
        if wanted[j, y] > 0:
            counts[np.int64(y) * n_classes + j] += 1


@numba.njit(nogil=True, cache=True)
def _fill_pairs(base, rows, columns, values, given, labels, wanted, position, margins, members):  # type: ignore[no-untyped-def]
    n_classes = wanted.shape[0]
    for e in range(len(rows)):
        j = columns[e]
        i = base + np.int64(rows[e])
        y = labels[i]
        if wanted[j, y] > 0:
            pair = np.int64(y) * n_classes + j
            margins[position[pair]] = values[e] - given[i]
            members[position[pair]] = i
            position[pair] += 1


@numba.njit(nogil=True, cache=True)
def _resolve(first, last, pairs, wanted, offsets, margins, members, least, flagged, open_pairs):  # type: ignore[no-untyped-def]
    """Flag the rows of pairs[first:last] that the stored entries decide; mark the others as open."""
    n_classes = wanted.shape[0]
    for p in range(first, last):
        pair = pairs[p]
        k = pair // n_classes
        count = wanted[pair % n_classes, k]
        a = offsets[pair]
        b = offsets[pair + 1]
        open_pairs[p] = True
        if b - a < count:
            continue
        if b - a == count:
            v = margins[a:b].min()
        else:
            v = np.partition(margins[a:b], b - a - count)[b - a - count]
        if v < least:
            continue
        reached = 0
        for e in range(a, b):
            reached += 1 if margins[e] >= v else 0
        if reached > count:
            continue
        open_pairs[p] = False
        for e in range(a, b):
            if margins[e] >= v:
                flagged[members[e]] = True


def noise_rate_rows(
    reader: PairReader, store: RowStore, wanted: np.ndarray, executor: Executor
) -> tuple[np.ndarray, int]:
    """Rows flagged by prune_by_noise_rate, before the un-flag step removes the others.

    Parameters
    ----------
    wanted : int64 array (K, K)
        ``[j, k]``: how many rows of given class k to flag toward class j; the diagonal and the classes that may
        not be pruned are zero.

    Returns
    -------
    flagged : bool array (N,)
        Right for candidates; other rows may be missing, and are un-flagged anyway.
    read_again : int
        Pairs of classes for which probabilities were read a second time.
    """
    labels = reader.labels
    n_classes = len(wanted)
    flagged = np.zeros(len(labels), np.bool_)
    counts = np.zeros(n_classes * n_classes, np.int64)
    for part in store.rivals:
        _count_pairs(part.base, part.row, part.column, labels, wanted, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    margins = np.empty(total, store.given.dtype)
    members = np.empty(total, np.uint32 if len(labels) < 1 << 32 else np.int64)
    position = offsets[:-1].copy()
    for part in store.rivals:
        _fill_pairs(
            part.base, part.row, part.column, part.value, store.given, labels, wanted, position, margins, members
        )
    pairs = np.flatnonzero(wanted.T.ravel() > 0)
    open_pairs = np.empty(len(pairs), np.bool_)
    # The floor decides which entries were stored; two times epsilon covers rows that are no candidates.
    least = store.given.dtype.type(max(store.floor, THRESHOLD_FLOOR))
    jobs = [
        (first, last, pairs, wanted, offsets, margins, members, least, flagged, open_pairs)
        for first, last in balanced(counts[pairs], executor.workers)
    ]
    run_kernel(executor, _resolve, jobs)
    unresolved = pairs[open_pairs]
    del jobs, margins, members  # before the second look, which needs memory of its own
    if len(unresolved):
        reader.flag_pairs(unresolved, wanted, store, flagged)
    return flagged, len(unresolved)
