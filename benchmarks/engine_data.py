"""Synthetic probabilities for the engine benchmarks, and what every result file records."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
#: Real data, where `AUDITOR_DATA_DIR` names it or beside the checkout.
DATA = Path(os.environ.get("AUDITOR_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))


def synthetic(n: int, k: int, dtype: Any = np.float32, seed: int = 0, labels_only: bool = False):
    """Softmax probabilities of a network of about 87 % accuracy and labels with 10 % noise, made in pieces."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    wrong = rng.random(n) < 0.1
    given = np.where(wrong, rng.integers(0, k, n), labels)
    if labels_only:
        return given
    p = np.empty((n, k), dtype)
    for start, rows in piecewise(labels, k, seed):
        p[start : start + len(rows)] = rows
    return p, given


def piecewise(truth: np.ndarray, k: int, seed: int):
    """Yield (start, float32 rows); a block of noise is reused with shifted columns, as drawing it is what costs."""
    rng = np.random.default_rng((seed, 1))
    step = max(1, (32 << 20) // (4 * k))
    noise = rng.standard_normal((min(step, len(truth)), k), dtype=np.float32)
    for start in range(0, len(truth), step):
        part = truth[start : start + step]
        logits = np.roll(noise[: len(part)], int(rng.integers(k)), axis=1)
        strong = rng.random(len(part)) < 0.87
        logits[np.arange(len(part)), part] += np.where(strong, 3 + math.log(k), 1.0).astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        yield start, logits


def write_file(path: Path, n: int, k: int) -> None:
    """Probabilities (float16) and labels, never whole in memory."""
    array = np.lib.format.open_memmap(path, "w+", np.float16, (n, k))
    for start, rows in piecewise(truth_labels(n, k), k, 0):
        array[start : start + len(rows)] = rows
    array.flush()
    np.save(path.with_suffix(".labels.npy"), synthetic(n, k, labels_only=True).astype(np.int16))


def truth_labels(n: int, k: int, seed: int = 0) -> np.ndarray:
    """The true labels behind `synthetic`."""
    return np.random.default_rng(seed).integers(0, k, n)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def conditions() -> dict[str, Any]:
    """Hardware and versions."""
    from auditor.core.machine import describe_machine, package_versions

    return {"machine": describe_machine(), "versions": package_versions(), "python": platform.python_version()}


def save(name: str, document: dict[str, Any]) -> None:
    """Write one result file beside the others."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    path.write_text(json.dumps(document, indent=1) + "\n")
    sys.stderr.write(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}\n")
