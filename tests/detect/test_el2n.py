"""EL2N: the true norm lies between the bounds, and equals them for two and three classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from auditor.detect.base import Evidence
from auditor.detect.el2n import el2n_bounds
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.registry import run_detector


def recorded(logits: np.ndarray, labels: np.ndarray) -> ItemDynamics:
    """The stored numbers of full logits (models, epochs, n, K), in float32 so that only the bounds are tested."""
    rows = np.arange(len(labels))
    given = logits[:, :, rows, labels]
    masked = logits.copy()
    masked[:, :, rows, labels] = -np.inf
    parts = [a.astype(np.float32) for a in (given, masked.max(axis=-1), logsumexp(logits, axis=-1))]
    return ItemDynamics(*parts, *(np.full((1, logits.shape[1], len(labels)), np.nan, np.float32) for _ in range(3)))


@pytest.mark.parametrize("n_classes", [2, 3, 4, 10, 100])
def test_the_truth_lies_between(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    logits = rng.normal(size=(2, 9, 400, n_classes)) * rng.uniform(0.2, 5, size=(1, 1, 400, 1))
    labels = rng.integers(0, n_classes, 400)
    least, largest = el2n_bounds(recorded(logits, labels), n_classes)
    error = softmax(logits, axis=-1) - np.eye(n_classes)[labels]
    truth = np.linalg.norm(error, axis=-1)[:, :3].mean(axis=(0, 1))  # a third of nine epochs
    assert (least <= truth + 1e-5).all()
    assert (truth <= largest + 1e-5).all()
    if n_classes <= 3:
        np.testing.assert_allclose(least, truth, atol=1e-5)
        np.testing.assert_allclose(largest, truth, atol=1e-5)
    else:
        # The bounds say something: they are far closer than the range of the score.
        assert (largest - least).max() < 0.25 * np.ptp(truth)


def test_meta_says_how_far_apart_the_bounds_are() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(1, 6, 50, 5)), rng.integers(0, 5, 50)
    dynamics = recorded(logits, labels)
    found = run_detector("el2n", Evidence(np.arange(50), labels, 5, dynamics=dynamics))
    least, largest = el2n_bounds(dynamics, 5)
    np.testing.assert_allclose(found.score, (least + largest) / 2)
    assert found.meta["largest_gap"] == pytest.approx((largest - least).max())
