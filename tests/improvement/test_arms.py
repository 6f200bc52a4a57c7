"""The training sets, and where corrections come from."""

from __future__ import annotations

import numpy as np

from auditor.improvement.arms import CORRECTED, DROPPED, GIVEN, WEIGHTED, Corrections, make_arms

LABELS = np.array([0, 0, 0, 1, 1, 1])
FLAGGED = np.array([True, False, False, False, False, True])


def test_each_arm_trains_on_what_it_says() -> None:
    corrections = Corrections(np.array([1, 0, 0, 1, 1, 1]), np.array([1, 1, 1, 1, 0, 1], bool), "verdicts")
    trust = np.linspace(0, 1, 6)
    arms = {arm.name: arm for arm in make_arms(LABELS, FLAGGED, trust, corrections)}
    assert list(arms) == [GIVEN, DROPPED, CORRECTED, WEIGHTED]
    assert not any(arm.reason for arm in arms.values())
    assert arms[GIVEN].stays.all()
    assert arms[DROPPED].stays.tolist() == [False, True, True, True, True, False]
    assert arms[CORRECTED].labels.tolist() == [1, 0, 0, 1, 1, 1]
    assert arms[CORRECTED].stays.tolist() == [True, True, True, True, False, True]
    assert arms[WEIGHTED].weights is trust


def test_what_cannot_be_trained_says_why() -> None:
    same = Corrections(LABELS, np.ones(6, bool), "verdicts")
    for corrections in (None, same):
        arms = make_arms(
            LABELS, np.zeros(6, bool), None, corrections, no_corrections="nobody", no_weights="cannot weigh"
        )
        assert [arm.reason for arm in arms] == ["", "there are no suspects", "nobody", "cannot weigh"]
