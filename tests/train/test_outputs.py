from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, r2_score

from auditor.core.errors import UsageError
from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.outputs import PENALTIES, Scale, choose_outputs, fit_ridge

N = 240
_TASK = FitTask("fold-0", np.arange(160), np.arange(160, N), 0)


def _data(kind: str) -> tuple[TrainingData, TrainingData]:
    """Two tags and a number that the content tells."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    tags = x + rng.normal(0, 0.4, (N, 2)) > 0.5
    number = 5 * x[:, 0] + x[:, 1] ** 2 + rng.normal(0, 0.3, N)
    if kind == "table":
        features = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": pd.Categorical(rng.choice(["u", "v"], N))})
    elif kind == "text":
        words = np.array([["low", "mid", "high"], ["cold", "mild", "hot"]])
        level = np.digitize(x, [-0.5, 0.5])
        features = [f"{words[0, a]} and {words[1, b]} today" for a, b in level]
    else:
        features = np.clip(128 + 60 * x[:, None, None, [0, 1, 1]] + rng.normal(0, 9, (N, 9, 7, 3)), 0, 255)
        features = features.astype(np.uint8)
    return TrainingData(kind, features, tags, 2), TrainingData(kind, features, number, 1)


@pytest.mark.parametrize("kind", ["table", "text", "image"])
def test_every_model_of_every_kind_of_data_predicts_both_outputs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.train.outputs.encoders.lacking", lambda name: "not installed")
    tags, numbers = _data(kind)
    for output, data in (("tags", tags), ("number", numbers)):
        for trainer in choose_outputs(output, kind, "smoke")[0]:  # type: ignore[arg-type]
            assert isinstance(trainer, Trainer)
            first, again = (trainer.fit(data, _TASK, SilentProgress(), None).probabilities for _ in range(2))
            np.testing.assert_array_equal(first, again)
            held = data.labels[_TASK.predict]
            assert first.shape == (len(held), data.n_classes)
            if output == "tags":
                assert average_precision_score(held.ravel(), first.ravel()) > 0.75
                assert abs(first.mean() - held.mean()) < 0.1
            else:
                assert r2_score(held, first[:, 0]) > 0.6


def test_a_model_does_not_follow_labels_that_are_wrong_by_any_factor() -> None:
    _, numbers = _data("table")
    wrong = np.array(numbers.labels)
    wrong[:8] *= 1e6
    for trainer in choose_outputs("number", "table", "smoke")[0]:
        fit = trainer.fit(replace(numbers, labels=wrong), _TASK, SilentProgress(), None)
        assert r2_score(numbers.labels[_TASK.predict], fit.probabilities[:, 0]) > 0.5


def test_a_tag_that_all_or_none_have_is_predicted_by_its_share() -> None:
    tags, _ = _data("table")
    labels = np.array(tags.labels)
    labels[:160] = [True, False]
    for trainer in choose_outputs("tags", "table", "smoke")[0]:
        predicted = trainer.fit(replace(tags, labels=labels), _TASK, SilentProgress(), None).probabilities
        assert (predicted[:, 0] > 0.98).all()
        assert (predicted[:, 1] < 0.02).all()


def test_ridge_equals_scikit_learn_and_leaving_one_out_is_exact() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    y[:, 0] += x[:, 0]
    fit = fit_ridge(x, y)
    assert fit.penalty in PENALTIES
    strength = fit.penalty * float((np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2).mean())
    np.testing.assert_allclose(fit.predict(x), Ridge(strength).fit(x, y).predict(x), atol=1e-8)
    left = [Ridge(strength).fit(np.delete(x, k, 0), np.delete(y, k, 0)).predict(x[k : k + 1])[0] for k in range(40)]
    np.testing.assert_allclose(fit.left_out, left, atol=1e-8)


def test_positive_skewed_numbers_are_fitted_as_logarithms() -> None:
    prices = np.exp(np.random.default_rng(0).normal(3, 1.5, 500))
    scale = Scale.of(prices)
    assert scale.logarithm
    np.testing.assert_allclose(scale.back(scale.forth(prices)), prices)
    assert not Scale.of(prices - prices.mean()).logarithm
    assert scale.forth(np.array([prices.max() * 1e9])) == scale.high


def test_there_is_no_model_of_probabilities() -> None:
    with pytest.raises(UsageError, match="probabilities data"):
        choose_outputs("tags", "probabilities", "smoke")
