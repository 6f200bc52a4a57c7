"""Numbers: what is refused, what is answered however odd it is, groups, and what several models say."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import AuditorError, EmptyDataError, LabelError, ProbabilityError
from auditor.kinds.registry import flag_kind

RNG = np.random.default_rng(0)
F = RNG.normal(50, 10, 200)
Y = F + RNG.normal(0, 2, 200)


def _with(values: np.ndarray, value: float) -> np.ndarray:
    values = values.copy()
    values[7] = value
    return values


@pytest.mark.parametrize(
    ("predictions", "labels", "error", "message"),
    [
        (_with(F, np.nan), Y, ProbabilityError, "nan in row 7"),
        (_with(F, np.inf), Y, ProbabilityError, "inf in row 7"),
        (np.column_stack([F, _with(F, np.nan)]), Y, ProbabilityError, "nan in row 7, column 1"),
        (0 * F + 2, Y, ProbabilityError, "the same for every item"),
        (F[np.random.default_rng(1).permutation(200)], Y, ProbabilityError, "another order"),
        (F, _with(Y, np.nan), LabelError, "nan in row 7"),
        (F, _with(Y, -np.inf), LabelError, "-inf in row 7"),
        (F[:9], Y, LabelError, "200 labels for 9 rows"),
        (F, np.eye(3)[[0] * 200], LabelError, r"shape \(200, 3\)"),
        (F, ["high"] * 200, LabelError, "high in row 0"),
        ([], [], EmptyDataError, "no rows"),
    ],
)
def test_bad_input_is_named(predictions: object, labels: object, error: type[AuditorError], message: str) -> None:
    with pytest.raises(error, match=message):
        flag_kind("regression", predictions=predictions, labels=labels)


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [(F, F), (F, Y), (F[:3], Y[:3]), (F[:1], Y[:1]), (F * 1e200, Y * 1e200), (F * 1e-200, Y * 1e-200), (F, 0 * Y)],
    ids=["exact", "right", "three items", "one item", "huge", "tiny", "one number"],
)
def test_odd_input_is_answered(predictions: np.ndarray, labels: np.ndarray) -> None:
    flags = flag_kind("regression", predictions=predictions, labels=labels)
    assert np.isfinite(flags.scores).all()
    if labels.any():
        assert len(flags.flagged) <= max(1, len(labels) // 40)


@pytest.mark.parametrize(
    ("name", "factor", "offset"),
    [("x1000", 1000, 0), ("/10", 0.1, 0), ("sign", -1, 0), ("pounds for kilograms", 2.20462, 0)],
)
def test_a_group_in_another_unit_is_named_and_corrected(name: str, factor: float, offset: float) -> None:
    given = Y.copy()
    at = np.arange(0, 200, 25)
    given[at] = factor * given[at] + offset
    flags = flag_kind("regression", predictions=F, labels=given)
    (group,) = flags.facts["groups"]
    assert (group["name"], group["items"]) == (name, at.tolist())
    chosen = flags.codes == "LE042"
    assert sorted(flags.flagged[chosen, 0].tolist()) == at.tolist()
    np.testing.assert_allclose(flags.suggested[chosen], Y[flags.flagged[chosen, 0]])


def test_values_of_another_column_are_told() -> None:
    given = Y.copy()
    given[::20] = 130 + np.random.default_rng(3).normal(0, 1, 10)
    flags = flag_kind("regression", predictions=F, labels=given)
    assert flags.counts["LE043"] == 10
    assert flags.facts["groups"][0]["name"] == "another column"


def test_where_models_differ_a_large_residual_is_less_suspect() -> None:
    """Two thirds are predicted well and one third badly, which one model alone cannot know."""
    rng = np.random.default_rng(4)
    hard = np.arange(900) % 3 == 0
    truth = rng.normal(50, 10, 900)
    models = truth[:, None] + np.where(hard, 8.0, 1.0)[:, None] * rng.normal(size=(900, 4))
    given = truth + rng.normal(0, 0.5, 900)
    wrong = np.flatnonzero(~hard)[::40]
    given[wrong] += 6
    several = flag_kind("regression", predictions=models, labels=given).scores
    mean = flag_kind("regression", predictions=models.mean(axis=1), labels=given).scores
    top = [np.isin(np.argsort(-score)[: len(wrong)], wrong).mean() for score in (several, mean)]
    assert top[0] > top[1] + 0.3
