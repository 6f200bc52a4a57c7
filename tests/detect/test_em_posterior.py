"""EM on simulated class-conditional noise."""

from __future__ import annotations

import numpy as np

from auditor.detect.em_posterior import fit_em
from auditor.detect.margins import given_probability


def test_recovers_the_noise_matrix_and_the_count() -> None:
    rng = np.random.default_rng(0)
    n, K = 20_000, 4
    T = np.array([[0.8, 0.2, 0, 0], [0, 0.9, 0.05, 0.05], [0.1, 0.1, 0.7, 0.1], [0, 0, 0.3, 0.7]])
    # Calibrated probabilities: the truth is drawn from them.
    p = rng.dirichlet(np.full(K, 0.05), n)
    truth = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    labels = (T[truth].cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    fit = fit_em(p, labels, beta=1.0)
    assert np.abs(fit.transition - T).max() < 0.03
    assert abs(fit.count / (labels != truth).sum() - 1) < 0.05
    assert np.allclose(fit.posterior.sum(axis=1), 1)
    # The posterior is calibrated: items given half a chance are right half the time.
    q = given_probability(fit.posterior, labels)
    middle = (q > 0.3) & (q < 0.7)
    assert abs(q[middle].mean() - (labels == truth)[middle].mean()) < 0.05
