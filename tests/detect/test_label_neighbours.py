"""`knn_rank` against simulated noise, `selfclean_ratio` by hand."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import ConfigError
from auditor.detect import neighbours
from auditor.detect.base import Detection, Evidence
from auditor.detect.knn_rank import consensus_noise
from auditor.detect.registry import run_detector
from auditor.detect.selfclean_ratio import nearest_by_label

NOISE = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.05, 0.95]])


def draw(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    return (rng.random(len(truth))[:, None] > NOISE[truth].cumsum(axis=1)).sum(axis=1)


def test_consensus_recovers_shares_and_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 60_000, p=[0.5, 0.3, 0.2])
    triples = np.column_stack([draw(rng, truth) for _ in range(3)])
    shares, noise = consensus_noise(triples, 3)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.02)
    np.testing.assert_allclose(noise.toarray(), NOISE, atol=0.03)
    np.testing.assert_allclose(noise.toarray().sum(axis=1), 1)


def clusters(n: int = 900) -> tuple[Evidence, np.ndarray]:
    rng = np.random.default_rng(2)
    truth = rng.choice(3, n)
    labels = draw(rng, truth).astype(np.int64)
    X = (np.eye(3)[truth] * 8 + rng.normal(size=(n, 3))).astype(np.float32)
    return Evidence(np.arange(n), labels, 3, embeddings=X), labels != truth


def test_rank_flags_as_many_per_class_as_the_noise_says() -> None:
    given, wrong = clusters()
    found = run_detector("knn_rank", given)
    assert isinstance(found, Detection)
    assert found.flagged is not None
    for k in range(3):
        flagged, true = found.flagged[given.labels == k].mean(), wrong[given.labels == k].mean()
        assert abs(flagged - true) < 0.06, (k, flagged, true)
    assert wrong[found.flagged].mean() > 0.9
    rates = np.array(found.meta["noise_rate_of_class"])
    assert ((rates >= 0) & (rates <= 1)).all()


def test_rank_without_noise_flags_nothing() -> None:
    rng = np.random.default_rng(3)
    truth = rng.choice(3, 300)
    X = (np.eye(3)[truth] * 30 + rng.normal(size=(300, 3))).astype(np.float32)
    found = run_detector("knn_rank", Evidence(np.arange(300), truth, 3, embeddings=X), neighbours=10)
    assert isinstance(found, Detection)
    assert found.flagged is not None
    assert not found.flagged.any()
    with pytest.raises(ConfigError, match="at least two"):
        run_detector("knn_rank", Evidence(np.arange(300), truth, 3, embeddings=X), neighbours=1)


def angles(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.column_stack([np.cos(radians), np.sin(radians)]).astype(np.float32)


def test_ratio_by_hand() -> None:
    given = Evidence(np.arange(4), np.array([0, 0, 1, 1]), 2, embeddings=angles(0, 60, 20, 90))
    found = run_detector("selfclean_ratio", given)
    assert isinstance(found, Detection)
    d = lambda a: 1 - np.cos(np.deg2rad(a))  # noqa: E731
    ratio = lambda same, other: d(same) ** 2 / (d(same) ** 2 + d(other) ** 2)  # noqa: E731
    np.testing.assert_allclose(found.score, [ratio(60, 20), ratio(60, 30), ratio(70, 20), ratio(70, 30)], atol=1e-5)
    assert found.suggested.tolist() == [1, 1, 0, 0]


def test_ratio_leaves_copies_out_and_defines_what_is_alone() -> None:
    given = Evidence(
        np.arange(4),
        np.array([0, 0, 1, 0]),
        3,
        embeddings=angles(0, 0, 30, 80),
        duplicate_groups=np.array([7, 7, 8, 9]),
    )
    same, _, label, exact = nearest_by_label(given)
    np.testing.assert_allclose(same[:2], np.cos(np.deg2rad(80)), atol=1e-6)
    assert same[2] == -2
    assert exact
    found = run_detector("selfclean_ratio", given)
    assert found.score[2] == 0.5
    assert label.tolist() == [1, 1, 0, 1]
    one_class = Evidence(np.arange(3), np.zeros(3, int), 2, embeddings=angles(0, 5, 50))
    assert run_detector("selfclean_ratio", one_class).score.tolist() == [0, 0, 0]


def test_ratio_above_the_limit_is_near_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = clusters()
    whole = run_detector("selfclean_ratio", given)
    monkeypatch.setattr(neighbours, "EXACT_LIMIT", 100)
    fresh = Evidence(given.ids, given.labels, 3, embeddings=given.embeddings)
    found = run_detector("selfclean_ratio", fresh)
    assert found.meta == {"exact": False}
    assert np.corrcoef(found.score, whole.score)[0, 1] > 0.9
