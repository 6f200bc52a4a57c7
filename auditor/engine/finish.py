"""After the scan: class means, thresholds, the confident joint. No probabilities are read here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_array

from auditor.engine.executors import Executor, run_kernel
from auditor.engine.scan import RowStore, Work, clip_rows, standard_rows
from auditor.engine.semantics import BIG_THRESHOLD, EPSILON, THRESHOLD_FLOOR
from auditor.engine.sources import ProbabilitySource

#: Rows per job of the row-wise kernels: below this a second thread costs more than it saves.
_ROWS_PER_JOB = 1 << 18
#: Rows that are brought into class order at once. At 50 million rows this bounds the copy by 64 MiB instead of 200,
#: for three more passes over the labels.
_GROUP_ROWS = 1 << 24


def split_rows(n_rows: int, workers: int) -> list[tuple[int, int]]:
    """At most `workers` equal ranges, fewer when there is little to do."""
    parts = max(1, min(workers, n_rows // _ROWS_PER_JOB))
    edges = [n_rows * p // parts for p in range(parts + 1)]
    return list(itertools.pairwise(edges))


@numba.njit(nogil=True, cache=True)
def _count(labels, counts):  # type: ignore[no-untyped-def]
    for i in range(len(labels)):
        counts[labels[i]] += 1


@numba.njit(nogil=True, cache=True)
def _scatter(values, labels, use, position, out):  # type: ignore[no-untyped-def]
    for i in range(len(labels)):
        y = labels[i]
        if use[y]:
            out[position[y]] = values[i]
            position[y] += 1


@numba.njit(nogil=True, cache=True)
def _scatter_rows(start, labels, use, position, out):  # type: ignore[no-untyped-def]
    for i in range(len(labels)):
        y = labels[i]
        if use[y]:
            out[position[y]] = start + i
            position[y] += 1


def _job_count(_: Any, labels: np.ndarray, n_classes: int) -> np.ndarray:
    counts = np.zeros(n_classes, np.int64)
    _count(labels, counts)
    return counts


def class_groups(class_counts: np.ndarray) -> Iterator[np.ndarray]:
    """Masks (K,) of classes that are ordered together: every class with rows, at most `_GROUP_ROWS` rows each time.

    A class that is larger alone is a group of its own.
    """
    group = (np.cumsum(class_counts) - 1) // _GROUP_ROWS
    for g in np.unique(group[class_counts > 0]):
        yield (group == g) & (class_counts > 0)


def by_class(
    values: np.ndarray | None,
    labels: np.ndarray,
    class_counts: np.ndarray,
    executor: Executor,
    use: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring values into class order, within a class in row order.

    Parameters
    ----------
    values : array (N,) or None
        None gives the row numbers (uint32 below 2**32 rows, else int64).
    labels : uint16 or uint32 array (N,)
    class_counts : int64 array (K,)
    use : bool array (K,), optional
        Leave out the rows of the other classes.

    Returns
    -------
    ordered : array (rows of the used classes,)
    offsets : int64 array (K + 1,)
        Class k lies at ``ordered[offsets[k]:offsets[k + 1]]``; empty for a class that is left out.
    """
    n_classes = len(class_counts)
    use = np.ones(n_classes, np.bool_) if use is None else use
    offsets = np.concatenate([[0], np.cumsum(class_counts * use)])
    n_used = int(offsets[-1])
    ranges = split_rows(len(labels), executor.workers)
    counts = list(executor.run(_job_count, None, [(labels[a:b], n_classes) for a, b in ranges]))
    positions = np.vstack([offsets[:-1], *counts[:-1]]).cumsum(axis=0)
    row_type = np.dtype(np.uint32 if len(labels) < 1 << 32 else np.int64)
    ordered = np.empty(n_used, row_type if values is None else values.dtype)
    jobs = [
        (a if values is None else values[a:b], labels[a:b], use, positions[p], ordered)
        for p, (a, b) in enumerate(ranges)
    ]
    run_kernel(executor, _scatter_rows if values is None else _scatter, jobs)
    return ordered, offsets


def class_means(given: np.ndarray, labels: np.ndarray, class_counts: np.ndarray, executor: Executor) -> np.ndarray:
    """Mean self-confidence per class in the type of `given`, NaN for a class without rows.

    The mean is NumPy's, over a contiguous slice in row order: its pairwise sum decides the last bit.
    """
    means = np.full(len(class_counts), np.nan, given.dtype)
    for use in class_groups(class_counts):
        ordered, offsets = by_class(given, labels, class_counts, executor, use)
        for k in np.flatnonzero(use):
            means[k] = np.mean(ordered[offsets[k] : offsets[k + 1]])
    return means


def thresholds_from(means: np.ndarray) -> np.ndarray:
    """Class thresholds: means with a floor of 2e-6; a class without rows gets 2 and makes the array float64."""
    missing = np.isnan(means)
    if missing.any():
        means = means.astype(np.float64)
        means[missing] = BIG_THRESHOLD
    return np.clip(means, a_min=THRESHOLD_FLOOR, a_max=None)


def cuts_for(thresholds: np.ndarray, dtype: np.dtype[Any], epsilon: float = EPSILON) -> np.ndarray:
    """Smallest probability of type `dtype` that counts as confident, per class.

    Where thresholds are float64 and probabilities float32, comparing in float64 is the same as comparing in
    float32 with the smallest float32 that is not below the cut.
    """
    cuts = thresholds - thresholds.dtype.type(epsilon)
    rounded = cuts.astype(dtype)
    below = rounded.astype(np.float64) < cuts.astype(np.float64)
    return np.where(below, np.nextafter(rounded, np.inf, dtype=dtype), rounded)


