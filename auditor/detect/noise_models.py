"""Which noise model explains the given labels: none, one rate for all pairs of classes, or a rate per pair?

Three predictions of the given label from out-of-sample probabilities p, compared by held-out log-likelihood:

- *plain*: p itself. Right when labels go wrong where the network is unsure (human noise on hard items).
- *symmetric*: sharpened p, and a label that turns into any other class with one probability.
- *pairs*: sharpened p, and a probability for every pair of classes (`em_posterior.fit_noise`).

Only the given labels are used. The comparison is Vuong's (1989, Econometrica 57): z = sqrt(n) mean(d) / sd(d) of the
items' differences d in log-likelihood. The models are fitted on other folds than those they are compared on, which
takes the place of his correction for the number of parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

from auditor.core.seeds import derive_seed
from auditor.detect.em_posterior import fit_noise, sharpened
from auditor.detect.margins import given_probability, row_blocks

FOLDS = 5
#: Steps for the one rate of the symmetric model; it converges in far fewer.
STEPS = 60
#: Probability below which no model's prediction is told apart from 0.
SMALLEST = 1e-12
#: Exponents of a pool; above the largest, probabilities would become decisions.
LARGEST_EXPONENT = 3.0


@dataclass(frozen=True)
class Gain:
    """How much better one model predicts an item's given label than another: mean log-likelihood ratio in nats.

    Attributes
    ----------
    nats, error : float
        The mean, and its standard error.
    """

    nats: float
    error: float

    @property
    def sureness(self) -> float:
        """Probability that the gain is above 0, by the normal distribution; one half where the models agree."""
        return float(norm.cdf(self.nats / self.error)) if self.error > 0 else 0.5


@dataclass(frozen=True)
class NoiseEvidence:
    """Result of `compare_noise_models`: what pairs of classes gain, on items that no model was fitted on.

    Attributes
    ----------
    over_pool, over_one_rate : Gain
        Over the probabilities as they are, and over one rate for all pairs.
    """

    over_pool: Gain
    over_one_rate: Gain


def compare_noise_models(p: np.ndarray, labels: np.ndarray, ids: np.ndarray, beta: float) -> NoiseEvidence:
    """Compare the three models on held-out folds.

    Parameters
    ----------
    p : float64 array (n, K)
        Calibrated out-of-sample probabilities.
    labels : int array (n,)
    ids : array (n,)
        Draw the folds.
    beta : float
        Sharpening of the two noise models.
    """
    prior = sharpened(p, beta)
    given = given_probability(prior, labels)
    fold = np.array([derive_seed(0, "noise-model-fold", str(i)) % FOLDS for i in ids])
    pairs, symmetric = np.empty(len(labels)), np.empty(len(labels))
    for number in range(FOLDS):
        held, kept = fold == number, fold != number
        if not held.any() or not kept.any():  # fewer items than folds
            return NoiseEvidence(Gain(0.0, 0.0), Gain(0.0, 0.0))
        noise = fit_noise(prior[kept], labels[kept])[0]
        pairs[held] = (prior[held] * noise.of(labels[held])).sum(axis=1)
        rate = _one_rate(given[kept], p.shape[1])
        symmetric[held] = given[held] * (1 - rate) + (1 - given[held]) * rate / (p.shape[1] - 1)
    return NoiseEvidence(_gain(pairs, given_probability(p, labels)), _gain(pairs, symmetric))


def _one_rate(given: np.ndarray, n_classes: int) -> float:
    """Most likely probability of a label to be another class than the true one, by EM."""
    rate = 0.2
    for _ in range(STEPS):
        right, wrong = given * (1 - rate), (1 - given) * rate / (n_classes - 1)
        rate = float((wrong / np.maximum(right + wrong, SMALLEST)).mean())
    return rate


def _gain(first: np.ndarray, second: np.ndarray) -> Gain:
    difference = np.log(first + SMALLEST) - np.log(second + SMALLEST)
    return Gain(float(difference.mean()), float(difference.std() / np.sqrt(len(difference))))


def log_pool(parts: list[np.ndarray], floors: list[float], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic opinion pool: ``prod_m (p_m + floor_m) ** a_m``, rows renormalised (Genest and Zidek 1986).

    The exponents a >= 0 minimise the log-loss on the given labels, a convex problem. One part: temperature scaling.
    Several: evidence adds up where the parts err independently, as networks and neighbours do; parts that say the
    same share an exponent. A convex mixture instead says that one of the parts is right.

    Parameters
    ----------
    parts : list of float64 arrays (n, K)
        **Out-of-sample** probabilities.
    floors : list of float
        Added to the entries of each part before the logarithm.
    labels : int array (n,)

    Returns
    -------
    probabilities : float64 array (n, K)
    exponents : float64 array (parts,)
    """
    exponents = pool_exponents(parts, floors, labels)
    return apply_exponents(parts, floors, exponents), exponents


def pool_exponents(parts: Sequence[np.ndarray], floors: Sequence[float], labels: np.ndarray) -> np.ndarray:
    """The exponents of `log_pool` alone, float64 (parts,)."""
    logs = [np.log(p + floor) for p, floor in zip(parts, floors, strict=True)]
    rows = np.arange(len(labels))
    at_given = np.array([log[rows, labels].mean() for log in logs])

    def loss(exponents: np.ndarray) -> tuple[float, np.ndarray]:
        norms, slopes = np.empty((len(labels), 1)), np.empty((len(logs), len(labels)))
        for block in row_blocks(logs[0]):
            q, norms[block] = _pooled([log[block] for log in logs], exponents)
            for slope, log in zip(slopes, logs, strict=True):
                slope[block] = (q * log[block]).sum(axis=1)
        slope = np.array([row.mean() for row in slopes]) - at_given
        return float(norms.mean() - exponents @ at_given), slope

    start = np.full(len(parts), 1.0 / len(parts))
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, LARGEST_EXPONENT)] * len(parts))
    if not fit.x.any():  # labels that nothing predicts: keep the first part rather than a uniform guess
        fit.x[0] = 0.05
    return np.asarray(fit.x)


def apply_exponents(parts: Sequence[np.ndarray], floors: Sequence[float], exponents: np.ndarray) -> np.ndarray:
    """The probabilities of `log_pool` for exponents that are known, float64 (n, K)."""
    out = np.empty(parts[0].shape)
    for block in row_blocks(out):
        logs = [np.log(p[block].astype(np.float64) + floor) for p, floor in zip(parts, floors, strict=True)]
        out[block] = _pooled(logs, exponents)[0]
    return out


def _pooled(logs: Sequence[np.ndarray], exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (rows, K) and the logarithms (rows, 1) of what they were divided by."""
    total = np.zeros_like(logs[0])
    for exponent, log in zip(exponents, logs, strict=True):
        total += exponent * log
    norms = logsumexp(total, axis=1, keepdims=True)
    return np.exp(total - norms), norms
