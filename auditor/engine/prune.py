"""prune_by_noise_rate without a second full look at the probabilities.

For given class k and other class j the rule flags the R rows of class k with the largest margin p_j - p_k, ties
as ``numpy.argsort`` leaves them, and keeps the candidates among them. The scan stored, for candidates, every
p_j above p_k and above a floor. If at least R of them exist and the R-th largest margin v is above the floor,
nothing else can reach v, and the pair is *resolved*. The other pairs are read once more, and only for rows whose
margin can matter: p_j >= 0 bounds a margin from below by -p_k, so the R smallest p_k of the class bound v, and a
row's largest margin is known from the scan.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from auditor.engine.executors import Executor
from auditor.engine.finish import by_class
from auditor.engine.scan import InputRules, RowStore, clip_rows, row_ranges, standard_rows
from auditor.engine.semantics import MARGIN_SLACK, THRESHOLD_FLOOR
from auditor.engine.sources import ProbabilitySource

__all__ = ["PairReader", "noise_rate_rows"]

#: Bytes of margins held at once while pairs are read again.
GATHER_BYTES = 256 << 20


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


def _job_resolve(_: Any, *arguments: Any) -> None:
    _resolve(*arguments)


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
            part.base, part.row, part.column, part.value, store.given, labels, wanted, position,
            margins, members,
        )  # fmt: skip
    pairs = np.flatnonzero(wanted.T.ravel() > 0)
    open_pairs = np.empty(len(pairs), np.bool_)
    # The floor decides which entries were stored; two times epsilon covers rows that are no candidates.
    least = store.given.dtype.type(max(store.floor, THRESHOLD_FLOOR))
    jobs = [
        (first, last, pairs, wanted, offsets, margins, members, least, flagged, open_pairs)
        for first, last in _balanced(counts[pairs], executor.workers)
    ]
    list(executor.run(_job_resolve, None, jobs))
    unresolved = pairs[open_pairs]
    if len(unresolved):
        reader.flag_pairs(unresolved, wanted, store, flagged)
    return flagged, len(unresolved)


def _balanced(work: np.ndarray, workers: int) -> list[tuple[int, int]]:
    """Cut a list of jobs where the running sum of their work passes equal shares; more parts than workers."""
    if len(work) == 0:
        return []
    total = np.cumsum(work + 1)
    parts = 4 * workers if total[-1] > 1 << 15 else 1
    edges = np.searchsorted(total, total[-1] * np.arange(1, parts) / parts)
    edges = np.unique(np.concatenate([[0], edges, [len(work)]]))
    return [(int(a), int(b)) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True)
class GatherPlan:
    """Margins to collect: for each selected row of class k one margin per pair of class k.

    Attributes
    ----------
    rows : int64 array
        Selected rows, ascending.
    slot : int64 array
        Position of each selected row in the blocks of its class.
    first_pair : int64 array (K + 1,)
        Pairs of class k are ``first_pair[k] .. first_pair[k + 1]``.
    column : int64 array (pairs,)
        Other class of each pair.
    start : int64 array (pairs,)
        Where the pair's margins begin in the result.
    """

    rows: np.ndarray
    slot: np.ndarray
    first_pair: np.ndarray
    column: np.ndarray
    start: np.ndarray


@numba.njit(nogil=True, cache=True)
def _gather(chunk, base, rows, slot, labels, given, first_pair, column, start, out):  # type: ignore[no-untyped-def]
    for r in range(len(rows)):
        i = np.int64(rows[r]) - base
        k = np.int64(labels[i])
        for p in range(first_pair[k], first_pair[k + 1]):
            out[start[p] + slot[r]] = chunk[i, column[p]] - given[i]


def gather_job(
    source: ProbabilitySource,
    start: int,
    stop: int,
    labels: np.ndarray,
    given: np.ndarray,
    rows: np.ndarray,
    slot: np.ndarray,
    plan: GatherPlan,
    clip: bool,
    out: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Collect the margins of the selected rows in start..stop.

    Writes into `out` where memory is shared; otherwise returns (positions, margins).
    """
    pick = getattr(source, "pick", None)
    if pick is None and source.in_memory and source.dtype in (np.float32, np.float64) and not clip:
        chunk = source.read(start, stop)  # touches the needed entries only, in any memory order
    elif pick is not None:
        chunk = None
    else:
        chunk = standard_rows(source.read(start, stop))
        chunk = clip_rows(chunk) if clip else chunk
    if out is not None and chunk is not None:
        _gather(chunk, start, rows, slot, labels, given, plan.first_pair, plan.column, plan.start, out)
        return None
    local = labels[rows - start].astype(np.int64)
    repeat = plan.first_pair[local + 1] - plan.first_pair[local]
    pair = np.repeat(plan.first_pair[local], repeat) + _ramp(repeat)
    positions = plan.start[pair] + np.repeat(slot, repeat)
    at = np.repeat(rows - start, repeat)
    if chunk is None:
        values = pick(at + start, plan.column[pair])  # type: ignore[misc]
        values = clip_rows(values) if clip else values
    else:
        values = chunk[at, plan.column[pair]]
    margins = values - given[at]
    if out is not None:
        out[positions] = margins
        return None
    return positions, margins