@numba.njit(nogil=True, cache=True)
def _guess(given, other, top, labels, cuts, off, own):  # type: ignore[no-untyped-def]
    for i in range(len(labels)):
        g = top[i]
        off[i] = False
        if max(given[i], other[i]) >= cuts[g]:
            off[i] = g != labels[i]
            own[g] += g == labels[i]


@numba.njit(nogil=True, cache=True)
def _guess_again(base, rows, columns, values, given, other, labels, cuts, whole_row, guesses, off, own):  # type: ignore[no-untyped-def]
    """Judge the rows with several stored entries, which `_guess` judged by their argmax alone."""
    e = 0
    while e < len(rows):
        i = base + np.int64(rows[e])
        y = np.int64(labels[i])
        count = 0
        guess = np.int64(-1)
        best = values[e]
        last = e
        while last < len(rows) and rows[last] == rows[e]:
            j = columns[last]
            if values[last] >= cuts[j]:
                if count == 0 or values[last] > best:
                    guess = np.int64(j)
                    best = values[last]
                count += 1
            last += 1
        before = np.int64(guesses[i])
        if count >= 2 and whole_row:
            guess = before
        if before == y and max(given[i], other[i]) >= cuts[before]:
            own[y] -= 1
        off[i] = guess >= 0 and guess != y
        if guess >= 0:
            guesses[i] = guess
            own[guess] += guess == y
        e = last


def _job_guess(_: Any, arrays: tuple[np.ndarray, ...], cuts: np.ndarray, off: np.ndarray) -> np.ndarray:
    given, other, top, labels = arrays
    own = np.zeros(len(cuts), np.int64)
    _guess(given, other, top, labels, cuts, off, own)
    return own


@numba.njit(nogil=True, cache=True)
def _guess_rows(values, top, cuts, whole_row, guesses):  # type: ignore[no-untyped-def]
    """The confident class of every row, -1 without one."""
    for i in range(len(top)):
        row = values[i]
        count = 0
        guess = -1
        for j in range(len(row)):
            if row[j] >= cuts[j]:
                count += 1
                if count == 1 or row[j] > row[guess]:
                    guess = j
                if count == 2 and whole_row:
                    guess = int(top[i])
                    break
        guesses[i] = guess


def guess_job(
    source: ProbabilitySource, start: int, stop: int, top: np.ndarray, cuts: np.ndarray, whole_row: bool, clip: bool
) -> np.ndarray:
    """Confident classes of rows start..stop, int32, read from the probabilities."""
    rows = standard_rows(source.read(start, stop))
    guesses = np.empty(stop - start, np.int32)
    _guess_rows(clip_rows(rows) if clip else rows, top, cuts, whole_row, guesses)
    return guesses


def confident_cells(
    store: RowStore, labels: np.ndarray, cuts: np.ndarray, whole_row: bool, work: Work
) -> tuple[csr_array, np.ndarray]:
    """Count (given, guessed) labels over the rows with at least one confident class.

    Where some class is confident below ``store.tau``, the probabilities are read once more.

    Parameters
    ----------
    cuts : array (K,) of the computing type
    whole_row : bool
        With two or more confident classes the guess is the argmax of the whole row (cleanlab 2.9); False: of the
        confident ones (the paper).

    Returns
    -------
    joint : int64 csr_array (K, K)
        No diagonal raised.
    off_diagonal : bool array (N,)
        Rows guessed to be another class than given.
    """
    n_classes = len(cuts)
    if cuts.min() < store.tau:
        jobs = ((a, b, store.top[a:b], cuts, whole_row, store.clipped > 0) for a, b in work.row_ranges())
        guesses = np.concatenate(list(work.executor.run(guess_job, work.source, jobs)))
        off = (guesses >= 0) & (guesses != labels)
        own = np.bincount(labels[guesses == labels], minlength=n_classes)
    else:
        guesses, off, own = _stored_guesses(store, labels, cuts, whole_row, work.local)
    # Rows off the diagonal are few; sorting their cells takes memory for each of them, not for each pair of classes.
    pair_type = np.dtype(np.uint32 if n_classes <= 1 << 16 else np.uint64)
    keys: np.ndarray = labels[off].astype(pair_type) * pair_type.type(n_classes) + guesses[off].astype(pair_type)
    pairs, counts = np.unique(keys, return_counts=True)
    diagonal = np.flatnonzero(own)
    cells = np.divmod(np.concatenate([pairs.astype(np.int64), diagonal * (n_classes + 1)]), n_classes)
    return csr_array((np.concatenate([counts, own[diagonal]]), cells), shape=(n_classes, n_classes)), off


def _stored_guesses(
    store: RowStore, labels: np.ndarray, cuts: np.ndarray, whole_row: bool, executor: Executor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Guesses (N,), which say something for rows off the diagonal only; these (N,); rows on it, by class (K,)."""
    off = np.empty(len(labels), np.bool_)
    own = np.zeros(len(cuts), np.int64)
    jobs = [
        ((store.given[a:b], store.other[a:b], store.top[a:b], labels[a:b]), cuts, off[a:b])
        for a, b in split_rows(len(labels), executor.workers)
    ]
    for part in executor.run(_job_guess, None, jobs):
        own += part
    guesses = store.top.copy() if store.many else store.top
    rows = (store.given, store.other, labels, cuts, whole_row, guesses, off, own)
    for entries in store.many:
        _guess_again(entries.base, entries.row, entries.column, entries.value, *rows)
    return guesses, off, own
