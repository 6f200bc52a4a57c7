"""Checks of labels and probabilities that name the offending row."""

from __future__ import annotations

from typing import Any, NoReturn

import numba
import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError
from auditor.engine.kernels import widened
from auditor.engine.semantics import MAX_CLIP, ROW_SUM_TOLERANCE

#: Rows converted at once: small enough that a memory-mapped label file never lies in memory whole.
_LABEL_CHUNK = 1 << 20


def label_dtype(n_classes: int) -> np.dtype[Any]:
    """The unsigned type in which labels are kept: 2 bytes up to 65,536 classes, else 4."""
    return np.dtype(np.uint16 if n_classes <= 1 << 16 else np.uint32)


def check_form(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> tuple[int, int]:
    """Rows and classes of probabilities.

    Raises
    ------
    ProbabilityError
        Not two-dimensional, or not real numbers.
    """
    if dtype.kind not in "fiub":
        raise ProbabilityError(f"{where} holds values of the type {dtype}, not numbers.")
    if len(shape) != 2 or min(shape) < 0:
        raise ProbabilityError(
            f"{where} has shape {tuple(map(int, shape))}; (items, classes) is expected.",
            "Give one row per item and one column per class.",
        )
    return int(shape[0]), int(shape[1])


def check_columns(n_rows: int, n_labels: int, n_classes: int, where: str = "pred_probs") -> None:
    """Check the sizes of a problem; `where` are the probabilities, in messages.

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
        raise EmptyDataError(f"{where} has no rows.", "Give at least two labelled items.")
    if n_classes < 2:
        raise ProbabilityError(
            f"{where} has {n_classes} columns; at least two classes are needed.",
            "For a binary problem give both columns: numpy.column_stack([1 - p, p]).",
        )
    if n_labels != n_rows:
        raise LabelError(
            f"{n_labels} labels for {n_rows} rows of probabilities.", "Row i of both must be the same item."
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
        if piece.dtype.kind == "f" and not (whole := np.isfinite(piece) & (piece == np.floor(piece))).all():
            row = int(np.argmin(whole))
            raise LabelError(f"label {piece[row]} in row {start + row} is not a whole number.")
        # An unsigned value of 2**63 or more turns negative, which the range check reports just as well.
        integers = piece.astype(np.int64, copy=False)
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


def check_rows(
    block: np.ndarray, start: int, where: str, clip: float = MAX_CLIP, sum_tolerance: float = ROW_SUM_TOLERANCE
) -> int:
    """Check rows of probabilities; the first of them is row `start` of `where`.

    Returns
    -------
    int
        Rows with a value outside [0, 1], by no more than `clip`.

    Raises
    ------
    ProbabilityError
        From `raise_bad_row`, for the first bad row.
    """
    values = widened(block)
    low, high = values.min(axis=1), values.max(axis=1)
    with np.errstate(invalid="ignore"):
        sums = np.clip(values, 0, 1).sum(axis=1, dtype=np.float64)
        good = (low >= -clip) & (high <= 1 + clip) & (np.abs(sums - 1) <= sum_tolerance)  # NaN compares false
    if not good.all():
        row = int(np.argmin(good))
        raise_bad_row(block[row], start + row, where, clip, sum_tolerance)
    return int(np.count_nonzero((low < 0) | (high > 1)))


def raise_bad_row(row: np.ndarray, number: int, where: str, clip: float, sum_tolerance: float) -> NoReturn:
    """Say what is wrong with row `number` of the probabilities `where`, which a check found bad.

    Raises
    ------
    ProbabilityError
        Always.
    """
    values = np.asarray(row, dtype=np.float64)
    where = f"{where}: row {number}"
    if not np.isfinite(values).all():
        column = int(np.argmin(np.isfinite(values)))
        raise ProbabilityError(
            f"{where} holds {values[column]} (column {column}); probabilities must be finite.",
            "Predict these items again or leave them out.",
        )
    low, high = values.min(), values.max()
    if low < -clip or high > 1 + clip:
        value, word = (low, "negative") if low < -clip else (high, "above 1")
        percent = low >= 0 and abs(values.sum() - 100) <= 1
        way_out = "These look like percentages: divide by 100." if percent else "Logits need a softmax first."
        raise ProbabilityError(f"{where} holds {value:.9g}, which is {word}.", way_out)
    raise ProbabilityError(
        f"{where} sums to {np.clip(values, 0, 1).sum():.6g}, not 1 (tolerance {sum_tolerance:g}).",
        "Give one probability per class, all classes: softmax outputs rather than independent sigmoids.",
    )
