"""`knn_shapley` beside cleanlab's `data_shapley_knn`, which leaves out every rank behind the k nearest."""

from __future__ import annotations

import numpy as np
from cleanlab.data_valuation import data_shapley_knn

from auditor.detect.knn_shapley import truncated_shapley
from auditor.detect.neighbours import nearest


def test_values_of_the_nearest_are_those_of_cleanlab_but_for_the_last_rank() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    labels = np.where(rng.random(600) < 0.1, (truth + 1) % 3, truth)
    X = (np.eye(5)[truth] * 2 + rng.normal(size=(600, 5)) * 0.5).astype(np.float32)
    theirs = 2 * data_shapley_knn(labels, features=X, k=10) - 1
    positions, _ = nearest(X, 10)
    # cleanlab gives the k-th nearest nothing, whatever its label; the theorem gives all k a k-th of its vote.
    last = np.zeros(600)
    np.add.at(last, positions.ravel(), np.repeat(labels[positions[:, -1]] == labels, 10) / 10)
    ours = truncated_shapley(positions, labels, 10) * 599 / 600 - last / 600
    assert (np.abs(ours - theirs) < 1e-9).mean() > 0.97  # neighbours of equal distance may change places
