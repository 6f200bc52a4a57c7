"""What stays and what counts once labels are suspect."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detect.cleaning import LEAST_LEFT, LEAST_TRUST, refit_weights, trust_in_labels, without_suspects


def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (600, 3), given labels, and which of these are wrong."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    wrong = rng.random(600) < 0.1
    labels = np.where(wrong, (truth + 1) % 3, truth)
    logits = rng.normal(0, 1, (600, 3))
    logits[np.arange(600), truth] += 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, labels, wrong


def test_wrong_labels_are_trusted_less() -> None:
    p, labels, wrong = noisy()
    trust = trust_in_labels(p, labels)
    assert trust.shape == (600,)
    assert trust.min() >= 0
    assert trust.max() <= 1
    assert trust[~wrong].mean() > 0.95
    assert trust[wrong].mean() < 0.2


def test_no_class_loses_more_than_half_its_weight_in_a_refit() -> None:
    p, labels, _ = noisy()
    # A class without items, one of a few items that the model never learned, and one of mostly wrong labels.
    p = np.column_stack([0.998 * p, np.full((600, 2), 0.001)])
    labels[:12], labels[12:330], p[12:160, :3] = 4, 2, p[12:160][:, [1, 2, 0]]
    how, sizes = refit_weights(p, labels), np.maximum(np.bincount(labels), 1)
    assert (how.weights > 0).all()
    means, trust = (np.bincount(labels, w) / sizes for w in (how.weights, how.trust))
    assert trust[0] > LEAST_LEFT > trust[2] > LEAST_TRUST > trust[4]
    assert means[[0, 2]] == pytest.approx([trust[0], LEAST_LEFT])
    assert means[4] == pytest.approx(LEAST_LEFT)
    # Within a class trust decides, the less so the less of it there is.
    np.testing.assert_allclose(how.weights[labels == 2] / how.trust[labels == 2], LEAST_LEFT / trust[2])
    even = LEAST_LEFT * (1 - trust[4] / LEAST_TRUST)
    np.testing.assert_allclose(how.weights[labels == 4], even + how.trust[labels == 4] * LEAST_LEFT / LEAST_TRUST)


def test_weights_do_not_depend_on_how_sure_the_model_is() -> None:
    """It is calibrated first, so that an overconfident one does not trust the labels it fits alone."""
    p, labels, _ = noisy()
    sharp = p**1.5 / (p**1.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(refit_weights(sharp, labels).weights, refit_weights(p, labels).weights, atol=0.1)


def test_a_class_of_suspects_alone_stays() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    stays = without_suspects(labels, np.array([True, False, True, True, False, False]))
    assert stays.tolist() == [False, True, True, True, True, True]
