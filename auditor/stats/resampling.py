"""Bootstrap over items for many classifiers at once: exact counts, the same for any block size.

Items that all classifiers answer alike are interchangeable. Each resample is therefore a vector of how often every
pattern of answers was drawn, and the correct answers of all classifiers in all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from auditor.core.errors import DataError
from auditor.core.seeds import derive_seed

#: Bytes of weights handed out at once.
_BYTES = 64 << 20


def row_patterns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different rows of a table of bits.

    Parameters
    ----------
    values : bool array (n, q)

    Returns
    -------
    patterns : bool array (u, q)
    code : int64 array (n,)
        Row of `patterns` each row equals.
    """
    values = np.asarray(values, bool)
    if values.ndim != 2 or not len(values):
        raise DataError(f"a table of bits was expected, not an array of shape {values.shape}.")
    if not values.shape[1]:
        return np.zeros((1, 0), bool), np.zeros(len(values), np.int64)
    packed = np.ascontiguousarray(np.packbits(values, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).reshape(-1)
    _, first, code = np.unique(keys, return_index=True, return_inverse=True)
    return values[first], code.reshape(-1).astype(np.int64)


def resample_weights(code: np.ndarray, n_codes: int, draws: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Draw n of n items with replacement, again and again, and count what was drawn.

    Every draw has a random stream of its own, so that the size of the blocks never changes a result.

    Parameters
    ----------
    code : int64 array (n,)
        What each item counts as, 0 .. n_codes - 1.
    n_codes, draws : int
    seed : int

    Yields
    ------
    start : int
        Number of the first draw of the block.
    weights : float32 array (d, n_codes)
        Whole numbers; each row sums to n.
    """
    n = len(code)
    if n == 0 or draws < 1:
        raise DataError(f"nothing to resample: {n} items, {draws} draws.")
    if n >= 1 << 24:
        raise DataError(f"{n:,} items: counts above {1 << 24:,} are not exact in 32-bit floats.")
    code = np.ascontiguousarray(code, np.int32)
    if code.min() < 0 or code.max() >= n_codes:
        raise DataError(f"codes must lie in 0..{n_codes - 1}.")
    streams = np.array([derive_seed(seed, "resample", draw) for draw in range(draws)], np.uint64)
    block = max(1, _BYTES // (4 * n_codes))
    for start in range(0, draws, block):
        stop = min(draws, start + block)
        weights = np.zeros((stop - start, n_codes), np.float32)
        _draw(code, streams[start:stop], weights)
        yield start, weights


@njit(nogil=True, cache=True)
def _draw(code: np.ndarray, streams: np.ndarray, weights: np.ndarray) -> None:
    n = np.uint64(len(code))
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    for d in range(len(streams)):
        # splitmix64 (Steele, Lea, Flood 2014), spaced by the hashed seed; 32 bits pick one item (bias below n / 2^32).
        state = streams[d] * np.uint64(0xD1342543DE82EF95) + np.uint64(0x9E3779B97F4A7C15)
        row = weights[d]
        for pair in range((len(code) + 1) // 2):
            state += np.uint64(0x9E3779B97F4A7C15)
            z = state
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            row[code[((z & low) * n) >> half]] += np.float32(1)
            if 2 * pair + 1 < len(code):
                row[code[((z >> half) * n) >> half]] += np.float32(1)
