"""Means over seeds: Student's interval, and differences taken seed by seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.stats.seeds import mean_interval, paired, unpaired


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_equals_the_interval_of_the_t_test(level: float) -> None:
    values = [0.91, 0.93, 0.92, 0.95]
    mean, low, high = mean_interval(values, level)
    reference = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == (pytest.approx(reference.low), pytest.approx(reference.high))


def test_of_one_value_the_spread_is_not_known() -> None:
    assert mean_interval([0.5]) == (0.5, 0.5, 0.5)
    assert paired([0.5], [0.25]) == {"difference": 0.25, "interval": [0.25, 0.25], "seeds": 1}


def test_pairs_cancel_what_a_seed_does_to_both() -> None:
    of_seed = np.array([0.0, 0.1, 0.2, 0.3])
    found = paired(list(of_seed + 0.02), list(of_seed))
    assert found["difference"] == pytest.approx(0.02)
    assert found["interval"] == [pytest.approx(0.02), pytest.approx(0.02)]
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0])


def test_unpaired_is_welchs_interval() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 0.02, 5), rng.normal(0.7, 0.05, 9)
    found, limits = unpaired(a, b), stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert found["interval"] == pytest.approx([limits.low, limits.high])
    # Where the spread of either is not known, or there is none, the difference stands alone.
    for first, second in (([0.5], [0.4, 0.3]), ([0.5, 0.5], [0.25, 0.25])):
        alone = unpaired(first, second)
        assert alone["interval"] == [alone["difference"]] * 2
