"""Several probability files of the same items as one: their weighted mean, formed chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditor.core.errors import ProbabilityError, UsageError
from auditor.engine.kernels import widened
from auditor.engine.scan import CHUNK_BYTES
from auditor.engine.sources import ProbabilitySource
from auditor.engine.validate import check_rows


def normalised(rows: np.ndarray) -> np.ndarray:
    """float64 within [0, 1], rows divided by their sum."""
    exact = _clipped(rows)
    exact /= exact.sum(axis=1, keepdims=True)
    return exact


def _clipped(rows: np.ndarray) -> np.ndarray:
    exact = widened(rows).astype(np.float64)
    return np.clip(exact, 0.0, 1.0, out=exact)


class MixtureSource:
    """``sum_m w_m P_m`` in float64, rows of each source `normalised`, added in the order of the sources.

    Raises
    ------
    ProbabilityError
        The sources differ in shape.
    UsageError
        Weights that are negative, do not sum to 1, or are not one per source.
    """

    def __init__(self, sources: Sequence[ProbabilitySource], weights: Sequence[float]) -> None:
        shapes = {source.shape for source in sources}
        if len(shapes) != 1:
            described = ", ".join(f"{source.name}: {source.shape}" for source in sources)
            raise ProbabilityError(f"the probabilities differ in shape: {described}.", "All must be of the same items.")
        values = np.asarray(weights, np.float64)
        if values.shape != (len(sources),) or (values < 0).any() or abs(values.sum() - 1) > 1e-9:
            raise UsageError(f"weights {values.tolist()} for {len(sources)} sources; they must be >= 0 and sum to 1.")
        self._sources, self._weights = tuple(sources), values
        self.name = " + ".join(source.name for source in sources)
        self.shape = sources[0].shape
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self.in_memory = all(source.in_memory for source in sources)
        self.natural_rows = max((getattr(source, "natural_rows", None) or 0 for source in sources), default=0) or None

    def read(self, start: int, stop: int) -> np.ndarray:
        mixed = np.zeros((stop - start, self.shape[1]))
        for source, weight in zip(self._sources, self._weights, strict=True):
            if weight:
                mixed += weight * normalised(source.read(start, stop))
        return mixed


def source_step(source: ProbabilitySource) -> int:
    """Rows to read at a time: the source's own pieces, or about `CHUNK_BYTES`."""
    natural: int | None = getattr(source, "natural_rows", None)
    return natural or max(1, CHUNK_BYTES // (source.shape[1] * source.dtype.itemsize))


def given_probabilities(source: ProbabilitySource, labels: np.ndarray, checked: bool = False) -> np.ndarray:
    """Probability of each item's given label, float64 (N,), rows `normalised`; one read.

    Every row is checked, unless that was done: in a mean of several files a bad one could no longer be seen.

    Raises
    ------
    ProbabilityError
        For the first bad row.
    """
    n_rows = source.shape[0]
    out = np.empty(n_rows)
    step = source_step(source)
    for start in range(0, n_rows, step):
        rows = source.read(start, min(n_rows, start + step))
        if not checked:
            check_rows(rows, start, source.name)
        rows, here = _clipped(rows), slice(start, start + len(rows))
        out[here] = rows[np.arange(len(rows)), labels[here]] / rows.sum(axis=1)
    return out
