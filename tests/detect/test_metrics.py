"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from auditor.core.errors import DataError
from auditor.detect.metrics import (
    Ranked,
    auroc,
    average_precision,
    best_f1,
    flag_counts,
    paired_bootstrap,
    precision_at,
)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), grain=st.sampled_from([1, 3, 1000]))
def test_equal_scikit_learn_with_ties_and_weights(seed: int, n: int, grain: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    truth[:2] = [True, False]
    score = np.round(rng.random(n) * grain) / grain
    weights = rng.integers(0, 4, n).astype(float)
    weights[:2] = 1
    ranked = Ranked.of(truth, score)
    for w in (None, weights):
        assert ranked.average_precision(w) == pytest.approx(average_precision_score(truth, score, sample_weight=w))
        assert ranked.auroc(w) == pytest.approx(roc_auc_score(truth, score, sample_weight=w))
    cuts = [f1_score(truth, score >= cut) for cut in np.unique(score)]
    assert best_f1(truth, score) == pytest.approx(max(cuts))
    copies = np.repeat(np.arange(n), weights.astype(int))
    assert ranked.average_precision(weights) == pytest.approx(average_precision(truth[copies], score[copies]))
    mask = score > 0.5
    assert flag_counts(truth, mask, weights).f1 == pytest.approx(
        f1_score(truth, mask, sample_weight=weights, zero_division=0)
    )


def test_precision_at_counts_ties_by_id() -> None:
    truth, score = np.array([True, False, False, True]), np.array([1.0, 1.0, 0.0, 0.0])
    assert precision_at(truth, score, 1, ids=np.array(["a", "b", "c", "d"])) == 1.0
    assert precision_at(truth, score, 1, ids=np.array(["b", "a", "c", "d"])) == 0.0
    assert precision_at(truth, score) == 0.5


def test_without_errors_nothing_is_claimed() -> None:
    none = np.zeros(3, dtype=bool)
    assert np.isnan(average_precision(none, np.arange(3.0)))
    assert np.isnan(auroc(none, np.arange(3.0)))
    assert flag_counts(none, none).f1 == 0.0
    assert np.isnan(flag_counts(none, none).precision)


def test_bad_input() -> None:
    with pytest.raises(DataError, match="not finite"):
        average_precision(np.array([True, False]), np.array([np.nan, 1.0]))
    with pytest.raises(DataError, match="shape"):
        average_precision(np.array([True]), np.array([0.0, 1.0]))


def test_bootstrap_interval_covers_a_real_difference_and_not_zero() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.1
    good = Ranked.of(truth, truth + rng.normal(scale=0.4, size=2000))
    poor = Ranked.of(truth, truth + rng.normal(scale=1.0, size=2000))
    found = paired_bootstrap(2000, good.average_precision, poor.average_precision, draws=100)
    assert 0 < found.low < found.difference < found.high
    same = paired_bootstrap(2000, good.average_precision, good.average_precision, draws=20)
    assert (same.low, same.difference, same.high) == (0, 0, 0)
