"""`lemon` against its formula written out item by item."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditor.core.errors import ConfigError, DataError
from auditor.detect import lemon
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.registry import run_detector


def clusters(n: int = 160, n_classes: int = 4, noise: float = 0.2, seed: int = 0) -> tuple[Evidence, np.ndarray]:
    """Images around the names of their classes, far from them as CLIP's are. Returns (evidence, truth)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    labels = np.where(rng.random(n) < noise, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    names = rng.normal(size=(n_classes, 12))
    gap = 2 * rng.normal(size=12)  # between the images and the texts
    images = names[truth] + gap + rng.normal(size=(n, 12))
    ids = np.array([f"i{k:04d}" for k in range(n)])
    return Evidence(ids, labels, n_classes, embeddings=images, class_embeddings=names), truth


def detect(evidence: Evidence, **options: float) -> Detection:
    found = run_detector("lemon", evidence, **options)
    assert isinstance(found, Detection)
    return found


def slowly(evidence: Evidence, k: int, beta: float, gamma: float, tau1: float, tau2: float) -> np.ndarray:
    """The score of every item and class, float64 (n, K)."""
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    x, y, labels = unit(evidence.embeddings), unit(evidence.class_embeddings), evidence.labels
    n, groups = len(x), np.arange(len(x)) if evidence.duplicate_groups is None else evidence.duplicate_groups
    between, to_name = 1 - x @ x.T, 1 - x @ y.T
    weight = np.exp(-tau2 * to_name[np.arange(n), labels])
    score = np.full((n, evidence.n_classes), np.inf)
    for i in range(n):
        others = [j for j in range(n) if groups[j] != groups[i]]
        nearest = sorted(others, key=lambda j: between[i, j])[:k]
        for c in range(evidence.n_classes):
            of_class = [j for j in range(n) if labels[j] == c and (groups[j] != groups[i] or c != labels[i])]
            if of_class:
                s_n = np.mean([np.exp(-tau1 * between[i, j]) * weight[j] * (labels[j] != c) for j in nearest])
                s_m = np.mean([weight[j] * between[i, j] for j in of_class])
                score[i, c] = to_name[i, c] + beta * s_n + gamma * s_m
    return score


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [(30, 5.0, 5.0, 0.1, 5.0), (7, 2.0, 0.5, 3.0, 1.0), (1, 0.0, 9.0, 0.0, 0.0)])
@pytest.mark.parametrize("copies", [False, True])
def test_it_is_the_formula(
    seed: int, options: tuple[int, float, float, float, float], copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lemon, "_BLOCK_BYTES", 4096)  # several blocks
    given, _ = clusters(seed=seed)
    if copies:
        given = replace(given, duplicate_groups=np.arange(len(given)) // 3)
    found = detect(given, **dict(zip(("neighbours", "beta", "gamma", "tau1", "tau2"), options, strict=True)))
    expected = slowly(given, *options)
    np.testing.assert_allclose(found.score, expected[np.arange(len(given)), given.labels], atol=1e-5)
    assert np.mean(found.suggested == expected.argmin(axis=1)) > 0.99  # but for ties


def test_it_is_ahead_of_the_distance_from_the_name_alone() -> None:
    for seed in range(5):
        given, truth = clusters(600, 6, seed=seed)
        whole, alone = detect(given), detect(given, beta=0.0, gamma=0.0)
        area, plain = (roc_auc_score(given.labels != truth, found.score) for found in (whole, alone))
        assert area > plain + 0.02
        assert np.mean(whole.suggested == truth) > np.mean(alone.suggested == truth)


def test_nothing_near_is_in_the_middle() -> None:
    given, _ = clusters(40, 3)
    labels = given.labels.copy()
    labels[0], labels[labels == 2] = 2, 1
    labels[0] = 2  # the only one of its class
    alone = detect(replace(given, labels=labels))
    assert np.isfinite(alone.score).all()
    assert not (alone.suggested[1:] == 2).all()
    copies = detect(replace(given, duplicate_groups=np.zeros(len(given), int)))  # no neighbour anywhere
    np.testing.assert_allclose(copies.score, detect(given, beta=0.0, gamma=0.0).score)
    empty = detect(replace(given, n_classes=4, class_names=(), class_embeddings=np.ones((4, 12))))
    assert not (empty.suggested == 3).any()  # nobody has it


def test_inputs() -> None:
    given, _ = clusters(20)
    found = run_detector("lemon", replace(given, class_embeddings=None))
    assert isinstance(found, NotApplicable)
    assert "--embeddings clip:MODEL" in found.reason
    for shape in ((3, 12), (4, 11), (12,)):
        with pytest.raises(DataError, match="class names"):
            replace(given, class_embeddings=np.ones(shape))
    with pytest.raises(DataError, match="not finite"):
        replace(given, class_embeddings=np.full((4, 12), np.nan))
    for options in ({"neighbours": 0}, {"beta": -1.0}, {"tau2": -1.0}):
        with pytest.raises(ConfigError, match="lemon"):
            detect(given, **options)
