"""Whether one picture is a part of another: its reduced copy slid over the other's brightness gradients."""

from __future__ import annotations

import numba
import numpy as np

from auditor.quality.alignment import IDENTITY
from auditor.quality.thumbnails import area_weights

#: Sides to which the smaller picture is reduced before it is slid over the 32 x 32 of the other: parts of 90 % to
#: 60 % of its width. A whole copy is what `alike.gradient_correlation` looks for.
SCALES = (30, 29, 28, 27, 26, 25, 24, 22, 20, 19)
#: The same at half the resolution, where a pair must reach `LEAST_AT_HALF` to be looked at in full: it costs a
#: sixteenth, and most pairs that embeddings propose are pictures of alike things.
HALF_SCALES, LEAST_AT_HALF = (15, 14, 13, 12, 11, 10), 0.6
#: Least correlation of a window. Measured on CIFAR-10: crops of 70 to 90 % of the width, enlarged again, reach 0.94
#: (first percentile), random pairs 0.44 at most; pictures of alike things (ships, equal frames) reach 0.79.
LEAST_WINDOW = 0.85
#: Mean squared step between neighbours (quarters of a grey level) below which a window is flat and matches nothing.
LEAST_POWER = 8.0


def window_correlation(pictures: np.ndarray, pairs: np.ndarray, block: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    """How well the second picture of each pair, reduced, matches some window of the first, and which window.

    Parameters
    ----------
    pictures : int16 array (m, 32, 32)
        As `auditor.quality.hashes.grey_thumbnails`.
    pairs : int64 array (pairs, 2)
        Rows of `pictures`; the second is sought in the first.
    block : int
        Pairs at a time. Never changes the result.

    Returns
    -------
    correlation : float64 array (pairs,)
        Largest correlation of the gradients over the sides in `SCALES` and all places, in [-1, 1]; -1 where half the
        resolution rules it out.
    maps : float64 array (pairs, 6)
        From places of the second to that window, as in `auditor.quality.alignment.aligned`.
    """
    best, maps = np.full(len(pairs), -1.0), np.tile(IDENTITY, (len(pairs), 1))
    for start in range(0, len(pairs), block):
        chunk = pairs[start : start + block]
        whole, part = pictures[chunk[:, 0]].astype(np.float32), pictures[chunk[:, 1]].astype(np.float32)
        likely = np.flatnonzero(_best(_halved(whole), _halved(part), HALF_SCALES)[0] >= LEAST_AT_HALF)
        best[start + likely], maps[start + likely] = _best(whole[likely], part[likely], SCALES)
    return best, maps


def _best(whole: np.ndarray, part: np.ndarray, sides: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    best, maps, size = np.full(len(whole), -1.0), np.tile(IDENTITY, (len(whole), 1)), part.shape[1]
    for side in sides:
        weights = area_weights(size, side).astype(np.float32)
        small = np.matmul(np.matmul(weights, part), weights.T)
        value, places = _slide(whole, np.ascontiguousarray(small))
        better = value > best
        best = np.where(better, value, best)
        # The middle of a window of this side at this place, from the middle of the picture.
        down, right = ((places[better] + side / 2) / size - 0.5).T
        zero, share = np.zeros_like(down), np.full_like(down, side / size)
        maps[better] = np.column_stack([share, zero, down, zero, share, right])
    return best, maps


def _halved(pictures: np.ndarray) -> np.ndarray:
    n, side = len(pictures), pictures.shape[1] // 2
    return np.ascontiguousarray(pictures.reshape(n, side, 2, side, 2).mean(axis=(2, 4)))


@numba.njit(cache=True, parallel=True, nogil=True, fastmath=False)
def _slide(whole: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover - compiled
    n, size, side = len(whole), whole.shape[1], part.shape[1]
    result, places = np.full(n, -1.0), np.zeros((n, 2))
    for p in numba.prange(n):
        power = 0.0
        for i in range(side - 1):
            for j in range(side - 1):
                down, right = part[p, i + 1, j] - part[p, i, j], part[p, i, j + 1] - part[p, i, j]
                power += down * down + right * right
        if power < LEAST_POWER * side * side:
            continue
        for y in range(size - side + 1):
            for x in range(size - side + 1):
                dot, other = 0.0, 0.0
                for i in range(side - 1):
                    for j in range(side - 1):
                        here = whole[p, y + i, x + j]
                        down, right = whole[p, y + i + 1, x + j] - here, whole[p, y + i, x + j + 1] - here
                        mine = part[p, i, j]
                        dot += down * (part[p, i + 1, j] - mine) + right * (part[p, i, j + 1] - mine)
                        other += down * down + right * right
                if other >= LEAST_POWER * side * side:
                    value = dot / np.sqrt(power * other)
                    if value > result[p]:
                        result[p], places[p, 0], places[p, 1] = value, y, x
    return result, places
