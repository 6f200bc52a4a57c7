"""Advice about classes: overlapping, divided and unlearnable ones are named, noisy and rare ones are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.quality.base import Outcome
from auditor.quality.open_subject import neighbours_of, table_neighbours
from auditor.quality.registry import run_checks
from auditor.quality.subject import Predictions, Subject
from tests.contract.planted_quality import rows

NAMES = ("ant", "bee", "cow", "dog")
N = 400
LABELS = np.arange(N) % 4


def subject(confused: Any, seed: int = 0, flagged: np.ndarray | None = None) -> Subject:
    """Four classes; row k of `confused` says how often class k is predicted as each class."""
    rng = np.random.default_rng(seed)
    made = rows(pd.DataFrame({"a": rng.normal(size=N)}))
    made.labels, made.class_names = LABELS, NAMES
    likely = np.array([rng.choice(4, p=np.asarray(confused)[k]) for k in LABELS])
    p = np.full((N, 4), 0.1)
    p[np.arange(N), likely] = 0.7
    made.predictions = Predictions(np.arange(N), p + rng.random((N, 4)) * 1e-3, flagged)
    return made


def asked(made: Subject, name: str) -> Outcome:
    (outcome,) = run_checks(made, [name])
    return outcome


GOOD = np.full((4, 4), 0.02) + np.eye(4) * 0.92
TWINS = [[0.46, 0.5, 0.02, 0.02], [0.5, 0.46, 0.02, 0.02], GOOD[2], GOOD[3]]
#: Whatever it is, a third of it is taken for each other class.
LOST = [GOOD[0], GOOD[1], GOOD[2], [0.32, 0.32, 0.32, 0.04]]


def test_two_classes_that_are_one() -> None:
    found = asked(subject(TWINS), "overlapping_classes")
    assert found.findings is not None
    (row,) = found.findings.facts["overlapping"]
    assert row["classes"] == ["ant", "bee"]
    assert row["told apart"] < row["at most"] <= 0.7
    assert row["neighbours"] is None
    assert set(found.findings.groups[0].members.tolist()) == set(np.flatnonzero(LABELS < 2).tolist())
    # They are learned as a pair: each is right far more often than items of other classes are taken for it.
    assert asked(subject(TWINS), "unlearnable_classes").status == "passed"


def test_a_fifth_of_wrong_predictions_is_no_overlap() -> None:
    noisy = np.full((4, 4), 0.2 / 3) + np.eye(4) * (0.8 - 0.2 / 3)
    for name in ("overlapping_classes", "unlearnable_classes"):
        assert asked(subject(noisy), name).status == "passed"


def test_one_sided_confusion_is_no_overlap() -> None:
    """Class bee swallows a third of the ants, and its own are recognised."""
    one_sided = [[0.62, 0.34, 0.02, 0.02], GOOD[1], GOOD[2], GOOD[3]]
    assert asked(subject(one_sided), "overlapping_classes").status == "passed"


def test_neighbours_say_whether_two_classes_lie_together() -> None:
    points = np.random.default_rng(0).normal(size=(N, 4)) * 0.2 + np.eye(4)[np.where(LABELS == 1, 0, LABELS)]
    made = subject(TWINS)
    made.neighbours = neighbours_of("given", points.astype(np.float32), np.arange(N), N)
    found = asked(made, "overlapping_classes")
    assert found.findings is not None
    assert 0.4 < found.findings.facts["overlapping"][0]["neighbours"] < 0.6


def test_a_class_that_is_not_learned() -> None:
    found = asked(subject(LOST), "unlearnable_classes")
    assert found.findings is not None
    (row,) = found.findings.facts["classes"]
    assert (row["class"], row["why"]) == ("dog", "not learned")
    assert set(found.findings.items.tolist()) == set(np.flatnonzero(LABELS == 3).tolist())


def test_a_class_that_the_model_misses_and_the_neighbours_know_is_learnable() -> None:
    points = np.random.default_rng(0).normal(size=(N, 4)) * 0.2 + np.eye(4)[LABELS]
    made = subject(LOST)
    made.neighbours = neighbours_of("given", points.astype(np.float32), np.arange(N), N)
    assert asked(made, "unlearnable_classes").status == "passed"


def test_a_class_most_of_whose_labels_are_suspected() -> None:
    flagged = (LABELS == 2) & (np.random.default_rng(0).random(N) < 0.8)
    found = asked(subject(GOOD, flagged=flagged), "unlearnable_classes")
    assert found.findings is not None
    assert [(row["class"], row["why"]) for row in found.findings.facts["classes"]] == [("cow", "mostly suspected")]
    few = (LABELS == 2) & (np.random.default_rng(0).random(N) < 0.4)
    assert asked(subject(GOOD, flagged=few), "unlearnable_classes").status == "passed"


@pytest.mark.parametrize("merged", [True, False])
def test_two_digits_under_one_name(merged: bool) -> None:
    """Of the digits themselves the nines alone are divided, which are written with and without a foot; a name that
    holds the threes and the sixes is."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.copy()
    if merged:
        labels[labels == 6] = 3
    made = rows(pd.DataFrame(digits.data).rename(columns=str))
    made.labels, made.class_names = labels, tuple(map(str, range(10)))
    made.neighbours = neighbours_of("pixels", digits.data.astype(np.float32), np.arange(len(labels)), len(labels))
    found = asked(made, "divided_classes")
    assert found.findings is not None
    assert [row["class"] for row in found.findings.facts["divided"]] == (["3", "9"] if merged else ["9"])
    if merged:
        sizes, groups = found.findings.facts["divided"][0]["parts"], found.findings.groups[:2]
        assert sum(sizes) == (labels == 3).sum()
        assert sum(np.bincount(digits.target[group.members]).max() for group in groups) > 0.95 * sum(sizes)


def test_too_few_items_of_a_class() -> None:
    made = subject(GOOD)
    made.labels = np.zeros(N, np.int64)
    for name in ("overlapping_classes", "unlearnable_classes"):
        assert asked(made, name).status == "not applicable"


def test_a_column_of_two_values_divides_no_class() -> None:
    frame = pd.DataFrame({"sex": pd.Categorical(np.where(np.arange(N) % 3 == 0, "f", "m")), "a": np.arange(N) / N})
    made = rows(frame)
    made.neighbours = table_neighbours(made)
    assert asked(made, "divided_classes").status == "not applicable"
