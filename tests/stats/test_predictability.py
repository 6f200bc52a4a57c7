"""How well one column predicts the label: what gives it away, what does not, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.stats.predictability import FEWEST, TELLING, predictability

LABELS = np.arange(300) % 3
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "values",
    [
        LABELS * 3.0,
        np.argsort(np.argsort(LABELS, kind="stable")).astype(float),
        np.where(LABELS == 0, np.nan, LABELS),
        np.where(LABELS == 2, np.inf, LABELS),
    ],
    ids=["the label", "the row of a sorted table", "missing values", "infinite"],
)
def test_what_gives_the_label_away(values: np.ndarray) -> None:
    score = predictability(values, LABELS)
    assert score is not None
    assert score >= TELLING


@pytest.mark.parametrize("values", [RNG.normal(size=300), np.arange(300.0), np.zeros(300)])
def test_what_does_not(values: np.ndarray) -> None:
    score = predictability(values, LABELS)
    assert score is not None
    assert score < 0.6


def test_too_few_items_of_a_class() -> None:
    assert predictability(np.arange(30.0), (np.arange(30) < FEWEST - 1).astype(int)) is None
