"""The model of tags of tokens: features of a token and its neighbours, and predictions with a row an item."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import UsageError
from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, TrainingData
from auditor.train.outputs import choose_outputs
from auditor.train.token_tags import WIDTH, TokenTrainer, _as_many, padded, shape, token_features


def _data(n: int = 60) -> TrainingData:
    """Names are tagged 1, also such that no other sentence has."""
    texts, labels = [], np.empty(n, dtype=object)
    for k in range(n):
        words = ["yesterday"] * (k % 3) + [f"Ann{k}", "sings"]
        texts.append(" ".join(words))
        labels[k] = np.array([int(word.startswith("Ann")) for word in words])
    return TrainingData("text", texts, labels, 2 * 4)


def test_predicts_each_token_of_unseen_sentences_and_nothing_behind_their_ends() -> None:
    data, trainer = _data(), TokenTrainer()
    task = FitTask("t", np.arange(40), np.arange(40, 60), 0)
    found = trainer.fit(data, task, SilentProgress(), None).probabilities
    assert found.shape == (20, 8)
    assert found.dtype == np.float32
    for row, k in enumerate(task.predict):
        p = found[row].reshape(4, 2)
        length = len(data.labels[k])
        assert (p[:length].argmax(axis=1) == data.labels[k]).all()
        np.testing.assert_allclose(p[:length].sum(axis=1), 1, atol=1e-5)
        assert np.isnan(p[length:]).all()
    again = trainer.fit(data, task, SilentProgress(), None).probabilities
    np.testing.assert_array_equal(found, again)


def test_a_tag_that_training_items_lack_has_no_probability() -> None:
    data = _data()
    only = np.empty(60, dtype=object)
    only[:] = [np.zeros(len(row), np.int64) for row in data.labels]
    task = FitTask("t", np.arange(40), np.arange(40, 60), 0)
    found = TokenTrainer().fit(
        TrainingData("text", data.features, only, 8), task, SilentProgress(), None
    ).probabilities.reshape(20, 4, 2)  # fmt: skip
    assert np.nanmax(found[:, :, 1]) == 0.0


def test_features_know_a_token_and_its_neighbours() -> None:
    x = token_features(["in New York", "in Old York", "a b"])
    assert x.shape == (8, WIDTH)
    same = (x[0] != x[3]).nnz
    assert 0 < same < x[0].nnz, "the same word beside another one"
    assert (token_features(["a b"]) != x[6:]).nnz == 0
    assert token_features([]).shape == (0, WIDTH)
    assert [shape(word) for word in ("U.S.", "2003-09", "McDonald")] == ["X.X.", "d-d", "XxXx"]


def test_padding_and_the_limit_of_tokens() -> None:
    out = padded(np.arange(6).reshape(3, 2), np.array([1, 2]), 3)
    np.testing.assert_array_equal(out, [[0, 1, np.nan, np.nan, np.nan, np.nan], [2, 3, 4, 5, np.nan, np.nan]])
    labels = [np.zeros(90_000), np.zeros(90_000), np.zeros(90_000)]
    kept = _as_many(np.arange(3), labels, np.random.default_rng(0))
    assert len(kept) == 2
    assert (np.diff(kept) > 0).all()
    assert len(_as_many(np.arange(1), [np.zeros(300_000)], np.random.default_rng(0))) == 1


def test_only_texts_have_tokens() -> None:
    trainers, _ = choose_outputs("sequence", "text", "quick")
    assert [trainer.name for trainer in trainers] == ["token-words"]
    with pytest.raises(UsageError, match="no tokens"):
        choose_outputs("sequence", "image", "quick")
