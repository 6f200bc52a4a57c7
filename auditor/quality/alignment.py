"""Two pictures brought to lie on one another: the affine map and the change of brightness that explain the second best.

Forward-additive Gauss-Newton on brightness (Lucas and Kanade 1981; Baker and Matthews 2004), coarse to fine, with gain
and offset of the brightness estimated along.
"""

from __future__ import annotations

import numba
import numpy as np

#: Steps at a quarter, at half and at the full resolution.
STEPS = (8, 8, 6)
#: The map of two pictures that lie on one another.
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def aligned(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The map from the places of each second picture to those of the first.

    Parameters
    ----------
    first, second : float32 array (p, s, s)
        Brightness; `s` is divisible by 4.
    start : float64 array (p, 6)
        Maps to begin with: ``y' = m0 y + m1 x + m2, x' = m3 y + m4 x + m5`` in shares of the side, from the middle.

    Returns
    -------
    float64 array (p, 6)
    """
    maps, light = start.astype(np.float64).copy(), np.tile([1.0, 0.0], (len(first), 1))
    for level, steps in zip((4, 2, 1), STEPS, strict=True):
        _descend(_reduced(first, level), _reduced(second, level), maps, light, steps)
    return maps


def warped(pictures: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures seen through their maps, bilinear.

    Parameters
    ----------
    pictures : float32 array (p, s, s)
    maps : float64 array (p, 6)
        As `aligned`.

    Returns
    -------
    float32 array (p, s, s)
    bool array (p, s, s)
        Places that lie inside the picture.
    """
    out, inside = np.zeros_like(pictures), np.zeros(pictures.shape, bool)
    _warp(pictures, maps, out, inside)
    return out, inside


def _reduced(pictures: np.ndarray, factor: int) -> np.ndarray:
    n, side = len(pictures), pictures.shape[1] // factor
    return np.ascontiguousarray(pictures.reshape(n, side, factor, side, factor).mean(axis=(2, 4), dtype=np.float32))


@numba.njit(cache=True, nogil=True)
def _sample(picture: np.ndarray, y: float, x: float) -> tuple[float, float, float, bool]:  # pragma: no cover - compiled
    """Value and gradient at a place, and whether it lies inside."""
    side = picture.shape[0]
    if y < -0.5 or x < -0.5 or y > side - 0.5 or x > side - 0.5:
        return 0.0, 0.0, 0.0, False
    y, x = min(max(y, 0.0), side - 1.0), min(max(x, 0.0), side - 1.0)
    i, j = min(int(y), side - 2), min(int(x), side - 2)
    v, u = y - i, x - j
    a, b, c, d = picture[i, j], picture[i, j + 1], picture[i + 1, j], picture[i + 1, j + 1]
    value = (a * (1 - u) + b * u) * (1 - v) + (c * (1 - u) + d * u) * v
    return value, (c - a) * (1 - u) + (d - b) * u, (b - a) * (1 - v) + (d - c) * v, True


@numba.njit(cache=True, parallel=True, nogil=True)
def _warp(pictures: np.ndarray, maps: np.ndarray, out: np.ndarray, inside: np.ndarray) -> None:  # pragma: no cover
    side = pictures.shape[1]
    middle = (side - 1) / 2
    for p in numba.prange(len(pictures)):
        m = maps[p]
        for i in range(side):
            for j in range(side):
                v, u = (i - middle) / side, (j - middle) / side
                y = (m[0] * v + m[1] * u + m[2]) * side + middle
                x = (m[3] * v + m[4] * u + m[5]) * side + middle
                value, _, _, inner = _sample(pictures[p], y, x)
                out[p, i, j], inside[p, i, j] = value, inner


@numba.njit(cache=True, parallel=True, nogil=True)
def _descend(
    first: np.ndarray, second: np.ndarray, maps: np.ndarray, light: np.ndarray, steps: int
) -> None:  # pragma: no cover - compiled
    side = first.shape[1]
    middle = (side - 1) / 2
    for p in numba.prange(len(first)):
        for _ in range(steps):
            normal, right = np.zeros((8, 8)), np.zeros(8)
            row, m, gain = np.zeros(8), maps[p], light[p, 0]
            for i in range(side):
                for j in range(side):
                    v, u = (i - middle) / side, (j - middle) / side
                    y = (m[0] * v + m[1] * u + m[2]) * side + middle
                    x = (m[3] * v + m[4] * u + m[5]) * side + middle
                    value, dy, dx, inner = _sample(first[p], y, x)
                    if not inner:
                        continue
                    dy, dx = dy * side * gain, dx * side * gain
                    row[0], row[1], row[2] = dy * v, dy * u, dy
                    row[3], row[4], row[5] = dx * v, dx * u, dx
                    row[6], row[7] = value, 1.0
                    left = second[p, i, j] - gain * value - light[p, 1]
                    for a in range(8):
                        right[a] += row[a] * left
                        for b in range(a + 1):
                            normal[a, b] += row[a] * row[b]
            for a in range(8):
                for b in range(a):
                    normal[b, a] = normal[a, b]
                # Directions that the picture says nothing about stay where they are.
                normal[a, a] = normal[a, a] * 1.001 + 1e-3
            step = np.linalg.solve(normal, right)
            bad = False
            for a in range(8):
                bad = bad or not np.isfinite(step[a])
            if bad:
                break
            for a in range(6):
                # A step of more than an eighth of the side has left the range where the picture is straight.
                maps[p, a] += min(max(step[a], -0.125), 0.125)
            light[p, 0] += step[6]
            light[p, 1] += step[7]
