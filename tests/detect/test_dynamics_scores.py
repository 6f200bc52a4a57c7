"""Training dynamics: merging of folds, and the scores by hand."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import DataError
from auditor.detect.base import Evidence, NotApplicable
from auditor.detect.dynamics_scores import (
    area_under_margin,
    data_map,
    forgetting_events,
    heldout_log_odds,
    heldout_margin,
)
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.registry import run_detector

NAN = np.nan


def one_model(given: list[list[float]], other: float = 0.0, lse: float = 5.0) -> ItemDynamics:
    """The same logits in and out of sample; rows are epochs."""
    g = np.array(given, dtype=np.float32)
    o, s = np.where(np.isnan(g), NAN, other), np.where(np.isnan(g), NAN, lse)
    return ItemDynamics(g, o, s, g, o, s)


def test_area_under_margin_divides_by_visits() -> None:
    dynamics = one_model([[1.0, NAN, NAN], [3.0, -2.0, NAN]])
    assert np.array_equal(area_under_margin(dynamics), [2.0, -2.0, NAN], equal_nan=True)


def test_last_third_of_the_held_out_epochs() -> None:
    dynamics = one_model([[0.0], [0.0], [0.0], [0.0], [2.0], [4.0]])
    assert heldout_margin(dynamics)[0] == 3.0
    p = lambda z: np.exp(z - 5.0) + 1e-4  # noqa: E731
    expected = np.mean([np.log(p(0.0)) - np.log(p(z)) for z in (2.0, 4.0)])
    assert heldout_log_odds(dynamics)[0] == pytest.approx(expected, rel=1e-5)


def test_data_map_by_hand() -> None:
    confidence, spread, correct = data_map(one_model([[5.0], [4.0], [-1.0]]))
    p = np.exp([0.0, -1.0, -6.0])
    assert confidence[0] == pytest.approx(p.mean(), rel=1e-5)
    assert spread[0] == pytest.approx(p.std(), rel=1e-5)
    assert correct[0] == pytest.approx(2 / 3)


def test_forgetting_by_hand() -> None:
    # learned and forgotten twice; never learned; learned at once and kept; an epoch without visit in between
    given = np.array([[1, -1, 1, 1], [-1, -1, 1, NAN], [1, -1, 1, -1], [-1, -1, 1, 1]])
    events, first = forgetting_events(one_model(given.tolist()))
    assert list(events) == [2, 4, 0, 1]
    assert list(first) == [0, 4, 0, 0]


def test_merge_puts_each_fold_in_its_place() -> None:
    def fit(train: list[int], heldout: list[int], base: float, epochs: int = 2) -> tuple:
        t = base + np.add.outer(np.arange(epochs) / 10, np.array(train, dtype=float))
        h = -base - np.add.outer(np.arange(epochs) / 10, np.array(heldout, dtype=float))
        return (
            np.array(train),
            np.array(heldout),
            {
                "train_given": t,
                "train_other": t - 1,
                "train_logsumexp": t + 1,
                "heldout_given": h,
                "heldout_other": h - 2,
                "heldout_logsumexp": h + 1,
            },
        )

    merged = ItemDynamics.merge(4, [fit([1, 2], [0], 10), fit([0, 2], [1], 20, 3), fit([0, 1], [2], 30)])
    assert merged.train_given.shape == (2, 3, 4)
    assert merged.heldout_given.shape == (1, 3, 4)
    assert np.allclose(merged.train_given[:, -1, 1], [10 + 0.1 + 1, 30 + 0.1 + 1], atol=0.02)
    assert np.isnan(merged.train_given[0, 0, 1])  # shorter fits are aligned at their last epoch
    assert np.isnan(merged.train_given[:, :, 3]).all()
    assert np.allclose(merged.heldout_given[0, -1, :3], [-10.1, -21.2, -32.1], atol=0.02)
    assert np.allclose(area_under_margin(merged)[:3], 1, atol=0.02)
    assert np.allclose(heldout_margin(merged)[:3], 2, atol=0.02)


def test_items_never_visited_are_neutral() -> None:
    dynamics = one_model([[3.0, -2.0, 1.0, NAN]])
    found = run_detector("aum", Evidence(np.arange(4), np.array([0, 1, 0, 1]), 2, dynamics=dynamics))
    assert list(found.score) == [-3.0, 2.0, -1.0, -1.0]
    assert found.meta["not_visited"] == 1


def test_test_split_has_no_in_sample_dynamics() -> None:
    seen, unseen = np.zeros((2, 3)), np.full((2, 3), NAN)
    dynamics = ItemDynamics(unseen, unseen, unseen, seen, seen, seen)
    given = Evidence(np.arange(3), np.array([0, 1, 0]), 2, dynamics=dynamics)
    for name in ("aum", "gap", "data_maps", "forgetting"):
        assert isinstance(run_detector(name, given), NotApplicable)
    assert not isinstance(run_detector("oof_aum", given), NotApplicable)


def test_bad_dynamics() -> None:
    good = np.zeros((2, 3))
    with pytest.raises(DataError, match="infinite"):
        ItemDynamics(good + np.inf, good, good, good, good, good)
    with pytest.raises(DataError, match="different shapes"):
        ItemDynamics(good, good[:1], good, good, good, good)
    with pytest.raises(DataError, match="items in the training part"):
        ItemDynamics(good, good, good, *[good[:, :2]] * 3)
