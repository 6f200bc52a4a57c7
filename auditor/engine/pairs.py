"""Margins of some pairs of classes, read again from the probabilities, and the rows they flag."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from auditor.engine.executors import run_kernel
from auditor.engine.finish import by_class, class_groups
from auditor.engine.scan import RowStore, Work, clip_rows, standard_rows
from auditor.engine.select import kth_smallest
from auditor.engine.semantics import MARGIN_SLACK
from auditor.engine.sources import ProbabilitySource

#: Bytes of margins held at once while pairs are read again.
GATHER_BYTES = 96 << 20


def balanced(work: np.ndarray, workers: int) -> list[tuple[int, int]]:
    """Cut a list of jobs where the running sum of their work passes equal shares; more parts than workers."""
    if len(work) == 0:
        return []
    total = np.cumsum(work + 1)
    parts = 4 * workers if total[-1] > 1 << 15 else 1
    edges = np.searchsorted(total, total[-1] * np.arange(1, parts) / parts)
    edges = np.unique(np.concatenate([[0], edges, [len(work)]]))
    return [(int(a), int(b)) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True)
class Pairs:
    """Pairs of a given class and another, by given class, then by the other.

    Attributes
    ----------
    given, column : int64 arrays (pairs,)
        Both classes of each pair.
    wanted : int64 array (pairs,)
        How many rows of the given class to flag toward the other.
    n_classes : int
    """

    given: np.ndarray
    column: np.ndarray
    wanted: np.ndarray
    n_classes: int

    def __len__(self) -> int:
        return len(self.given)

    @property
    def first(self) -> np.ndarray:
        """int64 (K + 1,): pairs of class k are ``first[k] .. first[k + 1]``."""
        return np.searchsorted(self.given, np.arange(self.n_classes + 1))

    def take(self, chosen: np.ndarray | slice) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.given[chosen], self.column[chosen], self.wanted[chosen], self.n_classes)


@dataclass(frozen=True)
class GatherPlan:
    """Margins to collect: for each selected row of class k one margin per pair of class k.

    Attributes
    ----------
    rows : uint32 or int64 array
        Selected rows, ascending.
    slot : array of the same type
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
            out[start[p] + np.int64(slot[r])] = chunk[i, column[p]] - given[i]


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
    rows = rows.astype(np.int64)
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
    work : Work
    labels : compact labels (N,)
    class_counts : int64 array (K,)
    """

    def __init__(self, work: Work, labels: np.ndarray, class_counts: np.ndarray) -> None:
        self.work, self.labels, self.class_counts = work, labels, class_counts

    def flag_pairs(self, pairs: Pairs, store: RowStore, flagged: np.ndarray) -> None:
        """Set `flagged` for the rows of the given pairs."""
        undecided = np.zeros(len(pairs), np.bool_)
        members = self._possible_rows(pairs, store)
        for part in self._batches(pairs, members[2], store.given.itemsize):
            batch = pairs.take(part)
            margins, starts = self._margins(batch, members, store)
            facts = (batch.given, batch.wanted, starts, margins, *members, flagged, undecided[part])
            jobs = [(*edges, *facts) for edges in balanced(np.diff(starts), self.work.local.workers)]
            run_kernel(self.work.local, _decide, jobs)
        # A tie across the boundary falls as argsort of the whole class leaves it: read the whole class.
        left = pairs.take(undecided)
        for part in self._batches(left, self.class_counts, store.given.itemsize):
            batch = left.take(part)
            use = np.zeros(pairs.n_classes, np.bool_)
            use[batch.given] = True
            order, offsets = by_class(None, self.labels, self.class_counts, self.work.local, use)
            margins, starts = self._margins(batch, (order, offsets, self.class_counts * use), store)
            for p, (k, count) in enumerate(zip(batch.given, batch.wanted, strict=True)):
                top = np.argsort(-margins[starts[p] : starts[p + 1]])[:count]
                flagged[order[offsets[k] + top]] = True

    def _batches(self, pairs: Pairs, rows_of_class: np.ndarray, item_bytes: int) -> Iterator[slice]:
        """Pairs whose margins fit into `GATHER_BYTES` together (at least one); each batch is one more read."""
        group = np.cumsum(rows_of_class[pairs.given] * item_bytes) // GATHER_BYTES
        for g in np.unique(group):
            yield slice(*np.searchsorted(group, (g, g + 1)))

    def _possible_rows(self, pairs: Pairs, store: RowStore) -> Members:
        """Per class the rows that can be among the R largest margins of one of its pairs, in row order."""
        n_classes = pairs.n_classes
        most = np.zeros(n_classes, np.int64)
        np.maximum.at(most, pairs.given, pairs.wanted)
        sizes = np.zeros(n_classes, np.int64)
        slack = store.given.dtype.type(MARGIN_SLACK)
        kept: list[np.ndarray] = []
        for use in class_groups(self.class_counts * (most > 0)):
            order, offsets = by_class(None, self.labels, self.class_counts, self.work.local, use)
            jobs = [
                (first, last, use, most, slack, offsets, order, store.given, store.other, sizes)
                for first, last in balanced(self.class_counts * use, self.work.local.workers)
            ]
            run_kernel(self.work.local, _narrow, jobs)
            kept += [order[offsets[k] : offsets[k] + sizes[k]].copy() for k in np.flatnonzero(use)]
        rows = np.concatenate(kept) if kept else np.empty(0, np.uint32)
        return rows, np.concatenate([[0], np.cumsum(sizes)]), sizes

    def _margins(self, pairs: Pairs, members: Members, store: RowStore) -> tuple[np.ndarray, np.ndarray]:
        """One read: the margins of the members of each pair's class, and where each pair's begin and end."""
        plan, starts = _plan(pairs, members, self.labels)
        out = np.empty(int(starts[-1]), store.given.dtype)
        shared = self.work.executor.shares_memory
        layout = GatherPlan(_NONE, _NONE, plan.first_pair, plan.column, plan.start)

        def jobs() -> Iterator[tuple[Any, ...]]:
            for start, stop in self.work.row_ranges():
                a, b = np.searchsorted(plan.rows, np.array([start, stop], plan.rows.dtype))
                if a == b:
                    continue
                rows = (self.labels[start:stop], store.given[start:stop], plan.rows[a:b], plan.slot[a:b])
                yield start, stop, *rows, layout, store.clipped > 0, out if shared else None

        for result in self.work.executor.run(gather_job, self.work.source, jobs()):
            if result is not None:
                positions, margins = result
                out[positions] = margins
        return out, starts


#: Rows of the classes: row numbers, where each class begins, how many of its rows count.
Members = tuple[np.ndarray, np.ndarray, np.ndarray]

_NONE = np.empty(0, np.int64)


@numba.njit(nogil=True, cache=True)
def _narrow(first, last, use, most, slack, offsets, order, given, other, sizes):  # type: ignore[no-untyped-def]
    """Move the rows of class k that can matter to the front of its part of `order`; count them."""
    for k in range(first, last):
        if not use[k]:
            continue
        rows = order[offsets[k] : offsets[k + 1]]
        if most[k] >= len(rows):
            sizes[k] = len(rows)
            continue
        own = np.empty(len(rows), given.dtype)
        for r in range(len(rows)):
            own[r] = given[rows[r]]
        least = -kth_smallest(own, most[k] - 1) - slack
        kept = 0
        for r in range(len(rows)):
            if other[rows[r]] - own[r] >= least:
                rows[kept] = rows[r]
                kept += 1
        sizes[k] = kept


@numba.njit(nogil=True, cache=True)
def _decide(  # type: ignore[no-untyped-def]
    first, last, given, wanted, starts, margins, order, offsets, sizes, flagged, undecided
):
    """Flag the rows with the largest margins of the pairs first..last; mark those whose boundary is a tie."""
    for p in range(first, last):
        k = given[p]
        count = wanted[p]
        own = margins[starts[p] : starts[p + 1]]
        rows = order[offsets[k] : offsets[k] + sizes[k]]
        # Fewer rows than wanted can only be all rows of the class: narrowing kept at least `count` of them.
        v = kth_smallest(own, max(0, len(own) - count))
        reached = 0
        for r in range(len(own)):
            reached += 1 if own[r] >= v else 0
        if reached > count:
            undecided[p] = True
            continue
        for r in range(len(own)):
            if own[r] >= v:
                flagged[rows[r]] = True


@numba.njit(nogil=True, cache=True)
def _number(rows, labels, n_classes, slot):  # type: ignore[no-untyped-def]
    """Place of each row (ascending) among the rows of its class."""
    seen = np.zeros(n_classes, np.int64)
    for r in range(len(rows)):
        y = labels[rows[r]]
        slot[r] = seen[y]
        seen[y] += 1


def _plan(pairs: Pairs, members: Members, labels: np.ndarray) -> tuple[GatherPlan, np.ndarray]:
    """Lay out the result: pairs in order, each as long as its class has members."""
    order, offsets, sizes = members
    here = np.zeros(pairs.n_classes, np.bool_)
    here[pairs.given] = True
    sizes = sizes * here
    # The types of the row numbers: at 50 million rows int64 here was a quarter of all memory.
    rows = np.concatenate([order[offsets[k] : offsets[k] + sizes[k]] for k in np.flatnonzero(here)])
    rows.sort()
    slot = np.empty(len(rows), order.dtype)
    _number(rows, labels, pairs.n_classes, slot)
    starts = np.concatenate([[0], np.cumsum(sizes[pairs.given])])
    return GatherPlan(rows, slot, pairs.first, pairs.column, starts[:-1]), starts