def _ramp(lengths: np.ndarray) -> np.ndarray:
    """0, 1, .., lengths[0] - 1, 0, 1, .., lengths[1] - 1, ..."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


class PairReader:
    """Reads margins of some pairs of classes again and flags their rows exactly.

    Parameters
    ----------
    source : ProbabilitySource
    labels : compact labels (N,)
    class_counts : int64 array (K,)
    rules : InputRules
    executor : Executor
        Runs the reads; may be a cluster.
    local : Executor
        Runs what works on arrays of this process.
    chunk_rows : int or None
    """

    def __init__(
        self,
        source: ProbabilitySource,
        labels: np.ndarray,
        class_counts: np.ndarray,
        rules: InputRules,
        executor: Executor,
        local: Executor,
        chunk_rows: int | None,
    ) -> None:
        self.source = source
        self.labels = labels
        self.class_counts = class_counts
        self.rules = rules
        self.executor = executor
        self.local = local
        self.chunk_rows = chunk_rows

    def flag_pairs(self, pairs: np.ndarray, wanted: np.ndarray, store: RowStore, flagged: np.ndarray) -> None:
        """Set `flagged` for the rows of the given pairs (``k * K + j``, ascending)."""
        n_classes = len(wanted)
        order, offsets = by_class(None, self.labels, self.class_counts, self.local)
        tied: list[int] = []
        for batch in self._batches(pairs, n_classes, self.class_counts):
            members = self._possible_rows(batch, wanted, store, order, offsets)
            for pair, margins in self._margins(batch, members, n_classes, store):
                k, j = divmod(pair, n_classes)
                rows = members[k]
                top = _top_rows(margins, int(wanted[j, k]), len(rows) == self.class_counts[k])
                if top is None:
                    tied.append(pair)
                else:
                    flagged[rows[top]] = True
        # A tie across the boundary falls as argsort of the whole class leaves it: read the whole class.
        for batch in self._batches(np.array(tied, np.int64), n_classes, self.class_counts):
            members = {int(k): order[offsets[k] : offsets[k + 1]] for k in np.unique(batch // n_classes)}
            for pair, margins in self._margins(batch, members, n_classes, store):
                k, j = divmod(pair, n_classes)
                flagged[members[k][np.argsort(-margins)[: wanted[j, k]]]] = True

    def _batches(self, pairs: np.ndarray, n_classes: int, rows_of_class: np.ndarray) -> Iterator[np.ndarray]:
        """Pairs whose margins fit into `GATHER_BYTES` together (at least one)."""
        if not len(pairs):
            return
        sizes = rows_of_class[pairs // n_classes] * 8
        if self.source.in_memory:
            sizes = sizes // 4  # reading again costs little, and most rows are ruled out
        group = np.cumsum(sizes) // GATHER_BYTES
        for g in np.unique(group):
            yield pairs[group == g]

    def _possible_rows(
        self,
        pairs: np.ndarray,
        wanted: np.ndarray,
        store: RowStore,
        order: np.ndarray,
        offsets: np.ndarray,
    ) -> dict[int, np.ndarray]:
        """Per class the rows that can be among the R largest margins of one of its pairs, in row order."""
        n_classes = len(wanted)
        members: dict[int, np.ndarray] = {}
        for k in np.unique(pairs // n_classes):
            rows = order[offsets[k] : offsets[k + 1]]
            most = int(wanted[pairs[pairs // n_classes == k] % n_classes, k].max())
            if most < len(rows):
                given = store.given[rows]
                bound = np.partition(given, most - 1)[most - 1]
                largest = store.other[rows] - given
                rows = rows[largest >= -bound - given.dtype.type(MARGIN_SLACK)]
            members[int(k)] = rows
        return members

    def _margins(
        self, pairs: np.ndarray, members: dict[int, np.ndarray], n_classes: int, store: RowStore
    ) -> Iterator[tuple[int, np.ndarray]]:
        """One read: (pair, margins of the members of its class)."""
        plan, sizes = _plan(pairs, members, n_classes)
        out = np.empty(int(sizes.sum()), store.given.dtype)
        n_rows, _ = self.source.shape
        row_bytes = n_classes * self.source.dtype.itemsize
        shared = self.executor.shares_memory

        def jobs() -> Iterator[tuple[Any, ...]]:
            for start, stop in row_ranges(n_rows, row_bytes, self.executor.workers, self.chunk_rows):
                a, b = np.searchsorted(plan.rows, [start, stop])
                if a == b:
                    continue
                yield (
                    start, stop, self.labels[start:stop], store.given[start:stop],
                    plan.rows[a:b], plan.slot[a:b],
                    GatherPlan(_NONE, _NONE, plan.first_pair, plan.column, plan.start),
                    store.clipped > 0, out if shared else None,
                )  # fmt: skip

        for result in self.executor.run(gather_job, self.source, jobs()):
            if result is not None:
                positions, margins = result
                out[positions] = margins
        for pair, start, size in zip(pairs, plan.start, sizes, strict=True):
            yield int(pair), out[start : start + size]


_NONE = np.empty(0, np.int64)


def _plan(pairs: np.ndarray, members: dict[int, np.ndarray], n_classes: int) -> tuple[GatherPlan, np.ndarray]:
    """Lay out the result: pairs in order, each as long as its class has members."""
    classes = pairs // n_classes
    sizes = np.array([len(members[int(k)]) for k in classes], np.int64)
    rows = np.concatenate([members[k] for k in sorted(members)]).astype(np.int64)
    slot = np.concatenate([np.arange(len(members[k])) for k in sorted(members)])
    ascending = np.argsort(rows, kind="stable")
    plan = GatherPlan(
        rows[ascending],
        slot[ascending],
        np.searchsorted(classes, np.arange(n_classes + 1)),
        pairs % n_classes,
        np.concatenate([[0], np.cumsum(sizes)[:-1]]),
    )
    return plan, sizes


def _top_rows(margins: np.ndarray, count: int, whole_class: bool) -> np.ndarray | None:
    """Positions of the `count` largest margins; None if a tie straddles the boundary and rows are missing."""
    if count >= len(margins):
        # Fewer rows than wanted can only be all rows of the class: the bound kept at least `count` of them.
        return np.arange(len(margins))
    v = np.partition(margins, len(margins) - count)[len(margins) - count]
    reached = np.flatnonzero(margins >= v)
    if len(reached) == count:
        return reached
    if whole_class:
        return np.argsort(-margins)[:count]
    return None
