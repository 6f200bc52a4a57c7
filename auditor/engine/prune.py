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
from auditor.engine.pairs import PairReader, Pairs, balanced
from auditor.engine.scan import RowStore
from auditor.engine.select import kth_smallest
from auditor.engine.semantics import THRESHOLD_FLOOR


@numba.njit(nogil=True, cache=True)
def _count_entries(base, rows, labels, use, counts):  # type: ignore[no-untyped-def]
    for e in range(len(rows)):
        y = labels[base + np.int64(rows[e])]
        if use[y]:
            counts[y] += 1


@numba.njit(nogil=True, cache=True)
def _group_entries(base, rows, columns, values, given, labels, use, position, margins, toward, members):  # type: ignore[no-untyped-def]
    for e in range(len(rows)):
        i = base + np.int64(rows[e])
        y = labels[i]
        if use[y]:
            at = position[y]
            margins[at] = values[e] - given[i]
            toward[at] = columns[e]
            members[at] = i
            position[y] = at + 1


@numba.njit(nogil=True, cache=True)
def _decided(margins, rows, count, least, flagged):  # type: ignore[no-untyped-def]
    """Flag the rows of the `count` largest margins if these are certain to be all stored and untied; whether so."""
    if len(margins) < count:
        return False
    v = kth_smallest(margins, len(margins) - count)
    if v < least:
        return False
    reached = 0
    for e in range(len(margins)):
        reached += 1 if margins[e] >= v else 0
    if reached > count:
        return False
    for e in range(len(margins)):
        if margins[e] >= v:
            flagged[rows[e]] = True
    return True


@numba.njit(nogil=True, cache=True)
def _resolve(first, last, pairs, offsets, margins, toward, members, least, flagged, open_pairs):  # type: ignore[no-untyped-def]
    """Flag the rows of the pairs of classes first..last that the stored entries decide; mark the others as open."""
    first_pair, column, wanted = pairs
    place = np.full(len(first_pair) - 1, -1, np.int64)  # of a pair of the class at hand, by its other class
    for k in range(first, last):
        p0 = first_pair[k]
        n_pairs = first_pair[k + 1] - p0
        if n_pairs == 0:
            continue
        for p in range(n_pairs):
            place[column[p0 + p]] = p
        ends = np.zeros(n_pairs + 1, np.int64)
        for e in range(offsets[k], offsets[k + 1]):
            p = place[toward[e]]
            if p >= 0:
                ends[p + 1] += 1
        for p in range(n_pairs):
            ends[p + 1] += ends[p]
        own = np.empty(ends[n_pairs], margins.dtype)
        rows = np.empty(ends[n_pairs], members.dtype)
        for e in range(offsets[k], offsets[k + 1]):
            p = place[toward[e]]
            if p >= 0:
                own[ends[p]] = margins[e]
                rows[ends[p]] = members[e]
                ends[p] += 1
        begin = 0
        for p in range(n_pairs):
            place[column[p0 + p]] = -1
            end = ends[p]
            count = wanted[p0 + p]
            open_pairs[p0 + p] = not _decided(own[begin:end], rows[begin:end], count, least, flagged)
            begin = end


def noise_rate_rows(reader: PairReader, store: RowStore, pairs: Pairs, executor: Executor) -> tuple[np.ndarray, int]:
    """Rows flagged by prune_by_noise_rate, before the un-flag step removes the others.

    Parameters
    ----------
    pairs : Pairs
        The pairs of classes to prune, and how many rows.

    Returns
    -------
    flagged : bool array (N,)
        Right for candidates; other rows may be missing, and are un-flagged anyway.
    read_again : int
        Pairs of classes for which probabilities were read a second time.
    """
    labels = reader.labels
    flagged = np.zeros(len(labels), np.bool_)
    first_pair = pairs.first
    use = np.diff(first_pair) > 0
    counts = np.zeros(len(use), np.int64)
    for part in store.rivals:
        _count_entries(part.base, part.row, labels, use, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    margins = np.empty(offsets[-1], store.given.dtype)
    toward = np.empty(offsets[-1], labels.dtype)
    members = np.empty(offsets[-1], np.uint32 if len(labels) < 1 << 32 else np.int64)
    position = offsets[:-1].copy()
    for part in store.rivals:
        entries = (part.base, part.row, part.column, part.value, store.given, labels, use, position)
        _group_entries(*entries, margins, toward, members)
    open_pairs = np.empty(len(pairs.column), np.bool_)
    # The floor decides which entries were stored; two times epsilon covers rows that are no candidates.
    least = store.given.dtype.type(max(store.floor, THRESHOLD_FLOOR))
    jobs = [
        (
            start,
            stop,
            (first_pair, pairs.column, pairs.wanted),
            offsets,
            margins,
            toward,
            members,
            least,
            flagged,
            open_pairs,
        )
        for start, stop in balanced(counts + np.diff(first_pair), executor.workers)
    ]
    run_kernel(executor, _resolve, jobs)
    unresolved = pairs.take(open_pairs)
    del jobs, margins, toward, members  # before the second look, which needs memory of its own
    if len(unresolved.column):
        reader.flag_pairs(unresolved, store, flagged)
    return flagged, len(unresolved.column)
