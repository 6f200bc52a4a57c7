"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from auditor.core.errors import DataError
from auditor.lab.detectors.metrics import Ranked, flag_counts


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
    assert ranked.best_f1() == pytest.approx(max(cuts))
    copies = np.repeat(np.arange(n), weights.astype(int))
    assert ranked.average_precision(weights) == pytest.approx(
        Ranked.of(truth[copies], score[copies]).average_precision()
    )
    mask = score > 0.5
    assert flag_counts(truth, mask, weights).f1 == pytest.approx(
        f1_score(truth, mask, sample_weight=weights, zero_division=0)
    )


def test_precision_at_counts_ties_by_id() -> None:
    truth, score = np.array([True, False, False, True]), np.array([1.0, 1.0, 0.0, 0.0])
    assert Ranked.of(truth, score, np.array(["a", "b", "c", "d"])).precision_at(1) == 1.0
    assert Ranked.of(truth, score, np.array(["b", "a", "c", "d"])).precision_at(1) == 0.0
    assert Ranked.of(truth, score).precision_at() == 0.5


def test_without_errors_nothing_is_claimed() -> None:
    none = np.zeros(3, dtype=bool)
    assert np.isnan(Ranked.of(none, np.arange(3.0)).average_precision())
    assert np.isnan(Ranked.of(none, np.arange(3.0)).auroc())
    assert flag_counts(none, none).f1 == 0.0
    assert np.isnan(flag_counts(none, none).precision)


def test_bad_input() -> None:
    with pytest.raises(DataError, match="not finite"):
        Ranked.of(np.array([True, False]), np.array([np.nan, 1.0]))
    with pytest.raises(DataError, match="shape"):
        Ranked.of(np.array([True]), np.array([0.0, 1.0]))
