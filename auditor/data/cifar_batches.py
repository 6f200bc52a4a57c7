"""Read the ``cifar-10-batches-py`` folder without running code.

The published batches are Python pickles. Only the four names that a pickled byte array needs are resolved; any
other makes the file refused, so a file with a payload in its place does nothing.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import UnreadableError, UnsafeFileError

__all__ = ["BATCHES", "read_batches"]

BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1" if encoding == "latin1" else "utf-8")


def _allowed() -> dict[tuple[str, str], Any]:
    # The function that makes an empty array has moved between NumPy versions; asking an array how it would be
    # rebuilt gives the right one without naming a private module.
    reconstruct = np.empty(0, dtype=np.uint8).__reduce__()[0]
    return {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }


class _ArraysOnly(pickle.Unpickler):
    _table = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._table[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read_batches(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 32, 32, 3) and labels int64 (n,) of one split, in the usual order.

    Raises
    ------
    UnsafeFileError
        If a file asks for anything but plain arrays.
    UnreadableError
        If a file is absent, damaged or not a batch of CIFAR-10.
    """
    parts = [_read_batch(folder / name) for name in BATCHES[split]]
    return np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        # The batches were written by Python 2: byte strings everywhere.
        batch = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except OSError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        if "asks for" in str(error):
            raise UnsafeFileError(
                f"{str(path)!r} is no CIFAR-10 batch: {error}, which could run code; it was not loaded.",
                "Fetch the published archive again.",
            ) from error
        raise UnreadableError(f"{str(path)!r} is damaged: {error}.") from error
    except (EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError, MemoryError) as error:
        raise UnreadableError(f"{str(path)!r} is damaged: {error}.", "Fetch the archive again.") from error
    data = batch.get(b"data", batch.get("data")) if isinstance(batch, dict) else None
    labels = batch.get(b"labels", batch.get("labels")) if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: it has no uint8 array of rows of 3,072.")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: {len(data)} images without as many labels.")
    pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)
