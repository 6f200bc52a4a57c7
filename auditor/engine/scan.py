"""The first read: every row of probabilities becomes a few stored numbers.

After it the probabilities are needed again only for some pairs of classes (see `prune`), for the entropy score
and for adjusted scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from auditor.core.errors import ProbabilityError
from auditor.engine.entries import EntryList, InputRules, ScanResult
from auditor.engine.executors import Executor
from auditor.engine.kernels import STATE_SIZE, half_to_float, scan_kernel, scan_rows
from auditor.engine.semantics import EPSILON
from auditor.engine.sources import ProbabilitySource, ThreadBuffers, compute_dtype
from auditor.engine.validate import raise_bad_row

#: Bytes of probabilities per job when read from a file: small enough that a chunk is still in the last-level cache
#: when the kernel reads it.
CHUNK_BYTES = 2 << 20

#: The same for arrays in memory, where only the cost of a Python call counts (640k x 1000: .70 s of scan at 4 MiB,
#: .52 s at 32 MiB).
MEMORY_CHUNK_BYTES = 32 << 20

#: Entries a thread's list buffer holds before it is emptied (plus one row).
_LIST_ROOM = 1 << 16

#: Entries of `many` per item, and in all, that are kept: with thousands of classes some threshold is so low that most
#: probabilities reach it (200,000 x 10,000: 7 GB). Then the rows are read once more, when the thresholds are known.
MOST_LISTED = (2, 1 << 22)

_BUFFERS = ThreadBuffers()


@dataclass(frozen=True)
class Work:
    """How an analysis was computed, for the rules and scores that read the probabilities again.

    Attributes
    ----------
    source : ProbabilitySource
    rules : InputRules
    executor : Executor
        Runs the reads; may be a cluster.
    local : Executor
        Runs what works on arrays of this process.
    chunk_rows : int or None
    """

    source: ProbabilitySource
    rules: InputRules
    executor: Executor
    local: Executor
    chunk_rows: int | None

    def row_ranges(self) -> Iterator[tuple[int, int]]:
        """Cut the rows into jobs of `executor`. Results never depend on where."""
        n_rows, n_classes = self.source.shape
        step = self.chunk_rows
        if step is None:
            row_bytes = max(1, n_classes * self.source.dtype.itemsize)
            # float16 in memory is converted into a buffer, which should stay in the cache as well.
            large = self.source.in_memory and self.source.dtype != np.float16
            step = max(1, (MEMORY_CHUNK_BYTES if large else CHUNK_BYTES) // row_bytes)
            # Small problems are still shared out among the workers.
            step = min(step, -(-n_rows // self.executor.workers))
        for start in range(0, n_rows, step):
            yield start, min(n_rows, start + step)


@dataclass
class RowStore:
    """What the scan keeps per row; shapes (N,) unless said otherwise.

    Attributes
    ----------
    given : computing type
        Probability of the given label.
    other : computing type
        Largest probability of another class.
    top : type of the labels
        Argmax, first column on ties.
    candidate : bool
        Not un-flagged: the argmax differs from the given label even with 1e-6 added to the latter.
    tau : float
        `many` holds every entry >= tau of the rows that have at least two of them; infinity where these were too many
        (`MOST_LISTED`).
    floor : float
        `rivals` holds, for candidates, every entry above the given label's that is >= floor.
    clipped : int
        Rows in which values were clipped.
    """

    given: np.ndarray
    other: np.ndarray
    top: np.ndarray
    candidate: np.ndarray
    tau: float
    floor: float
    many: list[EntryList] = field(default_factory=list)
    rivals: list[EntryList] = field(default_factory=list)
    clipped: int = 0


def standard_rows(chunk: np.ndarray) -> np.ndarray:
    """C-contiguous float32 or float64 rows; float16 becomes float32 exactly. Copies only where it must."""
    dtype = compute_dtype(chunk.dtype)
    if chunk.dtype == np.float16:
        halves = np.ascontiguousarray(chunk).view(np.uint16)
        bits = _BUFFERS.take("halves", chunk.shape, np.dtype(np.uint32))
        half_to_float(halves, bits)
        return bits.view(np.float32)
    return np.ascontiguousarray(chunk, dtype=dtype)


def clip_rows(chunk: np.ndarray) -> np.ndarray:
    """Copy with every value inside [0, 1]."""
    return np.clip(chunk, 0, 1)


def scan_job(
    source: ProbabilitySource,
    start: int,
    stop: int,
    labels: np.ndarray,
    tau: float,
    floor: float,
    rules: InputRules,
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None,
) -> ScanResult:
    """Scan rows start..stop.

    Raises
    ------
    ProbabilityError
        Naming the first bad row of the range.
    """
    if hasattr(source, "scan"):  # arrays on a device scan themselves
        return cast(ScanResult, source.scan(start, stop, labels, tau, floor, rules))
    chunk = standard_rows(source.read(start, stop))
    if outputs is None:
        outputs = new_outputs(stop - start, chunk.dtype, labels.dtype)
    many = _list_buffers("many", chunk, labels.dtype)
    rivals = _list_buffers("rivals", chunk, labels.dtype)
    kernel = scan_kernel(chunk.shape[1], source.shape[0])
    state = np.zeros(STATE_SIZE, np.int64)
    low, high = (0.0, 1.0) if rules.clip else (-EPSILON, 1 + EPSILON)
    limits = (tau, floor, low, high, rules.row_sum_tolerance)
    found_many: list[EntryList] = []
    found_rivals: list[EntryList] = []
    clipped = 0
    while True:
        scan_rows(kernel, chunk, labels, limits, outputs, many, rivals, state)
        _empty(many, int(state[1]), start, found_many)
        _empty(rivals, int(state[2]), start, found_rivals)
        state[1:3] = 0
        if state[3]:
            row = int(state[0])
            if not _clippable(chunk[row], int(state[3]), rules):
                raise_bad_row(chunk[row], start + row, source.name, rules.clip or EPSILON, rules.row_sum_tolerance)
            if not clipped:
                chunk = chunk.copy()
            chunk[row] = clip_rows(chunk[row])
            clipped += 1
            state[3] = 0
        elif state[0] == len(chunk):
            return ScanResult(start, outputs, found_many, found_rivals, clipped)


def _clippable(row: np.ndarray, status: int, rules: InputRules) -> bool:
    return status == 1 and bool(rules.clip) and bool(((row >= -rules.clip) & (row <= 1 + rules.clip)).all())


def _list_buffers(
    purpose: str, chunk: np.ndarray, label_type: np.dtype[Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    room, types = (
        (1, _LIST_ROOM + chunk.shape[1]),
        {"row": np.dtype(np.uint32), "column": label_type, "value": chunk.dtype},
    )
    row, column, value = (_BUFFERS.take(f"{purpose} {part}", room, dtype)[0] for part, dtype in types.items())
    return row, column, value


def _empty(buffers: tuple[np.ndarray, np.ndarray, np.ndarray], used: int, base: int, into: list[EntryList]) -> None:
    if used:
        row, column, value = (buffer[:used].copy() for buffer in buffers)
        into.append(EntryList(base, row, column, value))


def new_outputs(
    n_rows: int, dtype: np.dtype[Any], label_type: np.dtype[Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Uninitialised outputs of the scan for `n_rows` rows."""
    return (np.empty(n_rows, dtype), np.empty(n_rows, dtype), np.empty(n_rows, label_type), np.empty(n_rows, np.bool_))


