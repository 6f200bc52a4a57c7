import math

import pytest
from scipy.stats import binomtest

from auditor.core.errors import DataError
from auditor.stats.intervals import clopper_pearson, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 60), (3, 60), (60, 60), (17, 41)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_equal_to_scipy(hits: int, n: int, level: float) -> None:
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        found, expected = ours(hits, n, level), binomtest(hits, n).proportion_ci(level, method)
        assert found.low == pytest.approx(expected.low, abs=1e-9)
        assert found.high == pytest.approx(expected.high, abs=1e-9)


def test_nothing_seen_is_nothing_known() -> None:
    for ours in (clopper_pearson, wilson):
        found = ours(0, 0)
        assert (found.low, found.high) == (0, 1)
        assert math.isnan(found.value)


def test_zero_of_sixty_one_sided() -> None:
    """Rule R2 of the review: 0 of 60 wrong means up to 4.9 % (exact, one-sided 95 %)."""
    assert clopper_pearson(0, 60, 0.90).high == pytest.approx(0.0487, abs=5e-4)


def test_scaled_and_refused() -> None:
    assert clopper_pearson(3, 60).scaled(1000).value == 50
    for hits, n, level in ((5, 4, 0.95), (-1, 4, 0.95), (1, 4, 1.0)):
        with pytest.raises(DataError):
            clopper_pearson(hits, n, level)
