"""Approximate neighbours: close to exact, exact cosines, never the item or its copy, same for any row order."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detect import approximate, neighbours
from auditor.detect.approximate import approximate_neighbours
from auditor.detect.base import Evidence
from auditor.detect.neighbours import nearest, unit_rows
from auditor.detect.registry import run_detector


def clustered(n: int = 3000, d: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around twenty centres, and the number of the centre."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, 20, n)
    return (rng.normal(size=(20, d))[centre] * 2 + rng.normal(size=(n, d))).astype(np.float32), centre


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything above 500 items is searched approximately."""
    monkeypatch.setattr(neighbours, "EXACT_LIMIT", 500)


@pytest.mark.parametrize("width", [40, 300])
def test_recall_and_exact_cosines(width: int) -> None:
    X, _ = clustered(d=width)
    positions, cosines = approximate_neighbours(unit_rows(X), np.arange(len(X)), 20)
    exact, _ = nearest(X, 20)
    recall = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(positions, exact, strict=True)])
    assert recall > 0.9
    assert (positions != np.arange(len(X))[:, None]).all()
    assert all(len(set(row)) == 20 for row in positions.tolist())
    rows = X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, np.einsum("nd,nkd->nk", rows, rows[positions]), atol=1e-5)
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_all_lists_searched_is_the_exact_search() -> None:
    X, _ = clustered(600)
    positions, cosines = approximate_neighbours(unit_rows(X), np.arange(600), 15, probes=600)
    exact, values = nearest(X, 15)
    assert np.array_equal(positions, exact)
    np.testing.assert_allclose(cosines, values, atol=1e-6)


def test_copies_are_no_neighbours_and_too_few_are_marked() -> None:
    X, _ = clustered(400)
    codes = np.zeros(400, np.int64)
    codes[390:] = np.arange(1, 11)
    positions, cosines = approximate_neighbours(unit_rows(X), codes, 20, probes=400)
    assert ((codes[positions] != codes[:, None]) | (positions < 0)).all()
    assert (positions[:390] >= 0).sum(axis=1).tolist() == [10] * 390
    assert (cosines[positions < 0] == 0).all()


def test_used_above_the_limit_only_and_within_folds(limit: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = approximate_neighbours

    def counted(unit: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(unit))
        return real(unit, codes, k)

    monkeypatch.setattr(neighbours, "approximate_neighbours", counted)
    X, _ = clustered(1200)
    folds = np.r_[np.zeros(900, int), np.ones(300, int)]
    positions, _ = nearest(X, 5, folds)
    assert calls == [900]
    assert (folds[positions] == folds[:, None]).all()


@pytest.mark.parametrize("name", ["knn_vote", "knn_rank", "selfclean_ratio"])
def test_the_order_of_the_rows_changes_nothing(limit: None, name: str) -> None:
    X, centre = clustered(1500)
    labels = centre % 4
    given = Evidence(np.array([f"{i:04d}" for i in range(1500)]), labels, 4, embeddings=X)
    shuffled = np.random.default_rng(1).permutation(1500)
    one, two = run_detector(name, given), run_detector(name, given.take(shuffled))
    assert np.array_equal(one.score[shuffled], two.score)


def test_block_of_rows_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = clustered(900, d=200)
    whole = approximate_neighbours(unit_rows(X), np.arange(900), 10)
    monkeypatch.setattr(approximate, "ROWS", 17)
    pieces = approximate_neighbours(unit_rows(X), np.arange(900), 10)
    assert np.array_equal(whole[0], pieces[0])