def new_store(n_rows: int, dtype: np.dtype[Any], label_type: np.dtype[Any], tau: float, floor: float) -> RowStore:
    """An empty store."""
    return RowStore(*new_outputs(n_rows, dtype, label_type), tau=tau, floor=floor)


def scan(work: Work, labels: np.ndarray, store: RowStore, on_rows: Callable[[int], None] | None = None) -> None:
    """Fill an empty `store` with one read of the source.

    Parameters
    ----------
    labels : uint16 or uint32 array (N,)
        From `compact_labels`.
    on_rows : callable, optional
        Called with the number of rows finished.

    Raises
    ------
    ProbabilityError
        Naming the first bad row.
    """
    columns = (store.given, store.other, store.top, store.candidate)

    def jobs() -> Iterator[tuple[Any, ...]]:
        for start, stop in work.row_ranges():
            outputs = tuple(column[start:stop] for column in columns) if work.executor.shares_memory else None
            yield start, stop, labels[start:stop], store.tau, store.floor, work.rules, outputs

    listed, most = 0, max(MOST_LISTED[0] * len(labels), MOST_LISTED[1])
    for result in work.executor.run(scan_job, work.source, jobs()):
        stop = result.start + len(result.outputs[0])
        for column, part in zip(columns, result.outputs, strict=True):
            if not np.shares_memory(column, part):
                column[result.start : stop] = part
        if store.tau < np.inf:
            store.many.extend(result.many)
            listed += sum(len(entries.row) for entries in result.many)
            if listed > most:
                store.tau = np.inf
                store.many.clear()
        store.rivals.extend(result.rivals)
        store.clipped += result.clipped
        if on_rows is not None:
            on_rows(stop)


def sample_tau(source: ProbabilitySource, labels: np.ndarray) -> float:
    """A guess at half the smallest class threshold, from a few rows.

    Only speed depends on it: too high and the rows are read again, too low and more entries are stored.
    """
    if hasattr(source, "scan"):
        return _WEAK_TAU
    n_rows, n_classes = source.shape
    pieces = min(_SAMPLE_PIECES, n_rows)
    length = max(1, min(_SAMPLE_ROWS, n_rows) // pieces)
    sums = np.zeros(n_classes)
    counts = np.zeros(n_classes)
    for piece in range(pieces):
        start = piece * (n_rows - length) // max(1, pieces - 1) if pieces > 1 else 0
        rows = source.read(start, start + length)
        if rows.shape != (length, n_classes):
            raise ProbabilityError(f"{source.name}: rows {start}..{start + length} have shape {rows.shape}.")
        given = labels[start : start + length].astype(np.int64)
        picked = np.asarray(rows[np.arange(length), given], np.float64)
        sums += np.bincount(given, np.nan_to_num(picked), n_classes)
        counts += np.bincount(given, minlength=n_classes)
    seen = counts > 0
    smallest = float((sums[seen] / counts[seen]).min())
    return min(max(smallest / 2, EPSILON), 0.5)


_SAMPLE_PIECES = 16
_SAMPLE_ROWS = 16_384
_WEAK_TAU = 0.02
