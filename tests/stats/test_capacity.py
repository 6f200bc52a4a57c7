"""Capacity against what the correction of labels does to a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from auditor.core.errors import DataError
from auditor.stats.capacity import capacity_relations


def _answers(networks: int, benign: int, correctable: int, falls: float) -> tuple[np.ndarray, ...]:
    """Networks of growing capacity; from end to end they answer the corrected label less often by `falls`."""
    random = np.random.default_rng(0)
    right = random.random((networks, benign)) < 0.8
    share = 0.5 - falls * (np.arange(networks) / (networks - 1) - 0.5)
    after = random.random((networks, correctable)) < share[:, None]
    before = (random.random((networks, correctable)) < 0.5) & ~after  # one answer cannot be both labels
    return 10.0 ** np.arange(networks), right.astype(float), before.astype(float), after.astype(float)


def test_a_clear_relation_is_found_with_its_sign() -> None:
    found = capacity_relations(*_answers(12, 400, 300, 0.8), draws=400, seed=0)
    for one in found.values():
        assert one.value < -0.8
        assert one.high < 0
        assert one.p < 0.01
        assert (one.networks, one.items) == (12, 300)
    other = capacity_relations(*_answers(12, 400, 300, -0.8), draws=400, seed=0)
    assert other["slope"].low > 0


def test_values_are_spearmans_and_repeat() -> None:
    capacity, benign, before, after = _answers(8, 50, 40, 0.3)
    found = capacity_relations(capacity, benign, before, after, 300, 3)
    assert found["slope"].value == pytest.approx(spearmanr(capacity, after.mean(1) - benign.mean(1)).statistic)
    assert found["recovered"].value == pytest.approx(spearmanr(capacity, (after - before).mean(1)).statistic)
    assert found == capacity_relations(capacity, benign, before, after, 300, 3)
    assert found["slope"].low <= found["slope"].value <= found["slope"].high


def test_without_a_relation_nothing_is_claimed() -> None:
    random = np.random.default_rng(5)
    claims = 0
    for _ in range(20):
        capacity = random.permutation(10).astype(float)
        right = [(random.random((10, n)) < 0.5).astype(float) for n in (60, 20, 20)]
        one = capacity_relations(capacity, *right, draws=100, seed=1)["slope"]
        claims += one.p < 0.05
    assert claims <= 4  # 5 % of 20 are 1


def test_a_figure_without_differences_has_no_relation() -> None:
    same = np.ones((4, 5))
    found = capacity_relations(np.arange(4.0), same, same, same, 50, 0)
    assert np.isnan(found["slope"].value)
    assert np.isnan(found["slope"].p)


def test_what_does_not_fit_is_refused() -> None:
    one = np.ones((4, 5))
    for arrays in (
        (np.arange(2.0), one[:2], one[:2], one[:2]),
        (np.arange(4.0), one, one, one[:, :4]),
        (np.arange(4.0), one, one[:, :0], one[:, :0]),
        (np.arange(3.0), one, one, one),
    ):
        with pytest.raises(DataError):
            capacity_relations(*arrays, draws=10, seed=0)
