"""Outlines of connected pixels: polygons along the sides of pixels."""

from __future__ import annotations

import numpy as np


def outline_of(inside: np.ndarray) -> np.ndarray:
    """The polygon around connected pixels, whose area is theirs; holes are joined to it by lines to and fro.

    Parameters
    ----------
    inside : bool array (H, W)
        One piece of four-neighbours.

    Returns
    -------
    float64 array (k, 2)
        Corners x, y in pixels, clockwise as seen; the last one is followed by the first.
    """
    loops = _loops(inside)
    outer = max(loops, key=_signed_area)
    corners = list(outer)
    for hole in loops:
        if hole is not outer:
            corners += [outer[0], *hole, hole[0]]
    return np.array(corners, np.float64)


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
