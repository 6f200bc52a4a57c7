"""Reward baselines, by hand."""

from __future__ import annotations

import pytest

from auditor.lab.search.baseline import Baseline


def test_moving_average_of_previous_rewards() -> None:
    baseline = Baseline(decay=0.9)
    assert baseline.advantages([0.2, 0.4]) == pytest.approx([-0.1, 0.1])  # nothing before: its own mean, 0.3
    assert baseline.advantages([0.5, 0.7]) == pytest.approx([0.2, 0.4])  # against 0.3
    assert baseline.value == pytest.approx(0.9 * 0.3 + 0.1 * 0.6)
    assert baseline.advantages([0.33]) == pytest.approx([0.0])


def test_official_baseline_has_almost_no_memory() -> None:
    baseline = Baseline(decay=0.95, kind="official")
    assert baseline.advantages([0.3]) == [0.0]
    moved = 0.3 + 0.95 * (0.6 - 0.3)  # by the batch that is then compared with it
    assert baseline.advantages([0.6]) == pytest.approx([0.6 - moved])
    assert baseline.value == pytest.approx(moved)
    from_zero = Baseline(decay=0.95, kind="official", value=0.0)
    assert from_zero.advantages([0.6]) == pytest.approx([0.6 - 0.95 * 0.6])
