"""Checks of labels and probabilities that name the offending row."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError

__all__ = ["check_columns", "compact_labels", "label_dtype", "raise_bad_row"]

#: Rows converted at once: small enough that a memory-mapped label file never lies in memory whole.
_LABEL_CHUNK = 1 << 20


def label_dtype(n_classes: int) -> np.dtype[Any]:
    """The unsigned type in which labels are kept: 2 bytes up to 65,536 classes, else 4."""
    return np.dtype(np.uint16 if n_classes <= 1 << 16 else np.uint32)


def check_columns(n_rows: int, n_labels: int, n_classes: int) -> None:
    """Check the sizes of a problem.

    Raises
    ------
    EmptyDataError
        No rows.
    LabelError
        Another number of labels than rows.
    ProbabilityError
        Fewer than two columns.
    """
    if n_rows == 0:
        raise EmptyDataError("the probabilities have no rows.", "Give at least two labelled items.")
    if n_classes < 2:
        raise ProbabilityError(
            f"the probabilities have {n_classes} column(s); at least two classes are needed.",
            "For a binary problem give both columns: numpy.column_stack([1 - p, p]).",
        )
    if n_labels != n_rows:
        raise LabelError(
            f"{n_labels} labels for {n_rows} rows of probabilities.",
            "Both must describe the same items in the same order.",
        )


@numba.njit(nogil=True, cache=True)
def _compact(labels, n_classes, out, counts):  # type: ignore[no-untyped-def]
    for i in range(len(labels)):
        y = labels[i]
        if y < 0 or y >= n_classes:
            return i
        out[i] = y
        counts[y] += 1
    return -1


def compact_labels(labels: Any, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Copy labels into the smallest type and count them.

    Parameters
    ----------
    labels : array-like (n,)
        Integers, or floats and booleans with integral values; read in pieces.
    n_classes : int

    Returns
    -------
    labels : uint16 or uint32 array (n,)
    counts : int64 array (n_classes,)

    Raises
    ------
    LabelError
        Wrong shape or type, a label outside ``0 .. n_classes - 1``, or fewer than two distinct labels.
    """
    given = labels if isinstance(labels, np.ndarray) else np.asarray(labels)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise LabelError(
            f"labels have shape {given.shape}; one label per item is expected.",
            "Labels are a one-dimensional array of class positions (one-hot rows: take argmax(axis=1)).",
        )
    if given.dtype.kind not in "iufb":
        raise LabelError(
            f"labels have the type {given.dtype}; class positions 0, 1, ... are expected.",
            "Turn names into positions in the list of class names first.",
        )
    out = np.empty(len(given), label_dtype(n_classes))
    counts = np.zeros(n_classes, np.int64)
    for start in range(0, len(given), _LABEL_CHUNK):
        piece = np.ascontiguousarray(given[start : start + _LABEL_CHUNK])
        if piece.dtype.kind == "f":
            _check_integral(piece, start)
        integers = piece.astype(np.int64, copy=False) if piece.dtype != np.uint64 else _from_uint64(piece)
        bad = _compact(integers, n_classes, out[start : start + len(piece)], counts)
        if bad >= 0:
            raise LabelError(
                f"label {piece[bad]} in row {start + bad} is outside the {n_classes} classes 0..{n_classes - 1}.",
                "Labels are 0-based column positions of the probabilities.",
            )
    if np.count_nonzero(counts) < 2:
        raise LabelError(
            "all labels are of one class: there is nothing a label could be confused with.",
            "Give data with at least two classes.",
        )
    return out, counts


def _check_integral(piece: np.ndarray, start: int) -> None:
    bad = np.flatnonzero(~(np.isfinite(piece) & (piece == np.floor(piece))))
    if len(bad):
        raise LabelError(f"label {piece[bad[0]]} in row {start + int(bad[0])} is not a whole number.")


def _from_uint64(piece: np.ndarray) -> np.ndarray:
    # A value of 2**63 or more would turn negative, which the range check reports just as well.
    return piece.astype(np.int64)


def raise_bad_row(row: np.ndarray, number: int, low: float, high: float, sum_tolerance: float) -> None:
    """Say what is wrong with one row of probabilities, found by a kernel.

    Raises
    ------
    ProbabilityError
        Always.
    """
    values = np.asarray(row, dtype=np.float64)
    where = f"row {number}"
    if not np.isfinite(values).all():
        column = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ProbabilityError(
            f"{where}, column {column} of the probabilities is {values[column]}.",
            "Probabilities must be finite; drop or repair such rows.",
        )
    outside = np.flatnonzero((row < low) | (row > high))
    if len(outside):
        column = int(outside[0])
        raise ProbabilityError(
            f"{where}, column {column} of the probabilities is {values[column]:.9g}, outside [0, 1].",
            "Logits need a softmax first; values off by rounding can be clipped (clip=1e-4).",
        )
    raise ProbabilityError(
        f"{where} of the probabilities sums to {values.sum():.6g}, further than {sum_tolerance:g} from 1.",
        "Divide each row by its sum, or give a wider row_sum_tolerance.",
    )
