"""Outlines of connected pixels: polygons along the sides of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree


def outlines_of(inside: np.ndarray) -> list[np.ndarray]:
    """The lines around connected pixels and around their holes.

    Parameters
    ----------
    inside : bool array (H, W)
        One piece of four-neighbours.

    Returns
    -------
    list of float64 arrays (k, 2)
        Corners x, y in pixels, the last one followed by the first: of the line around the piece, clockwise as seen,
        then of those around its holes, the other way round.
    """
    loops = sorted(_loops(inside), key=_signed_area, reverse=True)
    return [np.array(loop, np.float64) for loop in loops]


def joined(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """One polygon of the same area, float64 (k, 2): holes are joined to the line around by short lines to and fro.

    Parameters
    ----------
    outlines : sequence of float arrays (k, 2)
        As `outlines_of` gives them.
    """
    outer, *holes = outlines
    near = KDTree(outer)
    tours: dict[int, list[np.ndarray]] = {}
    for hole in holes:
        distance, corner = near.query(hole)
        at = int(distance.argmin())
        begin = int(corner[at])
        turned = np.roll(hole, -at, axis=0)
        tours.setdefault(begin, []).append(np.vstack([turned, turned[:1], outer[begin : begin + 1]]))
    return np.vstack([part for k in range(len(outer)) for part in (outer[k : k + 1], *tours.get(k, []))])


def _loops(inside: np.ndarray) -> list[list[tuple[int, int]]]:
    """Every border as its corners, the pixels at the right hand."""
    padded = np.pad(inside, 1)
    here = padded[1:-1, 1:-1]
    ends: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # a side of a pixel whose neighbour there is outside: its direction, and where it begins
    for (dx, dy), (x0, y0), beyond in (
        ((1, 0), (0, 0), padded[:-2, 1:-1]),
        ((0, 1), (1, 0), padded[1:-1, 2:]),
        ((-1, 0), (1, 1), padded[2:, 1:-1]),
        ((0, -1), (0, 1), padded[1:-1, :-2]),
    ):
        for y, x in np.argwhere(here & ~beyond).tolist():
            ends.setdefault((x + x0, y + y0), []).append((dx, dy))
    loops = []
    while ends:
        start = at = next(iter(ends))
        way = ends[at][0]
        corners: list[tuple[int, int]] = []
        while True:
            # where two pixels touch by a corner, turn right: they are no neighbours
            right = (-way[1], way[0])
            ways = ends[at]
            turn = right if corners and right in ways else ways[0]
            ways.remove(turn)
            if not ways:
                del ends[at]
            if not corners or turn != way:
                corners.append(at)
            way, at = turn, (at[0] + turn[0], at[1] + turn[1])
            if at == start and not (at in ends and (-way[1], way[0]) in ends[at]):
                break
        loops.append(corners)
    return loops


def _signed_area(loop: list[tuple[int, int]]) -> float:
    """Twice the area, below 0 of a hole."""
    x, y = np.array(loop, np.float64).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
