"""`knn_shapley` against the definition over all subsets; copies, ties, and the cut after many."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from auditor.core.errors import ConfigError, DataError
from auditor.detect import knn_shapley as module
from auditor.detect.base import Detection, Evidence
from auditor.detect.knn_shapley import knn_shapley, truncated_shapley
from auditor.detect.neighbours import nearest, unit_rows
from auditor.detect.registry import run_detector


def by_definition(X: np.ndarray, labels: np.ndarray, k: int, groups: np.ndarray) -> np.ndarray:
    """Mean over all items of the weighted marginal gains over all subsets of their voters."""
    unit, n = unit_rows(X).astype(np.float64), len(X)
    total, asked = np.zeros(n), np.zeros(n)
    for item in range(n):
        voters = [j for j in range(n) if groups[j] != groups[item]]
        near = sorted(voters, key=lambda j: (-float(unit[item] @ unit[j]), j))

        def won(members: tuple[int, ...], near: list[int] = near, item: int = item) -> float:
            return sum(labels[j] == labels[item] for j in [j for j in near if j in members][:k]) / k

        asked[voters] += 1
        for j in voters:
            others = [v for v in voters if v != j]
            for size in range(len(others) + 1):
                weight = 1 / (len(voters) * comb(len(others), size))
                total[j] += weight * sum(won((*s, j)) - won(s) for s in combinations(others, size))
    return total / np.maximum(asked, 1)


@pytest.mark.parametrize("k", [1, 2, 3, 9])
@pytest.mark.parametrize("copies", [False, True])
def test_the_definition(k: int, copies: bool) -> None:
    rng = np.random.default_rng(k)
    X, labels = rng.normal(size=(7, 3)), rng.integers(0, 2, 7)
    groups = np.array([0, 0, 1, 2, 3, 3, 3]) if copies else np.arange(7)
    expected = by_definition(X, labels, k, groups)
    assert np.allclose(knn_shapley(X, labels, k, groups), expected, atol=1e-6)


def test_values_of_an_item_add_up_to_what_all_voters_win() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(200, 5)), rng.integers(0, 3, 200)
    closest, _ = nearest(X, 10)
    votes = (labels[closest] == labels[:, None]).mean()
    assert np.isclose(knn_shapley(X, labels, 10).sum() * 199, votes * 200)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(120, 5)), rng.integers(0, 3, 120)
    whole = knn_shapley(X, labels)
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 120 * 7)
    assert np.allclose(knn_shapley(X, labels), whole, atol=1e-12)


def test_the_nearest_alone_are_off_by_their_reciprocal_at_most() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(400, 4)), rng.integers(0, 3, 400)
    exact = knn_shapley(X, labels, 5)
    for ranks in (20, 100, 399):
        off = np.abs(truncated_shapley(nearest(X, ranks)[0], labels, 5) - exact).max()
        assert off <= 1 / ranks
    assert off < 1e-12


def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    wrong = rng.random(600) < 0.1
    X = np.eye(5)[truth] * 2 + rng.normal(size=(600, 5)) * 0.5
    return X.astype(np.float32), np.where(wrong, (truth + 1) % 3, truth), wrong


def test_wrong_labels_are_worth_least() -> None:
    X, labels, wrong = noisy()
    found = run_detector("knn_shapley", Evidence(np.arange(600), labels, 3, embeddings=X))
    assert isinstance(found, Detection)
    assert wrong[np.argsort(-found.score)[: wrong.sum()]].mean() > 0.9
    assert found.flagged is None
    assert found.meta["exact"]
    assert np.allclose(found.score, -knn_shapley(X, labels, 10), atol=1e-7)
    assert (found.suggested[wrong] != labels[wrong]).mean() > 0.9


def test_many_items_and_folds_are_valued_by_their_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels, wrong = noisy()
    evidence = Evidence(np.arange(600), labels, 3, embeddings=X, embedding_folds=np.arange(600) % 2)
    for given in (evidence, Evidence(np.arange(600), labels, 3, embeddings=X)):
        found = run_detector("knn_shapley", given)
        assert isinstance(found, Detection)
        assert wrong[np.argsort(-found.score)[: wrong.sum()]].mean() > 0.85
        monkeypatch.setattr(module, "EXACT_LIMIT", 500)
    assert not found.meta["exact"]


def test_a_copy_does_not_vouch_for_its_copies() -> None:
    X, labels = np.ones((4, 2)), np.array([0, 0, 0, 1])
    assert np.array_equal(knn_shapley(X, labels, 2, np.zeros(4, int)), np.zeros(4))


def test_neighbours_must_vote() -> None:
    with pytest.raises(DataError, match="0 neighbours vote"):
        knn_shapley(np.ones((3, 2)), np.zeros(3, int), 0)
    with pytest.raises(ConfigError, match="at least one"):
        run_detector("knn_shapley", Evidence(np.arange(3), np.array([0, 1, 0]), 2, embeddings=np.eye(3)), neighbours=0)
