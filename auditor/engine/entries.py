"""What goes into a scan of the probabilities and what comes out of it, on a CPU or a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InputRules:
    """What is accepted as probabilities.

    Attributes
    ----------
    clip : float
        Values no further than this outside [0, 1] are set to 0 or 1; 0 turns clipping off, and values up to
        1e-6 outside are then used as they are.
    row_sum_tolerance : float
        Largest distance of a row sum from 1; infinity turns the check off.
    """

    clip: float
    row_sum_tolerance: float


@dataclass(frozen=True)
class EntryList:
    """Entries (row, column, value) of one range of rows, in row order, then column order.

    Attributes
    ----------
    base : int
        Row number that `row` counts from.
    row : uint32 array
    column : uint16 or uint32 array
    value : array of the computing type
    """

    base: int
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class ScanResult:
    """One job's share of a `auditor.engine.scan.RowStore`."""

    start: int
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    many: list[EntryList]
    rivals: list[EntryList]
    clipped: int
