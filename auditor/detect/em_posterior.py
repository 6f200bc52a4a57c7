"""Posterior that the given label is right, under class-conditional label noise fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.special import logsumexp

from auditor.detect.base import Detection, Evidence
from auditor.detect.margins import best_other, given_probability

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
    transition : float64 array (K, K)
        T[k, l] = P(given l | true k); rows sum to 1.
    log_likelihood : float
        Mean over items of log sum_k P(k | x_i) T[k, y_i].
    count : float
        Expected number of wrong labels. **A lower bound only** on human noise, whose errors the network
        partly learns; right under class-conditional noise.
    beta : float
    """

    posterior: np.ndarray
    transition: np.ndarray
    log_likelihood: float
    count: float
    beta: float


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
    n, K = p.shape
    log_p = beta * np.log(p + 1e-6)
    log_p -= logsumexp(log_p, axis=1, keepdims=True)
    prior = np.exp(log_p)
    by_label = csr_array((np.ones(n), (labels, np.arange(n))), shape=(K, n))
    transition = np.full((K, K), 0.3 / (K - 1))
    np.fill_diagonal(transition, 0.7)
    for _ in range(ITERATIONS):
        posterior = prior * (transition[:, labels].T + 1e-9)
        posterior /= posterior.sum(axis=1, keepdims=True)
        counts = (by_label @ posterior).T + 1.0  # [true, given]; +1 keeps a class without items defined
        transition = counts / counts.sum(axis=1, keepdims=True)
    likelihood = float(np.log((prior * transition[:, labels].T).sum(axis=1)).mean())
    count = float((1.0 - given_probability(posterior, labels)).sum())
    return EMFit(posterior, transition, likelihood, count, beta)


def likelihood_fit(p: np.ndarray, labels: np.ndarray, least: float = BETAS[0]) -> EMFit:
    """The fit whose sharpening exponent, of `BETAS` from `least` on, has the largest likelihood; the smallest among
    equals."""
    fits = (fit_em(p, labels, beta) for beta in BETAS if beta >= least)
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
            "transition": fit.transition.tolist(),
            "note": "count is a lower bound; flags hold for class-conditional noise only",
        }
        suggested = np.where((given < 0.5) | (value > given), other, labels)
        return Detection(-np.log(given + 1e-12), given < 0.5, suggested, meta)
