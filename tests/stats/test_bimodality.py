"""The valley between two clusters: deep between planted ones, shallow in one cloud, however it is shaped."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.stats.bimodality import valley_depth


def test_two_clusters_and_one() -> None:
    rng = np.random.default_rng(0)
    for width in (2, 40):
        cloud = rng.normal(size=(400, width))
        split = cloud.copy()
        split[:150, 0] += 7
        assert valley_depth(split, 0.15, 0) < 0.3
        assert valley_depth(cloud, 0.15, 0) > 0.6


def test_a_few_strange_items_are_no_second_kind() -> None:
    points = np.random.default_rng(0).normal(size=(400, 4))
    points[:30] += 12
    assert valley_depth(points, 0.15, 0) == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("shape", ["normal", "uniform", "heavy", "long", "skewed"])
def test_one_cloud_is_hardly_ever_divided(shape: str) -> None:
    deep = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        points = {
            "normal": rng.normal(size=(100, 10)),
            "uniform": rng.random((100, 10)),
            "heavy": rng.standard_t(3, (100, 10)),
            "long": rng.normal(size=(100, 10)) * ([5] + [1] * 9),
            "skewed": rng.exponential(size=(100, 10)),
        }[shape]
        deep += valley_depth(points, 0.15, 0) <= 0.5
    assert deep <= 2  # of 40 classes of a hundred items


def test_equal_points_have_no_valley() -> None:
    assert valley_depth(np.ones((20, 3)), 0.15, 0) == 1
