"""Neighbours against scikit-learn, folds, duplicates, and the posterior by hand."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import ConfigError
from auditor.detect import neighbours as module
from auditor.detect.base import Evidence
from auditor.detect.knn import neighbour_posterior
from auditor.detect.neighbours import nearest
from auditor.detect.registry import run_detector


def points(n: int = 300, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_equal_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    X = points()
    distance, index = NearestNeighbors(n_neighbors=11, metric="cosine").fit(X).kneighbors(X)
    positions, cosines = nearest(X, 10)
    assert np.array_equal(positions, index[:, 1:])
    assert np.allclose(cosines, 1 - distance[:, 1:], atol=1e-5)


def test_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.round(points(n=200, d=2), 1)  # many ties
    whole = nearest(X, 7)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 200 * 13)
    pieces = nearest(X, 7)
    assert np.array_equal(whole[0], pieces[0])
    assert np.array_equal(whole[1], pieces[1])


def test_ties_go_to_the_lower_position() -> None:
    positions, _ = nearest(np.ones((5, 2)), 3)
    assert positions.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


def test_folds_and_duplicates_are_kept_apart() -> None:
    X = points(60)
    folds, groups = np.arange(60) % 3, np.arange(60) // 6
    positions, cosines = nearest(X, 25, folds, groups)
    found = positions >= 0
    assert found.sum(axis=1).tolist() == [18] * 60  # 20 in the fold, less the item and its duplicate
    rows = np.arange(60)[:, None]
    assert ((folds[positions] == folds[rows]) | ~found).all()
    assert ((groups[positions] != groups[rows]) | ~found).all()
    assert (cosines[~found] == 0).all()


def test_a_zero_row_is_near_nothing() -> None:
    X = points(20)
    X[3] = 0
    assert (nearest(X, 4)[1][3] == 0).all()


def test_posterior_by_hand() -> None:
    positions = np.array([[1, 2], [0, 2], [0, 1], [-1, -1]])
    cosines = np.array([[1.0, 0.9], [1.0, 0.9], [0.9, 0.9], [0.0, 0.0]], dtype=np.float32)
    labels = np.array([0, 0, 1, 1])
    once = neighbour_posterior(positions, cosines, labels, 2, passes=1)
    w = np.exp(-1.0)
    assert np.allclose(once, [[1 / (1 + w), w / (1 + w)], [1 / (1 + w), w / (1 + w)], [1, 0], [0.5, 0.5]])
    twice = neighbour_posterior(positions, cosines, labels, 2)
    trust = once[np.arange(4), labels]  # item 2 is trusted not at all
    assert trust[2] == 0
    assert np.allclose(twice[0], [1, 0])


def test_an_identical_wrong_copy_hides_the_error_unless_it_is_named() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    X = (np.eye(2)[truth] * 4 + rng.normal(size=(200, 2))).astype(np.float32)
    labels = truth.copy()
    X[:12], labels[:12] = X[0], 1 - truth[0]  # twelve copies of one picture, all with the same wrong label
    groups = np.arange(200)
    groups[:12] = 0
    options = {"neighbours": 10}
    hidden = run_detector("knn_vote", Evidence(np.arange(200), labels, 2, embeddings=X), **options)
    told = Evidence(np.arange(200), labels, 2, embeddings=X, duplicate_groups=groups)
    assert not hidden.flagged[:12].any()
    assert run_detector("knn_vote", told, **options).flagged[:12].all()


def test_bad_options() -> None:
    given = Evidence(np.arange(4), np.array([0, 1, 0, 1]), 2, embeddings=points(4))
    with pytest.raises(ConfigError, match="positive"):
        run_detector("knn_posterior", given, temperature=0.0)
    with pytest.raises(ConfigError, match="neighbors"):
        run_detector("knn_vote", given, neighbors=3)
