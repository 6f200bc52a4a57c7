"""What stays and what counts once labels are suspect."""

from __future__ import annotations

import numpy as np

from auditor.detect.cleaning import trust_in_labels, without_suspects


def test_wrong_labels_are_trusted_less() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    wrong = rng.random(600) < 0.1
    labels = np.where(wrong, (truth + 1) % 3, truth)
    logits = rng.normal(0, 1, (600, 3))
    logits[np.arange(600), truth] += 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    trust = trust_in_labels(p, labels)
    assert trust.shape == (600,)
    assert trust.min() >= 0
    assert trust.max() <= 1
    assert trust[~wrong].mean() > 0.95
    assert trust[wrong].mean() < 0.2


def test_a_class_of_suspects_alone_stays() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    stays = without_suspects(labels, np.array([True, False, True, True, False, False]))
    assert stays.tolist() == [False, True, True, True, True, True]
