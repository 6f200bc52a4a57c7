"""Content hashes: the identity of items, arrays and configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.reading import regular_file


def hash_bytes(data: bytes) -> str:
    """``sha256:<hex>`` of raw bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """``sha256:<hex>`` of a file's bytes. Errors as `regular_file`."""
    with open(regular_file(path), "rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def hash_array(array: np.ndarray) -> str:
    """``sha256:<hex>`` over dtype, shape and C-ordered bytes of an array."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    # Row blocks keep the copy small when a memory map or a strided array comes in.
    step = max(1, (1 << 24) // max(1, array[:1].nbytes)) if array.ndim else 1
    if array.ndim == 0:
        digest.update(array.tobytes())
    else:
        for start in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[start : start + step]).tobytes())
    return "sha256:" + digest.hexdigest()


def hash_strings(strings: Iterable[str]) -> str:
    """``sha256:<hex>`` over strings, unambiguous about their boundaries."""
    digest = hashlib.sha256()
    for text in strings:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return "sha256:" + digest.hexdigest()


def hash_json(value: Any) -> str:
    """``sha256:<hex>`` of a JSON-serialisable value, independent of key order."""
    return hash_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
