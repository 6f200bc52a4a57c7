"""From probabilities and labels to an `Analysis`: everything confident learning needs, after one read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from auditor.core.errors import UsageError
from auditor.engine.entries import InputRules
from auditor.engine.executors import Executor, ThreadExecutor
from auditor.engine.finish import class_means, confident_cells, cuts_for, thresholds_from
from auditor.engine.joint import calibrate, raise_diagonal
from auditor.engine.memory import check_memory, plan_memory
from auditor.engine.scan import RowStore, Work, new_store, sample_tau, scan
from auditor.engine.scores import margin_score
from auditor.engine.semantics import MAX_CLIP, ROW_SUM_TOLERANCE
from auditor.engine.sources import as_source, compute_dtype
from auditor.engine.validate import check_columns, compact_labels, label_dtype

#: Smallest probability of another class that the scan stores for candidates. A smaller floor resolves more pairs
#: of prune_by_noise_rate without a second look (1M x 100: 82 instead of 704 left at .002) but stores six times the
#: entries, which costs more than the second look saves (1M x 100: .56 s against .28 s).
RIVAL_FLOOR = 0.02


@dataclass(frozen=True, eq=False)
class Analysis:
    """Result of `analyze`. N items, K classes; "computing type" is float32, or float64 for float64 input.

    Attributes
    ----------
    labels : uint16 or uint32 array (N,)
        Given labels.
    class_counts : int64 array (K,)
        Items per given label.
    thresholds : array (K,)
        Mean self-confidence per class; computing type, float64 if a class has no items (its entry is 2).
    joint : int64 csr_array (K, K)
        The confident joint. Rows given, columns guessed labels; uncalibrated, each diagonal entry at least 1.
    calibrated : int64 csr_array (K, K)
        Scaled to the class counts; row k adds up to ``class_counts[k]``.
    self_confidence : array (N,), computing type
        Probability of the given label.
    largest_other : array (N,), computing type
        Largest probability of another class.
    predicted : uint16 or uint32 array (N,)
        Argmax, first column on ties.
    candidates : bool array (N,)
        Argmax differs from the given label even with 1e-6 added to the latter. No rule but the two low_* and
        the paper's flags any other item.
    off_diagonal : bool array (N,)
        Confidently of another class than given, before the candidates are intersected.
    rows_clipped : int
        Rows in which values were set to 0 or 1.
    reads : int
        How often the probabilities were read in full so far.
    """

    labels: np.ndarray
    class_counts: np.ndarray
    thresholds: np.ndarray
    joint: csr_array = dataclasses.field(repr=False)
    calibrated: csr_array = dataclasses.field(repr=False)
    self_confidence: np.ndarray
    largest_other: np.ndarray
    predicted: np.ndarray
    candidates: np.ndarray
    off_diagonal: np.ndarray
    rows_clipped: int
    reads: int
    store: RowStore = dataclasses.field(repr=False)
    work: Work = dataclasses.field(repr=False)

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.class_counts)

    @property
    def confident_joint(self) -> np.ndarray:
        """`joint` as an array, int64 (K, K): 800 MB for 10,000 classes."""
        return self.joint.toarray()

    @property
    def calibrated_joint(self) -> np.ndarray:
        """`calibrated` as an array, int64 (K, K)."""
        return self.calibrated.toarray()

    @property
    def normalized_margin(self) -> np.ndarray:
        """``((self_confidence - largest_other) + 1) / 2``, computing type (N,)."""
        return margin_score(self.self_confidence, self.largest_other)

    @property
    def n_issues(self) -> int:
        """Size of the confident_learning mask: cleanlab's ``num_label_issues`` with ``off_diagonal``."""
        return int(np.count_nonzero(self.off_diagonal & self.candidates))


def analyze(
    probabilities: Any,
    labels: Any,
    *,
    chunk_rows: int | None = None,
    threads: int | None = None,
    clip: float = 0.0,
    row_sum_tolerance: float | None = ROW_SUM_TOLERANCE,
    executor: Executor | None = None,
    memory_limit: int | None = None,
    tau: float | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Analysis:
    """Confident learning on out-of-sample probabilities.

    Parameters
    ----------
    probabilities : array-like (N, K), ProbabilitySource or torch tensor
        Rows sum to 1. float16 is computed in float32; float32 and float64 as they are.
    labels : array-like (N,)
        Integers 0..K-1, at least two distinct ones.
    chunk_rows : int, optional
        Rows per piece of work. No result depends on it.
    threads : int, optional
        Default: the CPUs this process may use. No result depends on it.
    clip : float
        Set values no further than this outside [0, 1] to 0 or 1 instead of raising; at most 1e-3.
    row_sum_tolerance : float or None
        Largest distance of a row sum from 1; None turns the check off.
    executor : Executor, optional
        Runs the reads of the probabilities, e.g. on a cluster.
    memory_limit : int, optional
        Bytes; the need is compared with it before anything is allocated. Default: what the machine has left.
    tau : float, optional
        Starting guess of the smallest confident probability; only speed depends on it.
    on_rows : callable, optional
        Called with the number of rows read so far.

    Returns
    -------
    Analysis

    Raises
    ------
    ProbabilityError, LabelError, EmptyDataError
        Bad input, naming the first bad row.
    MemoryGuardError
        The row store would not fit.
    UsageError
        `clip` or `chunk_rows` out of range.
    """
    if not 0 <= clip <= MAX_CLIP:
        raise UsageError(f"clip is {clip}; it must lie between 0 and {MAX_CLIP:g}.")
    tolerance = math.inf if row_sum_tolerance is None else float(row_sum_tolerance)
    if not tolerance > 0:
        raise UsageError(f"row_sum_tolerance is {row_sum_tolerance}; it must be above 0, or None for no check.")
    if chunk_rows is not None and chunk_rows < 1:
        raise UsageError(f"chunk_rows is {chunk_rows}; it must be at least 1.")
    source = as_source(probabilities)
    n_rows, n_classes = source.shape
    check_columns(n_rows, _length(labels), n_classes, source.name)
    chunk_rows = chunk_rows or getattr(source, "natural_rows", None)
    local = ThreadExecutor(threads)
    executor = executor or local
    dtype = compute_dtype(source.dtype)
    check_memory(plan_memory(n_rows, n_classes, dtype.itemsize), memory_limit)
    compact, class_counts = compact_labels(labels, n_classes)
    if tau is None:
        tau = sample_tau(source, compact)
    store = new_store(n_rows, dtype, label_dtype(n_classes), float(dtype.type(tau)), RIVAL_FLOOR)
    work = Work(source, InputRules(float(clip), tolerance), executor, local, chunk_rows)
    scan(work, compact, store, on_rows)
    thresholds = thresholds_from(class_means(store.given, compact, class_counts, local))
    cuts = cuts_for(thresholds, dtype)
    joint, off_diagonal = confident_cells(store, compact, cuts, True, work)
    raised = raise_diagonal(joint)
    rows = (store.given, store.other, store.top, store.candidate, off_diagonal, store.clipped)
    calibrated = calibrate(raised, class_counts)
    reads = 1 + int(cuts.min() < store.tau)
    return Analysis(compact, class_counts, thresholds, raised, calibrated, *rows, reads, store, work)


def _length(labels: Any) -> int:
    try:
        return len(labels)
    except TypeError as error:
        raise UsageError(f"labels are a {type(labels).__name__}; an array is expected.") from error
