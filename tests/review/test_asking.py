"""Whom to ask next: who knows about what is unsure, and nobody for all of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from auditor.review.annotator_model import AnnotatorFit, fit_annotators
from auditor.review.asking import whom_to_ask

SKILL = [0.0, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65]


def _fit(each: int = 2, n: int = 400) -> tuple[np.ndarray, AnnotatorFit]:
    """Labels (n, annotators), and a fit to them; who comes first guesses."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 4, n)
    labels = np.full((n, len(SKILL)), -1)
    for i in range(n):
        for a in rng.choice(len(SKILL), each, replace=False):
            labels[i, a] = truth[i] if rng.random() < SKILL[a] else rng.integers(0, 4)
    items, who = np.nonzero(labels >= 0)
    return labels, fit_annotators(items, who, labels[items, who], (*labels.shape, 4))


@pytest.mark.parametrize(("by", "field"), [("accuracy", "gain"), ("information", "nats")])
def test_asks_those_who_know_about_items_that_are_unsure(by: Literal["accuracy", "information"], field: str) -> None:
    labels, fit = _fit()
    rows = whom_to_ask(fit, count=30, by=by)
    assert (labels[rows["item"], rows["annotator"]] == -1).all()
    assert len(np.unique(rows["item"])) == 30
    assert (np.diff(rows[field]) <= 0).all()
    assert 0 not in rows["annotator"], "who guesses tells nothing"
    assert fit.quality[rows["item"]].max() < np.median(fit.quality)
    assert len(whom_to_ask(fit, np.ones(labels.shape, bool))) == 0


def test_nobody_gets_more_than_a_share_while_others_are_left() -> None:
    labels, fit = _fit()
    rows = whom_to_ask(fit, count=70)
    assert len(rows) == 70
    assert np.bincount(rows["annotator"]).max() == 20
    assert np.bincount(whom_to_ask(fit, count=12, most_each=3)["annotator"]).max() == 3
    only = np.ones(labels.shape, bool)
    only[:, 2] = labels[:, 2] >= 0
    rows = whom_to_ask(fit, only, count=70)
    assert len(rows) == 70, "nobody else is left"
    assert set(rows["annotator"]) == {2}


def test_a_label_is_worth_what_its_outcomes_change() -> None:
    """Both values, written out over the outcomes."""
    _, fit = _fit(n=30)
    row = whom_to_ask(fit, count=1)[0]
    q, confusion = fit.posterior[row["item"]], fit.annotators.confusion(row["annotator"])
    joint = q[:, None] * confusion
    independent = q[:, None] * joint.sum(axis=0)
    assert row["nats"] == pytest.approx((joint * np.log(joint / independent)).sum())
    after = sum(joint[:, said].sum() * (joint[:, said] / joint[:, said].sum()).max() for said in range(4))
    assert row["gain"] == pytest.approx(after - q.max())
    assert row["gain"] > 0
