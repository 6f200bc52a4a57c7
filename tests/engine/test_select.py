"""The k-th smallest value is NumPy's, and no order of the values makes it slow."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.engine.select import kth_smallest

RANDOM = np.random.default_rng(0)
ORDERS = {
    "one": np.zeros(1),
    "random": RANDOM.normal(size=501),
    "equal": np.full(300, 0.25),
    "few values": RANDOM.integers(0, 3, 400).astype(float),
    "ascending": np.arange(400.0),
    "descending": -np.arange(400.0),
    "organ pipe": np.r_[np.arange(200.0), np.arange(200.0)[::-1]],
    "infinities": np.r_[np.inf, -np.inf, RANDOM.normal(size=50), np.inf],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_sorted_array(order: str, dtype: str) -> None:
    values = ORDERS[order].astype(dtype)
    before, expected = values.copy(), np.sort(values)
    for k in {0, 1, len(values) // 3, len(values) // 2, len(values) - 2, len(values) - 1} & set(range(len(values))):
        selected = kth_smallest(values, k)
        assert np.array_equal(selected, expected[k])
    assert np.array_equal(values, before)


def test_a_part_of_an_array() -> None:
    values = RANDOM.normal(size=1000)
    assert kth_smallest(values[100:700], 50) == np.sort(values[100:700])[50]
