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
    baseline.advantages([0.3])
    assert baseline.advantages([0.6]) == pytest.approx([0.3])
    assert baseline.value == pytest.approx(0.3 + 0.95 * 0.3)
    within = Baseline(decay=0.95, kind="official", include_batch=True, value=0.3)
    assert within.advantages([0.6]) == pytest.approx([0.6 - (0.3 + 0.95 * 0.3)])
