"""Read the ``cifar-10-batches-py`` folder without running code.

The published batches are Python pickles; `auditor.core.files.unpickle_arrays` resolves plain arrays only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auditor.core.errors import UnreadableError
from auditor.core.files import unpickle_arrays

BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}


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
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    # The batches were written by Python 2: byte strings everywhere.
    batch = unpickle_arrays(raw, repr(str(path)), encoding="bytes")
    data = batch.get(b"data", batch.get("data")) if isinstance(batch, dict) else None
    labels = batch.get(b"labels", batch.get("labels")) if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: it has no uint8 array of rows of 3,072.")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: {len(data)} images without as many labels.")
    pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)
