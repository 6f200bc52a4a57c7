"""Tags of tokens: what is refused, the codes, sentences, and cleanlab's formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.core.errors import AuditorError, DataError, EmptyDataError, LabelError, ProbabilityError
from auditor.kinds.registry import flag_kind
from auditor.kinds.tokens import BOUNDARY, MISSED_SPAN, SURPLUS_SPAN, WRONG_TYPE, TaggedSentences, _codes, worst_token
from tests.kinds.cases import tokens


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"offsets": [0, 3, 2, 6]}, DataError, "2 at 2 follows 3; they must ascend"),
        ({"offsets": [0, 3, 5]}, DataError, "offsets end with 5, but there are 6 tokens"),
        ({"offsets": [0, 3, 9]}, DataError, "offsets end with 9"),
        ({"offsets": [1, 3, 6]}, DataError, "offsets begin with 1"),
        ({"offsets": [0]}, DataError, "have 1 entries"),
        ({"offsets": [0, 3, 3, 6]}, DataError, "sentence 1 is empty"),
        ({"offsets": [0, 2.5, 6]}, LabelError, "2.5 in row 1 is no whole number"),
        ({"labels": [0, 1, 2, 0, 1, 0]}, LabelError, "2 at token 2 is no class"),
        ({"labels": [0, 1, -1, 0, 1, 0]}, LabelError, "-1 at token 2 is no class"),
        ({"labels": [0, 1, 0.5, 0, 1, 0]}, LabelError, "0.5 in row 2 is no whole number"),
        ({"labels": [0, 1, np.nan, 0, 1, 0]}, LabelError, "no finite number"),
        ({"labels": [0, 1]}, LabelError, "2 labels for 6 rows"),
        ({"pred_probs": [[0.5, 0.4]] * 6}, ProbabilityError, "row 0"),
        ({"pred_probs": [[0.5, np.nan]] * 6}, ProbabilityError, "nan"),
        ({"pred_probs": [[1.0]] * 6}, ProbabilityError, "1 columns"),
        ({"pred_probs": np.empty((0, 2)), "labels": [], "offsets": [0]}, EmptyDataError, "no rows"),
    ],
)
def test_bad_input_is_told_with_its_place(changed: dict[str, Any], error: type[AuditorError], message: str) -> None:
    good = {"pred_probs": [[0.9, 0.1], [0.2, 0.8]] * 3, "labels": [0, 1] * 3, "offsets": [0, 3, 6]}
    flag_kind("tokens", **good)
    with pytest.raises(error, match=message):
        flag_kind("tokens", **good | changed)


@pytest.mark.parametrize(
    "hostile",
    [
        {"pred_probs": [[1.0, 0.0]], "labels": [1], "offsets": [0, 1]},
        {"pred_probs": [[0.5, 0.5]] * 7, "labels": [0] * 7, "offsets": range(8)},
        {"pred_probs": [[0.0, 1.0]] * 9, "labels": [0] * 9, "offsets": [0, 9]},
        {"pred_probs": np.full((4, 300), 1 / 300), "labels": [0, 299, 7, 7], "offsets": [0, 1, 4]},
    ],
)
def test_legal_but_odd_input_is_answered(hostile: dict[str, Any]) -> None:
    flags = flag_kind("tokens", **hostile)
    assert np.isfinite(flags.scores).all()
    assert len(flags.facts["sentence_scores"]) == len(list(hostile["offsets"])) - 1


def test_sentences_are_scored_by_their_worst_token() -> None:
    assert worst_token(np.array([1.0, 3, 2, -1]), np.array([0, 3, 4])).tolist() == [3, -1]
    flags, case = flag_kind("tokens", **tokens().inputs), tokens()
    scores, wrong = flags.facts["sentence_scores"], np.maximum.reduceat(case.wrong, case.inputs["offsets"][:-1])
    assert scores[wrong].min() > np.median(scores[~wrong])


def test_sentences_do_not_touch() -> None:
    """What stands last in one sentence is no neighbour of what stands first in the next."""
    case = tokens().inputs
    order = np.r_[case["offsets"][75] : case["offsets"][-1], 0 : case["offsets"][75]]
    lengths = np.diff(case["offsets"])
    moved = {"pred_probs": case["pred_probs"][order], "labels": case["labels"][order]}
    other = flag_kind("tokens", **moved, offsets=np.cumsum([0, *lengths[75:], *lengths[:75]]))
    np.testing.assert_allclose(other.scores, flag_kind("tokens", **case).scores[order], atol=0.05)


@pytest.mark.parametrize(
    ("given", "after", "codes"),
    [
        ([0, 1, 1, 0], [0, 2, 2, 0], [WRONG_TYPE] * 2),
        ([0, 1, 1, 0], [0, 1, 2, 0], [WRONG_TYPE]),
        ([0, 1, 1, 0], [0, 1, 0, 0], [BOUNDARY]),
        ([0, 1, 1, 0], [1, 1, 1, 0], [BOUNDARY]),
        ([0, 1, 1, 0], [0, 0, 0, 0], [SURPLUS_SPAN] * 2),
        ([0, 0, 0, 0], [0, 1, 1, 0], [MISSED_SPAN] * 2),
        ([0, 2, 0, 0], [1, 2, 0, 0], [MISSED_SPAN]),
    ],
)
def test_codes_tell_boundaries_from_types(given: list[int], after: list[int], codes: list[str]) -> None:
    # The sentences around begin and end with the tag of the span: they must not count as its neighbours.
    tags, wanted = np.array([0, 0, 0, 0, 1, *given, 1, 0, 0, 0]), np.array([0, 0, 0, 0, 1, *after, 1, 0, 0, 0])
    sentences = TaggedSentences(np.eye(3)[tags], tags, np.array([0, 5, 9, 13]))
    flagged = np.flatnonzero(tags != wanted)
    assert _codes(sentences, flagged, wanted[flagged]).tolist() == codes
