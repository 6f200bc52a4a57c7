"""How far items are from the nearest of some others, and the columns of a table as one space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor.detect.approximate import largest_entries, leading_axes, sampled_rows
from auditor.detect.neighbours import NARROW, is_costly, unit_rows

if TYPE_CHECKING:
    import pandas as pd

#: Products of rows above which only a sample of the others is compared with, and bytes of a block of similarities.
MOST_PAIRS, BLOCK_BYTES = 2_500_000_000, 1 << 26
#: Values of a column of categories that are columns of their own, the most frequent ones.
LEVELS = 20
_SEED = 0


def column_vectors(frame: pd.DataFrame) -> np.ndarray:
    """Rows of a table in one space.

    Parameters
    ----------
    frame : DataFrame (n rows)
        Float columns and columns of categories.

    Returns
    -------
    float32 array (n, d)
        Numbers with mean 0 and deviation 1, 0 where missing; of categories the `LEVELS` most frequent values, two that
        differ as far apart as numbers one deviation away from one another. Constant columns are left out.
    """
    parts = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype == "category":
            codes = column.cat.codes.to_numpy(np.int64)
            frequent = np.argsort(-np.bincount(codes[codes >= 0], minlength=1), kind="stable")[:LEVELS]
            parts += [(codes == level) / np.sqrt(2.0) for level in frequent if 0 < (codes == level).sum() < len(codes)]
            continue
        values = column.to_numpy(np.float64)
        known = np.isfinite(values)
        if known.any() and (spread := values[known].std()) > 0:
            parts.append(np.where(known, (values - values[known].mean()) / spread, 0.0))
    return np.column_stack(parts).astype(np.float32) if parts else np.zeros((len(frame), 0), np.float32)


def nearest_among(
    rows: np.ndarray, others: np.ndarray, row_codes: np.ndarray, codes: np.ndarray, k: int, cosine: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the others to each row.

    Parameters
    ----------
    rows : float array (m, d)
    others : float array (r, d)
        Where m * r exceeds `MOST_PAIRS`, a sample of them is compared with.
    row_codes, codes : int64 arrays (m,), (r,)
        A row's own copies are those of its code; they are never its neighbours.
    k : int
    cosine : bool
        Whether the distance is 1 - cosine; else it is that of the plane.

    Returns
    -------
    positions : int64 array (m, k)
        Among `others`, nearest first; -1 where there are fewer.
    distances : float32 array (m, k)
        NaN where there are fewer.
    """
    kept = np.arange(len(others))
    if len(rows) * len(others) > MOST_PAIRS:
        few = max(k + 1, MOST_PAIRS // max(1, len(rows)))
        kept = np.sort(np.random.default_rng(_SEED).choice(len(others), few, replace=False))
    if cosine:
        if is_costly(int(np.sqrt(len(rows) * len(kept))), rows.shape[1]):
            axes = leading_axes(unit_rows(others[kept[sampled_rows(len(kept))]]), NARROW)
            left, right = _along(axes, rows, np.arange(len(rows))), _along(axes, others, kept)
        else:
            left, right = unit_rows(rows), unit_rows(others[kept])
        half = np.zeros(len(kept), np.float32)
    else:
        left, right = np.asarray(rows, np.float32), np.asarray(others[kept], np.float32)
        half = ((right.astype(np.float64) ** 2).sum(axis=1) / 2).astype(np.float32)
    positions, distances = np.full((len(rows), k), -1), np.full((len(rows), k), np.nan, np.float32)
    step = max(1, BLOCK_BYTES // (4 * max(1, len(kept))))
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        # Nearest in the plane: the largest product less half the square of the length.
        similar = left[here] @ right.T - half
        best, values = largest_entries(similar, row_codes[here], codes[kept], k)
        found = best >= 0
        positions[here] = np.where(found, kept[best], -1)
        if cosine:
            distances[here] = np.where(found, 1.0 - values, np.nan)
        else:
            square = (left[here].astype(np.float64) ** 2).sum(axis=1)[:, None] - 2.0 * values.astype(np.float64)
            distances[here] = np.where(found, np.sqrt(np.maximum(square, 0.0)), np.nan)
    return positions, distances


def _along(axes: np.ndarray, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Some rows along some directions, of length 1, float32 (m, width); wide rows are read a few at a time."""
    parts = [unit_rows(unit_rows(rows[at[start : start + 4096]]) @ axes) for start in range(0, len(at), 4096)]
    return np.concatenate(parts)


def deviations(distance: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """How many robust deviations the logarithms of distances lie above the median of usual ones.

    Parameters
    ----------
    distance : float64 array (m,)
    usual : float64 array (r,)
        Distances among items that belong together; at least one.
    """
    logs, known = np.log(np.maximum(distance, 1e-6)), np.log(np.maximum(usual, 1e-6))
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    return (logs - middle) / max(spread, 1e-3)
