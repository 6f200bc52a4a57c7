"""Ordered classes: how far a label lies from what is believed, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auditor.core.errors import AuditorError, LabelError, ProbabilityError
from auditor.core.label_forms import Levels
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.kinds.ordinal import FURTHER, NEIGHBOUR, Ordinal, fit_ordinal
from auditor.kinds.registry import flag_kind
from tests.kinds.cases import ordinal

P = [[0.9, 0.1, 0.0], [0.2, 0.5, 0.3]]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"labels": [0, 3], "pred_probs": P}, LabelError, "3 in row 1 is no class; .* 3 columns"),
        ({"labels": [0, -1], "pred_probs": P}, LabelError, "-1 in row 1"),
        ({"labels": [0, 0.5], "pred_probs": P}, LabelError, "0.5 in row 1 is no whole number"),
        ({"labels": [0], "pred_probs": P}, LabelError, "1 labels for 2 rows"),
        ({"labels": [0, 1], "pred_probs": [[0.9, 0.4], [0.5, 0.5]]}, ProbabilityError, "row 0"),
    ],
)
def test_bad_input_is_told_with_its_place(given: dict[str, Any], error: type[AuditorError], message: str) -> None:
    with pytest.raises(error, match=message):
        flag_kind("ordinal", **given)


def test_of_equally_unlikely_labels_the_further_one_comes_first() -> None:
    p = np.array([[0.05, 0.85, 0.05, 0.05], [0.8, 0.1, 0.05, 0.05], [0.05, 0.1, 0.8, 0.05]])
    fit = fit_ordinal(p, np.array([2, 3, 2]))
    assert fit.score[1] > fit.score[0] > fit.score[2]
    assert fit.suggested.tolist() == [1, 0, 1], "never the given one"
    assert fit.steps[2] == 0
    assert fit.steps[1] == pytest.approx((p[1] * [3, 2, 1, 0]).sum() - (p[1] * [0, 1, 2, 3]).sum())
    assert ((fit.wrong >= 0) & (fit.wrong <= 1)).all()


def test_finds_far_labels_that_the_rule_of_unordered_classes_puts_behind_neighbours() -> None:
    case = ordinal()
    flags = flag_kind("ordinal", **case.inputs)
    p, labels = case.inputs["pred_probs"], case.inputs["labels"]
    plain = find(Evidence(np.arange(len(labels)), labels, 5, probabilities=p))
    wrong = case.wrong.sum()
    found, theirs = (case.wrong[np.argsort(-score)[:wrong]].sum() for score in (flags.scores, plain.score))
    assert found == wrong
    assert theirs <= found
    told = dict(zip(flags.flagged[:, 0].tolist(), flags.codes.tolist(), strict=True))
    seen = [told[item] for item in np.flatnonzero(case.wrong) if item in told]
    assert len(seen) == len(told) > wrong / 2
    assert set(seen) == {FURTHER}
    apart = np.abs(flags.given - flags.suggested)
    assert (flags.codes == np.where(apart == 1, NEIGHBOUR, FURTHER)).all()


def test_cumulative_outputs_become_probabilities_and_folds_spread_classes() -> None:
    kind, form = Ordinal(), Levels(("a", "b", "c", "d"))
    assert kind.outputs(form, np.empty(0)) == 3
    above = np.array([[0.9, 0.6, 0.1], [0.3, 0.4, 0.1], [0.001, 0.001, 0.001]], np.float32)
    p = kind.pool([above, above])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(p[0], [0.1, 0.3, 0.5, 0.1], atol=1e-3)
    np.testing.assert_allclose(p[1], [0.6, 0.1, 0.2, 0.1], atol=1e-3)
    level = np.repeat([0, 1, 2, 3], [4, 30, 30, 3])
    strata = kind.strata(level[:, None] > np.arange(3))
    assert strata.tolist() == np.repeat([0, 1], [34, 33]).tolist()
    few = kind.strata(np.array([0, 1, 2, 3])[:, None] > np.arange(3))
    assert set(few.tolist()) == {0, 1}
