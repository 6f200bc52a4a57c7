"""Metrics against hand-computed values and scikit-learn, division by nothing included."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from auditor.core.errors import DataError
from auditor.lab.cifake.grid.metrics import binary_metrics
from auditor.stats.intervals import wilson


def two(p_fake: list[float]) -> np.ndarray:
    p = np.array(p_fake)
    return np.column_stack([p, 1 - p])


#: Ten items: FAKE called FAKE 3 times, FAKE called REAL once, REAL called FAKE twice, REAL called REAL 4 times.
P = [0.9, 0.8, 0.7, 0.4, 0.6, 0.75, 0.1, 0.2, 0.3, 0.45]
Y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])


def test_ten_items_by_hand() -> None:
    m = binary_metrics(two(P), Y)
    assert m.confusion == [[3, 1], [2, 4]]
    assert m.accuracy.value == 0.7
    fake, real = m.classes
    assert (fake.precision.value, fake.recall.value) == (3 / 5, 3 / 4)
    assert fake.f1.value == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert (real.precision.value, real.recall.value) == (4 / 5, 4 / 6)
    assert real.f1.value == pytest.approx(8 / 11)
    assert m.loss.value == pytest.approx(log_loss(Y, two(P)[:, 1]))
    called = (np.array(P) < 0.5).astype(int)
    for k in (0, 1):
        assert m.classes[k].precision.value == pytest.approx(precision_score(Y, called, pos_label=k))
        assert m.classes[k].recall.value == pytest.approx(recall_score(Y, called, pos_label=k))
        assert m.classes[k].f1.value == pytest.approx(f1_score(Y, called, pos_label=k))


def test_intervals_hold_their_value_and_are_wilsons() -> None:
    m = binary_metrics(two(P), Y)
    assert (m.accuracy.low, m.accuracy.high) == (wilson(7, 10).low, wilson(7, 10).high)
    for interval in (m.accuracy, m.loss, *(i for c in m.classes for i in (c.precision, c.recall, c.f1))):
        assert interval.low < interval.value < interval.high
    shared = wilson(3, 6)  # F1 = 2J / (1 + J) of the shared positives
    assert m.classes[0].f1.low == pytest.approx(2 * shared.low / (1 + shared.low))


def test_interval_of_f1_covers() -> None:
    random = np.random.default_rng(0)
    n, truth, hits = 400, 2 * 0.4 / (2 * 0.4 + 0.1 + 0.1), 0
    for _ in range(300):
        kind = random.choice(4, n, p=[0.4, 0.1, 0.1, 0.4])  # hit, missed, false alarm, rightly left
        labels, called = np.isin(kind, (2, 3)).astype(int), np.isin(kind, (1, 3)).astype(int)
        f1 = binary_metrics(two((0.9 - 0.8 * called).tolist()), labels).classes[0].f1
        hits += f1.low <= truth <= f1.high
    assert 0.92 <= hits / 300 <= 0.98


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.ones(4, int)])
def test_nothing_to_divide_by_is_said(labels: np.ndarray) -> None:
    m = binary_metrics(two([0.1, 0.2, 0.3, 0.4]), labels)  # all are called REAL
    assert math.isnan(m.classes[0].precision.value)
    told = m.as_dict()["classes"][0]["precision"]
    assert told == {"value": None, "low": 0.0, "high": 1.0, "level": 0.95}
    assert math.isnan(m.classes[0].recall.value) == (labels[0] == 1)
    json.dumps(m.as_dict(), allow_nan=False)


def test_certain_and_wrong_costs_a_finite_loss() -> None:
    assert np.isfinite(binary_metrics(np.array([[1.0, 0.0]] * 3), np.ones(3, int)).loss.value)


@pytest.mark.parametrize(("p", "y"), [(np.ones((3, 3)) / 3, np.zeros(3, int)), (two([0.5]), np.array([2]))])
def test_other_shapes_are_refused(p: np.ndarray, y: np.ndarray) -> None:
    with pytest.raises(DataError, match="two-class"):
        binary_metrics(p, y)
