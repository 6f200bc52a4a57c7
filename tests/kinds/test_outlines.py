"""Polygons around connected pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from auditor.kinds.outlines import joined, outlines_of


def painted(outline: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels whose centre a polygon winds round, by either rule of filling: they must agree."""
    y, x = np.mgrid[:height, :width] + 0.5
    winds = np.zeros((height, width), np.int64)
    for (x1, y1), (x2, y2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y1 != y2:
            right = x1 + (y - y1) / (y2 - y1) * (x2 - x1) > x
            winds += (right & (y1 <= y) & (y2 > y)).astype(int) - (right & (y2 <= y) & (y1 > y))
    np.testing.assert_array_equal(winds != 0, winds % 2 == 1)
    return winds != 0


@pytest.mark.parametrize("seed", range(30))
def test_a_polygon_covers_its_pixels_and_no_others(seed: int) -> None:
    """Pieces with holes, holes that touch by corners, single pixels, whole pictures."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 14, 2))
    numbers, count = ndimage.label(rng.random((height, width)) < rng.uniform(0.3, 1.05))
    for number in range(1, count + 1):
        inside = numbers == number
        outlines = outlines_of(inside)
        outline = joined(outlines)
        np.testing.assert_array_equal(painted(outline, height, width), inside)
        around = ndimage.label(~np.pad(inside, 1), np.ones((3, 3)))[1]
        assert len(outlines) == around, "a line a hole"
        x, y = outline.T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 == pytest.approx(inside.sum())


def test_corners_are_few_and_a_hole_is_joined_where_it_is_near() -> None:
    square = np.ones((5, 6), bool)
    assert [line.tolist() for line in outlines_of(square)] == [[[0, 0], [6, 0], [6, 5], [0, 5]]]
    square[3, 4] = False
    outer, hole = outlines_of(square)
    assert len(outer) == len(hole) == 4
    polygon = joined([outer, hole])
    assert len(polygon) == 4 + 1 + 4 + 1
    steps = np.abs(np.diff(np.vstack([polygon, polygon[:1]]), axis=0))
    assert steps[(steps > 0).all(axis=1)].tolist() == [[1, 1], [1, 1]], "to and fro, at the nearest corner"
