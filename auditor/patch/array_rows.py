"""Supplied labels: a ``.npy`` array, and the probabilities beside it when rows are set aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import load_npy
from auditor.patch.rows import FilePlan, RowFile, merge_rows
from auditor.runs.tables import write_array


class ArrayRows(RowFile):
    """A ``.npy`` file whose rows are items.

    Parameters
    ----------
    path : Path
    name : str
    value : callable or None
        Class name to label value; None for an array whose values are no labels (probabilities).
    dtype : str or None
        Type before any patch; text labels widen it only while they need to.
    """

    def __init__(
        self, path: Path, name: str, value: Callable[[str], Any] | None = None, dtype: str | None = None
    ) -> None:
        self.path = path
        self.name = name
        self.value = value
        loaded = load_npy(path, mmap=True)
        self.dtype = np.dtype(dtype) if dtype is not None and value is not None else loaded.dtype
        self.n = len(loaded)

    def extra(self) -> dict[str, Any]:
        """The type before any patch."""
        return {"dtype": self.dtype.str}

    def unchanged(self, plan: FilePlan) -> Path | None:
        same_rows = np.array_equal(plan.before, plan.after)
        return self.path if same_rows and (self.value is None or not plan.labels) else None

    def rewrite(self, out: Path, aside: Path | None, aside_out: Path, plan: FilePlan) -> dict[int, str]:
        now = load_npy(self.path, mmap=True)
        laid = now[:0] if aside is None else load_npy(aside)
        order, kept = merge_rows(self.n, plan, repr(str(self.path)), len(laid))
        rows = np.concatenate([now, laid])[order]
        if self.value is not None:
            values = rows.tolist()
            for row, name in plan.labels.items():
                values[row] = self.value(name)
            rows = np.array(values, dtype=_wide_enough(self.dtype, values)).reshape(rows.shape)
        if len(plan.after):
            write_array(aside_out, rows[plan.after])
        write_array(out, rows[kept])
        return {}


def _wide_enough(dtype: np.dtype, values: list[Any]) -> np.dtype:
    """The type before any patch; for text, wider where a new name needs it, so that nothing is cut off."""
    if dtype.kind != "U":
        return dtype
    return np.dtype(f"U{max(dtype.itemsize // 4, max(map(len, values), default=0))}")
