"""Sets of tags: what is found, what is refused, what is answered however odd it is, and reading in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import AuditorError, ClassOrderError, EmptyDataError, LabelError, ProbabilityError, UsageError
from auditor.core.label_forms import TagSets
from auditor.kinds import multilabel
from auditor.kinds.multilabel import MultiLabel
from auditor.kinds.registry import flag_kind

RNG = np.random.default_rng(0)
TAGS = (RNG.random((200, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(int)
P = np.clip(0.1 + 0.8 * TAGS + RNG.normal(0, 0.05, TAGS.shape), 0, 1)


def _with(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(float)
    array[3, 1] = value
    return array


@pytest.mark.parametrize(
    ("p", "tags", "error", "message"),
    [
        (_with(P, np.nan), TAGS, ProbabilityError, "nan in row 3, column 1"),
        (_with(P, np.inf), TAGS, ProbabilityError, "inf in row 3, column 1"),
        (8 * P - 4, TAGS, ProbabilityError, r"exp\(-z\)"),
        (TAGS, TAGS, ProbabilityError, "labels, not probabilities"),
        (0 * P + 0.3, TAGS, ProbabilityError, "same probabilities for every item"),
        (P[np.random.default_rng(1).permutation(200)], TAGS, ProbabilityError, "another order"),
        (P[:, 0], TAGS[:, 0], ProbabilityError, r"shape \(200,\)"),
        (P, TAGS[:, 0], LabelError, r"labels has shape \(200,\)"),
        (P, TAGS[:10], LabelError, r"labels has shape \(10, 4\)"),
        (P, 2 * TAGS, LabelError, "2 in row .* is neither 0 nor 1"),
        (P, 2 * TAGS - 1, LabelError, "-1 in row .* is neither 0 nor 1"),
        (P, _with(TAGS, np.nan), LabelError, "nan in row 3, column 1 is neither"),
        (P, TAGS.astype(str), LabelError, "labels holds values of the type"),
        (P[:0], TAGS[:0], EmptyDataError, "nothing to flag"),
        (np.full((9, 3), 1 / 3), np.eye(3)[[0, 1, 2] * 3], UsageError, "single labels"),
    ],
)
def test_bad_input_is_named(p: np.ndarray, tags: np.ndarray, error: type[AuditorError], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        flag_kind("multilabel", pred_probs=p, labels=tags)
    assert raised.value.way_out or error is EmptyDataError or "type" in message


@pytest.mark.parametrize(
    ("p", "tags"),
    [
        (P, TAGS),
        (P[:3], TAGS[:3]),
        (P[:1], TAGS[:1]),
        (P[:, :1], TAGS[:, :1]),
        (TAGS.astype(float), TAGS),
        (P, 0 * TAGS),
    ],
    ids=["all right", "three items", "one item", "one class", "certain", "no tag at all"],
)
def test_where_nothing_is_seen_to_be_wrong_nothing_is_flagged(p: np.ndarray, tags: np.ndarray) -> None:
    flags = flag_kind("multilabel", pred_probs=p, labels=tags)
    assert np.isfinite(flags.scores).all()
    assert np.isfinite(flags.facts["item_scores"]).all()
    assert len(flags.flagged) <= 0.35 * TAGS.sum() * (not tags.any())


@pytest.mark.parametrize("p", [P, TAGS.astype(float)], ids=["doubtful", "certain"])
def test_labels_that_are_all_wrong_are_flagged_by_the_hundred(p: np.ndarray) -> None:
    assert len(flag_kind("multilabel", pred_probs=p, labels=1 - TAGS).flagged) > 200


def test_missing_and_surplus_tags_are_told_apart() -> None:
    tags = TAGS.copy()
    missing, surplus = np.argwhere(TAGS[:100] == 1)[::12], np.argwhere(TAGS == 0)[350::30]  # no item has both
    tags[tuple(missing.T)], tags[tuple(surplus.T)] = 0, 1
    flags = flag_kind("multilabel", pred_probs=P, labels=tags)
    by_code = {code: set(map(tuple, flags.flagged[flags.codes == code].tolist())) for code in flags.counts}
    assert by_code == {"LE011": set(map(tuple, missing.tolist())), "LE012": set(map(tuple, surplus.tolist()))}
    assert (np.argsort(-flags.facts["item_scores"])[:10] == np.argsort(-flags.scores.max(axis=1))[:10]).mean() > 0.3


def test_tags_that_go_together_tell_what_a_weak_model_does_not() -> None:
    """Two tags always come together; of one item the second is gone, and the model has no idea of it."""
    tags = np.repeat((np.random.default_rng(2).random((400, 1)) < 0.4), 2, axis=1).astype(int)
    p = np.clip(0.4 + 0.05 * tags + np.random.default_rng(3).normal(0, 0.02, tags.shape), 0, 1)
    gone = int(np.flatnonzero(tags[:, 0])[5])
    tags[gone, 1] = 0
    flags = flag_kind("multilabel", pred_probs=p, labels=tags)
    assert int(flags.scores.max(axis=1).argmax()) == gone


def test_named_columns_are_matched_by_their_names() -> None:
    import pandas as pd

    names = ["sun", "sea", "city", "fog"]
    probabilities, tags = pd.DataFrame(P, columns=names), pd.DataFrame(TAGS, columns=names)
    tags.iloc[7, 2] = 1 - tags.iloc[7, 2]
    flags = flag_kind("multilabel", pred_probs=probabilities, labels=tags[names[::-1]])
    assert flags.flagged.tolist() == [[7, 2]]
    with pytest.raises(ClassOrderError, match="rain"):
        flag_kind("multilabel", pred_probs=probabilities, labels=tags.rename(columns={"fog": "rain"}))


def test_blocks_of_any_size_give_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = TAGS ^ (np.random.default_rng(4).random(TAGS.shape) < 0.03)
    whole = flag_kind("multilabel", pred_probs=P.astype(np.float32), labels=tags)
    for cells in (52, 400):
        monkeypatch.setattr(multilabel, "_BLOCK_CELLS", cells)
        pieces = flag_kind("multilabel", pred_probs=P.astype(np.float32), labels=tags)
        assert pieces.scores.dtype == np.float32
        assert np.array_equal(pieces.scores, whole.scores)
        assert pieces.document() == whole.document()


def test_a_sample_is_fitted_where_the_items_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = TAGS ^ (np.random.default_rng(5).random(TAGS.shape) < 0.03)
    monkeypatch.setattr(multilabel, "FITTED_CELLS", 400)
    order = np.random.default_rng(6).permutation(200)
    plain = flag_kind("multilabel", pred_probs=P, labels=tags)
    permuted = flag_kind("multilabel", pred_probs=P[order], labels=tags[order])
    np.testing.assert_allclose(permuted.scores, plain.scores[order])


@pytest.mark.parametrize("rates", [[0.5, 0.3, 0.02], [0.999, 0.999], [0.001, 0.001], [0.02] * 40])
@pytest.mark.parametrize("n", [20, 60, 400])
def test_rare_tags_are_spread_and_no_group_is_too_small_for_the_folds(n: int, rates: list[float]) -> None:
    values = np.random.default_rng(0).random((n, len(rates))) < rates
    strata = MultiLabel().strata(values)
    sizes = np.bincount(strata)
    assert strata.shape == (n,)
    assert len(sizes) >= 2
    assert sizes.min() >= min(10, n // 2)


def test_how_many_items_are_wrong_agrees_with_which_cells_are() -> None:
    """Both come of one fit: an item is wrong at least as probably as its most suspicious cell."""
    rng = np.random.default_rng(0)
    truth = np.eye(5, dtype=bool)[rng.integers(0, 5, 400)]
    z = np.where(truth, 0.5, -1.5) + rng.normal(0, 1.0, truth.shape)
    given = truth.copy()
    swapped = np.flatnonzero(rng.random(400) < 0.12)
    given[swapped] = np.roll(truth[swapped], 1, axis=1)
    form = TagSets(("a", "b", "c", "d", "e"))
    p = (1 / (1 + np.exp(-z))).astype(np.float32)
    judged = MultiLabel().judge(p, given, form)
    flags = flag_kind("multilabel", pred_probs=p, labels=given.astype(int))
    assert len(flags.flagged) > 10
    assert judged.wrong[judged.flagged].min() >= multilabel.LEAST_WRONG
    cells = flags.facts["expected_wrong"]
    assert cells / 2.5 <= judged.expected_wrong <= cells
