"""Several annotators: what is refused, and what is legal but odd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.core.errors import AuditorError, EmptyDataError, LabelError, ProbabilityError
from auditor.kinds.annotators import OUTVOTED, UNSURE
from auditor.kinds.registry import flag_kind
from tests.kinds.cases import annotators

P = [[0.9, 0.1], [0.2, 0.8]]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"labels": [[-1, -1], [-1, -1]]}, EmptyDataError, "every entry is -1"),
        ({"labels": np.empty((0, 3))}, EmptyDataError, "shape"),
        ({"labels": [[0, 1], [-2, 1]]}, LabelError, "-2.0 of annotator 0 for item 1"),
        ({"labels": [[0, 1], [0.5, 1]]}, LabelError, "0.5 of annotator 0 for item 1"),
        ({"labels": [[0, np.inf], [0, 1]]}, LabelError, "inf of annotator 1 for item 0"),
        ({"labels": [[0, 1], [0, 2]], "pred_probs": P}, LabelError, "2 of annotator 1 for item 1; .* columns 0 to 1"),
        ({"labels": [[0, 1]], "pred_probs": P}, ProbabilityError, "2 rows, labels 1"),
        ({"labels": [[0], [1]], "pred_probs": [[0.9, 0.3], [0.2, 0.8]]}, ProbabilityError, "row 0"),
        ({"labels": [[0], [1]], "pred_probs": [[0.9, np.nan], [0.2, 0.8]]}, ProbabilityError, "nan"),
    ],
)
def test_bad_input_is_told_with_its_place(given: dict[str, Any], error: type[AuditorError], message: str) -> None:
    with pytest.raises(error, match=message):
        flag_kind("annotators", **given)


@pytest.mark.parametrize(
    "odd",
    [
        {"labels": [[0]]},
        {"labels": [[-1, 2], [-1, -1], [-1, 0]]},
        {"labels": [[0, 1], [1, 0], [np.nan, 0]]},
        {"labels": [[0, 0], [0, 0]], "pred_probs": [[0.0, 1.0], [0.0, 1.0]]},
        {"labels": [[1, -1], [-1, -1]], "pred_probs": P},
        {"labels": np.full((3, 2), 9_000)},
        {"labels": [[0, 10**9], [10**9, 7]]},
    ],
)
def test_legal_but_odd_input_is_answered(odd: dict[str, Any]) -> None:
    flags = flag_kind("annotators", **odd)
    assert np.isin(flags.facts["consensus"], np.nan_to_num(odd["labels"], nan=0)).all()
    n, n_annotators = np.shape(odd["labels"])
    assert np.isfinite(flags.scores).all()
    assert len(flags.facts["consensus"]) == len(flags.scores) == n
    quality = flags.facts["annotator_quality"]
    assert len(quality) == n_annotators
    assert ((quality > 0) & (quality < 1)).all()


def test_who_guesses_has_the_lowest_quality_and_codes_tell_the_outvoted() -> None:
    case = annotators()
    flags = flag_kind("annotators", **case.inputs)
    quality = flags.facts["annotator_quality"]
    assert set(quality.argsort()[:2]) == {0, 1}
    labels, consensus = case.inputs["labels"][flags.flagged[:, 0]], flags.given
    for row, label, code in zip(labels, consensus, flags.codes, strict=True):
        votes = np.bincount(row[row >= 0], minlength=10)
        assert code == (OUTVOTED if votes[label] < votes.max() else UNSURE)
