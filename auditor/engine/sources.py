"""Where probabilities come from: an array in memory, or files read in row ranges.

A source says how many rows and classes it has and hands out any range of rows. Files are read with plain reads
into a buffer per thread, never mapped: mapped pages count as memory of the process, reads do not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from auditor.engine.validate import check_form


@runtime_checkable
class ProbabilitySource(Protocol):
    """Rows of probabilities. Sources used by a cluster must survive pickling."""

    #: For messages: a quoted path, or ``"pred_probs"``.
    name: str
    #: Rows, classes.
    shape: tuple[int, int]
    #: As stored; the engine computes in `compute_dtype` of it.
    dtype: np.dtype[Any]
    #: True if reading costs no more than touching memory (decides how often rows may be read).
    in_memory: bool

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop, shape (stop - start, K), any memory order. Valid until the thread's next call."""


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 for float16 and float32, float64 for everything else."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)


class ArraySource:
    """A two-dimensional array, also a memory map; rows are views, nothing is copied."""

    in_memory = True

    def __init__(self, array: np.ndarray, name: str = "pred_probs") -> None:
        self.shape = check_form(array.shape, array.dtype, name)
        self.dtype = array.dtype
        self.name = name
        self._array = array

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._array[start:stop]


class ReorderedSource:
    """The columns of another source in the order of `columns`."""

    def __init__(self, source: ProbabilitySource, columns: Sequence[int]) -> None:
        self.name, self.dtype, self.in_memory = source.name, source.dtype, source.in_memory
        self.shape = (source.shape[0], len(columns))
        self.natural_rows: int | None = getattr(source, "natural_rows", None)
        self._source, self._columns = source, list(columns)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._source.read(start, stop)[:, self._columns]


def as_source(probabilities: Any) -> ProbabilitySource:
    """Wrap whatever holds probabilities.

    Parameters
    ----------
    probabilities : array-like (N, K), ProbabilitySource, or torch tensor (N, K)

    Raises
    ------
    ProbabilityError
        Not two-dimensional or not numbers.
    """
    if isinstance(probabilities, np.ndarray):
        return ArraySource(probabilities)
    if isinstance(probabilities, ProbabilitySource):
        return probabilities
    if type(probabilities).__module__.partition(".")[0] == "torch":
        from auditor.engine.torch_path import TorchSource

        return TorchSource(probabilities)
    return ArraySource(np.asarray(probabilities))


class PerThread(threading.local):
    """Attributes of each thread's own; none of them survives pickling."""

    def __reduce__(self) -> tuple[type[PerThread], tuple[()]]:
        return PerThread, ()


class ThreadBuffers:
    """One reusable buffer per thread and purpose; grows, never shrinks."""

    def __init__(self) -> None:
        self._local = PerThread()

    def take(self, purpose: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> np.ndarray:
        """A C-contiguous array whose content is undefined."""
        size = shape[0] * shape[1]
        key = f"{purpose}:{dtype.str}"
        buffer = getattr(self._local, key, None)
        if buffer is None or buffer.size < size:
            buffer = np.empty(size, dtype)
            setattr(self._local, key, buffer)
        return buffer[:size].reshape(shape)
