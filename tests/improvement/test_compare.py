"""Folds without leaks, and what is claimed from which differences."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import EmptyDataError
from auditor.improvement.arms import DROPPED, GIVEN, WEIGHTED
from auditor.improvement.compare import HARMS, HELPS, NOT_TOLD, Trained, compare_arms, least_discordant, split_parts


@pytest.mark.parametrize("number", [0, 1])
def test_held_out_items_and_their_groups_never_train(number: int) -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 100)
    pool = np.arange(100) < 90
    rows = np.sort(rng.choice(100, 50, False))
    parts = split_parts(pool, rows, groups, 4, 7, number)
    assert np.array_equal(np.sort(np.concatenate([held for _, held in parts])), rows)
    for train, held in parts:
        assert not set(groups[train]) & set(groups[held])
        assert pool[train].all()
    inside = [held for _, held in parts if pool[held].all()]
    assert len(inside) == 4
    assert len(parts) == 5  # items of another split are predicted at once
    again = split_parts(pool, rows, groups, 4, 7, number)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(parts, again, strict=True))


def test_seeds_have_other_folds() -> None:
    first, second = (split_parts(np.ones(60, bool), np.arange(60), np.arange(60), 3, 0, k) for k in (0, 1))
    assert not np.array_equal(first[0][1], second[0][1])


def test_one_group_leaves_nothing_to_train_on() -> None:
    with pytest.raises(EmptyDataError, match="nothing is left"):
        split_parts(np.ones(9, bool), np.arange(4), np.zeros(9, int), 3, 0, 0)


def _trained(**right: np.ndarray) -> dict[str, Trained]:
    return {name: Trained(values, 1.0, 0.0) for name, values in right.items()}


def test_a_claim_needs_an_interval_without_zero() -> None:
    base = np.zeros((3, 200), bool)
    base[:, :150] = True
    helped, harmed = base.copy(), base.copy()
    helped[:, 150:180] = True
    harmed[:, :30] = False
    mixed = base.copy()
    mixed[:, 143:154] = ~mixed[:, 143:154]
    for right, verdict in ((helped, HELPS), (harmed, HARMS), (mixed, NOT_TOLD), (base, NOT_TOLD)):
        (row,) = compare_arms(_trained(**{GIVEN: base, DROPPED: right}))
        assert row["verdict"] == verdict
        assert row["difference"] == pytest.approx(right.mean() - base.mean())
        assert (row["interval"][0] <= 0 <= row["interval"][1]) == (verdict == NOT_TOLD)
    (row,) = compare_arms(_trained(**{GIVEN: base, DROPPED: mixed}))
    assert row["enough"] > 200
    assert (row["better"], row["worse"]) == (4, 7)


def test_too_few_different_answers_tell_nothing_however_they_agree() -> None:
    base = np.zeros((1, 400), bool)
    right = base.copy()
    right[:, : least_discordant(1) - 1] = True
    assert compare_arms(_trained(**{GIVEN: base, DROPPED: right}))[0]["verdict"] == NOT_TOLD
    right[:, : least_discordant(1)] = True
    assert compare_arms(_trained(**{GIVEN: base, DROPPED: right}))[0]["verdict"] == HELPS


def test_more_comparisons_need_more() -> None:
    base = np.zeros((1, 100), bool)
    right = base.copy()
    right[:, :10] = True
    alone = compare_arms(_trained(**{GIVEN: base, DROPPED: right}))[0]["interval"]
    beside = compare_arms(_trained(**{GIVEN: base, DROPPED: right, WEIGHTED: base}))[0]["interval"]
    assert beside[0] < alone[0]
    assert beside[1] > alone[1]


def test_weights_stand_for_the_items_that_were_not_drawn() -> None:
    base = np.zeros((1, 100), bool)
    right = base.copy()
    right[:, :50] = True
    weights = np.where(np.arange(100) < 50, 1.0, 9.0)
    (row,) = compare_arms(_trained(**{GIVEN: base, DROPPED: right}), weights)
    assert row["difference"] == pytest.approx(0.1)
    (row,) = compare_arms(_trained(**{GIVEN: base, DROPPED: right}), np.where(weights > 1, 1.0, 0.0))
    assert (row["difference"], row["better"]) == (0, 0)
