"""Posterior that the given label is right, under class-conditional label noise fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import logsumexp

from auditor.detect.base import Detection, Evidence
from auditor.detect.margins import best_other, given_probability, row_blocks
from auditor.detect.noise_matrix import NoiseMatrix, add_rows
from auditor.engine.semantics import MATRIX_CLASSES

ITERATIONS = 30
#: Sharpening exponents among which the likelihood chooses.
BETAS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, eq=False)
class EMFit:
    """Result of `fit_em`.

    Attributes
    ----------
    posterior : float64 array (n, K)
        q[i, k] = P(true class k | x_i, given label).
    noise : NoiseMatrix
    log_likelihood : float
        Mean over items of log sum_k P(k | x_i) T[k, y_i].
    count : float
        Expected number of wrong labels. **A lower bound only** on human noise, whose errors the network
        partly learns; right under class-conditional noise.
    beta : float
    """

    posterior: np.ndarray
    noise: NoiseMatrix
    log_likelihood: float
    count: float
    beta: float

    @property
    def transition(self) -> np.ndarray:
        """T[k, l] = P(given l | true k), float64 (K, K); rows sum to 1."""
        return self.noise.toarray()


def fit_em(p: np.ndarray, labels: np.ndarray, beta: float = 2.0) -> EMFit:
    """Fit the noise matrix and the posterior by 30 EM steps.

    Parameters
    ----------
    p : float64 array (n, K)
        Out-of-sample probabilities, rows sum to 1.
    labels : int array (n,)
    beta : float
        Sharpening: P(k | x) is taken proportional to ``(p + 1e-6) ** beta``.

    Returns
    -------
    EMFit
    """
    prior = sharpened(p, beta)
    noise, posterior = fit_noise(prior, labels)
    predicted = np.empty(len(labels))
    for rows in row_blocks(p):
        predicted[rows] = (prior[rows] * noise.of(labels[rows])).sum(axis=1)
    count = float((1.0 - given_probability(posterior, labels)).sum())
    return EMFit(posterior, noise, float(np.log(predicted).mean()), count, beta)


def sharpened(p: np.ndarray, beta: float) -> np.ndarray:
    """``(p + 1e-6) ** beta``, rows renormalised; float64 (n, K)."""
    out = np.empty(p.shape)
    for rows in row_blocks(p):
        log_p = beta * np.log(p[rows] + 1e-6)
        out[rows] = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    return out


def fit_noise(prior: np.ndarray, labels: np.ndarray) -> tuple[NoiseMatrix, np.ndarray]:
    """The noise matrix, and the posterior of the last step, float64 (n, K), from P(true class) of every item."""
    n_classes = prior.shape[1]
    classes, codes = np.unique(labels, return_inverse=True)
    absent = n_classes - len(classes)
    seen = np.full((len(classes), n_classes), 0.3 / (n_classes - 1))
    seen[np.arange(len(classes)), classes] = 0.7
    posterior = np.empty_like(prior)
    for _ in range(ITERATIONS):
        sums = np.zeros_like(seen)
        for rows in row_blocks(prior):
            block = posterior[rows]
            np.take(seen, codes[rows], axis=0, out=block, mode="clip")  # "raise" would take a second buffer
            block += 1e-9
            block *= prior[rows]
            block /= block.sum(axis=1, keepdims=True)
            add_rows(block, codes[rows], sums)
        sums += 1.0  # keeps a class without items defined
        totals = sums.sum(axis=0) + absent
        seen = sums / totals
    return NoiseMatrix(classes, seen, 1.0 / totals), posterior


def likelihood_fit(p: np.ndarray, labels: np.ndarray) -> EMFit:
    """The fit whose sharpening exponent, of `BETAS`, has the largest likelihood; the smallest among equals."""
    fits = (fit_em(p, labels, beta) for beta in BETAS)
    return max(fits, key=lambda fitted: fitted.log_likelihood)


@dataclass(frozen=True)
class EMPosterior:
    """``-log(q(y) + 1e-12)``; flags where q(y) < 0.5 and another class is ahead.

    The best ranking of a single network on human noise. Its flags and its count hold for class-conditional
    noise; on human noise both are far too low.

    Parameters
    ----------
    beta : float or "likelihood"
        2 ranked better than the exponent the likelihood chooses, on every network measured.
    """

    beta: float | Literal["likelihood"] = 2.0
    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection:
        p, labels = evidence.mean_probabilities, evidence.labels
        fit = likelihood_fit(p, labels) if self.beta == "likelihood" else fit_em(p, labels, self.beta)
        given = given_probability(fit.posterior, labels)
        other, value = best_other(fit.posterior, labels)
        meta = {
            "beta": fit.beta,
            "log_likelihood": fit.log_likelihood,
            "count_lower_bound": fit.count,
            "transition": fit.transition.tolist() if evidence.n_classes <= MATRIX_CLASSES else None,
            "note": "count is a lower bound; flags hold for class-conditional noise only",
        }
        suggested = np.where((given < 0.5) | (value > given), other, labels)
        return Detection(-np.log(given + 1e-12), given < 0.5, suggested, meta)
