"""The guard of the second round: what it accepts, what it refuses, and that it never fits in vain."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import ConfigError, ProbabilityError
from auditor.detect.base import Verdicts
from auditor.detect.second_round import second_round, weighted_loss

LABELS = np.repeat([0, 1, 2], 20)


def leaning(strength: float, wrong: np.ndarray | None = None) -> np.ndarray:
    """Probabilities that give the given label `strength`, and another class the rest where `wrong`."""
    p = np.full((60, 3), (1 - strength) / 2)
    p[np.arange(60), LABELS] = strength
    for i in np.flatnonzero(np.zeros(60, bool) if wrong is None else wrong):
        p[i] = np.roll(p[i], 1)
    return p


def some_wrong(*positions: int) -> np.ndarray:
    mask = np.zeros(60, bool)
    mask[list(positions)] = True
    return mask


def test_accepts_two_rounds_that_improve_and_hands_over_what_is_kept() -> None:
    asked: list[np.ndarray] = []
    answers = [leaning(0.8, some_wrong(3, 25, 26)), leaning(0.9, some_wrong(3, 25))]

    def refit(kept: np.ndarray) -> np.ndarray:
        asked.append(kept)
        return answers[len(asked) - 1]

    found = second_round(leaning(0.7, some_wrong(3, 25)), LABELS, refit)
    assert found.accepted == 2
    assert np.array_equal(found.probabilities, answers[1])
    assert np.flatnonzero(~asked[0]).tolist() == [3, 25]
    assert np.flatnonzero(~asked[1]).tolist() == [3, 25, 26]
    assert [r.dropped for r in found.rounds] == [2, 3]
    assert all(r.after < r.before for r in found.rounds)


def test_refuses_what_is_not_better_and_keeps_the_scores_before() -> None:
    first = leaning(0.7, some_wrong(3))
    found = second_round(first, LABELS, lambda kept: leaning(0.6, some_wrong(3)))
    assert found.accepted == 0
    assert np.array_equal(found.probabilities, first)
    assert "not better" in found.rounds[0].reason
    assert len(found.rounds) == 1
    weights = first[np.arange(60), LABELS]
    assert found.rounds[0].before == pytest.approx(weighted_loss(first, LABELS, weights))


def test_never_fits_where_a_class_would_lose_more_than_half() -> None:
    def never(kept: np.ndarray) -> np.ndarray:
        raise AssertionError("fitted")

    found = second_round(leaning(0.7, some_wrong(*range(20, 31))), LABELS, never)
    assert found.rounds[0].reason.startswith("class 1 would lose 11 of its 20 items")
    assert found.rounds[0].criterion is None
    exactly_half = second_round(leaning(0.7, some_wrong(*range(20, 30))), LABELS, lambda kept: leaning(0.9))
    assert exactly_half.accepted == 1
    assert "nothing to drop" in second_round(leaning(0.7), LABELS, never).rounds[0].reason


def test_verdicts_decide_where_there_are_both_kinds() -> None:
    suspects = some_wrong(3, 25, 26, 50)
    first = leaning(0.7, suspects)
    # The refit is surer of everything, but it no longer sees the item that people found wrong.
    forgot = leaning(0.95, some_wrong(25, 26, 50))
    verdicts = Verdicts(np.array([3, 25, 26, 0]), np.array([True, False, False, False]))
    assert second_round(first, LABELS, lambda kept: forgot).accepted == 1
    judged = second_round(first, LABELS, lambda kept: forgot, verdicts=verdicts)
    assert judged.accepted == 0
    assert judged.rounds[0].criterion == "average precision on verdicts"
    one_kind = Verdicts(np.array([3, 25]), np.array([True, True]))
    assert second_round(first, LABELS, lambda kept: forgot, verdicts=one_kind).accepted == 1
    saw = leaning(0.9, some_wrong(3))
    assert second_round(first, LABELS, lambda kept: saw, verdicts=verdicts, max_rounds=1).accepted == 1


def test_bad_calls() -> None:
    with pytest.raises(ConfigError, match="3 cleaning rounds"):
        second_round(leaning(0.7), LABELS, lambda kept: leaning(0.7), max_rounds=3)
    with pytest.raises(ProbabilityError, match="refit"):
        second_round(leaning(0.7, some_wrong(1)), LABELS, lambda kept: leaning(0.7)[:5])
