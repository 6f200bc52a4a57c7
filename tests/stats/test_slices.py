"""The permutation test of slices: its chance, its strata, its power, and its rate of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import hypergeom

from auditor.core.errors import DataError
from auditor.stats.slices import worse_slices


def random_slices(rng: np.random.Generator, slices: int, n: int) -> csr_matrix:
    return csr_matrix((rng.random((slices, n)) < rng.uniform(0.05, 0.4, (slices, 1))).astype(np.float32))


def test_one_slice_and_one_stratum_is_the_hypergeometric_test() -> None:
    n, wrong = 60, np.arange(60) < 12
    member = csr_matrix((np.arange(60) % 3 == 0).astype(np.float32)[None])
    for extra in (0, 4, 6):  # more and more of the wrong items inside
        inside = np.asarray(member.toarray()[0], bool).copy()
        inside[:extra] = True
        test = worse_slices(csr_matrix(inside.astype(np.float32)[None]), wrong, np.zeros(n, np.int64), 4999, 0)
        exact = hypergeom.sf(test.wrong[0] - 1, n, 12, inside.sum())
        assert test.sizes[0] == inside.sum()
        assert np.isclose(test.expected[0], inside.sum() * 0.2)
        assert abs(test.p[0] - exact) < 0.03 or test.z[0] <= 0


def test_a_slice_is_not_blamed_for_its_class() -> None:
    strata = np.repeat([0, 1], 200)
    rng = np.random.default_rng(0)
    wrong = rng.random(400) < np.where(strata == 1, 0.5, 0.02)
    member = csr_matrix(np.stack([strata == 1, (strata == 1) & (np.arange(400) % 2 == 0)]).astype(np.float32))
    within = worse_slices(member, wrong, strata, 499, 0)
    assert within.p.min() > 0.05
    assert within.z[0] == 0  # a whole stratum cannot vary
    assert worse_slices(member, wrong, np.zeros(400, np.int64), 499, 0).p.max() < 0.01


def test_the_planted_slice_is_found_and_the_others_are_not() -> None:
    rng = np.random.default_rng(1)
    member, strata = random_slices(rng, 80, 1000), rng.integers(0, 5, 1000)
    bad = member.toarray()[7] > 0
    wrong = rng.random(1000) < np.where(bad, 0.4, 0.1)
    test = worse_slices(member, wrong, strata, 499, 0)
    assert test.p[7] <= 0.002
    assert test.z.argmax() == 7
    assert (np.flatnonzero(test.p < 0.05) == 7).all()


def test_shuffled_sets_stay_quiet_at_the_stated_rate() -> None:
    rng = np.random.default_rng(2)
    member, strata = random_slices(rng, 40, 300), rng.integers(0, 3, 300)
    alarms = 0
    for seed in range(300):
        wrong = rng.random(300) < 0.1 + 0.1 * strata
        alarms += bool(worse_slices(member, wrong, strata, 99, seed).p.min() <= 0.05)
    assert alarms <= 28  # of 300 at 5 %: more with a chance below 0.1 %
    assert alarms >= 3  # and it is no test that never speaks


def test_the_items_order_changes_little_and_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    member, strata, wrong = random_slices(rng, 20, 200), rng.integers(0, 3, 200), rng.random(200) < 0.2
    whole = worse_slices(member, wrong, strata, 99, 0)
    monkeypatch.setattr("auditor.stats.slices.BLOCK", 1000)
    assert np.array_equal(worse_slices(member, wrong, strata, 99, 0).p, whole.p)
    turned = worse_slices(member[:, ::-1], wrong[::-1], strata[::-1], 99, 0)
    assert np.allclose(turned.z, whole.z, atol=1e-4)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="slices of 3 items and strata of 4 for 4 items"):
        worse_slices(csr_matrix(np.ones((1, 3))), np.ones(4, bool), np.zeros(4, np.int64), 9, 0)
