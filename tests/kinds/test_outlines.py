"""Polygons around connected pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from auditor.kinds.outlines import outline_of


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
        outline = outline_of(inside)
        np.testing.assert_array_equal(painted(outline, height, width), inside)
        x, y = outline.T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 == pytest.approx(inside.sum())


def test_corners_are_few_and_a_hole_is_joined() -> None:
    square = np.ones((5, 6), bool)
    assert outline_of(square).tolist() == [[0, 0], [6, 0], [6, 5], [0, 5]]
    square[2, 3] = False
    assert len(outline_of(square)) == 4 + 1 + 4 + 1
