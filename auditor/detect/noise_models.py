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
class NoiseEvidence:
    """Result of `compare_noise_models`.

    Attributes
    ----------
    against_plain, against_symmetric : float
        z of the pair model against the other; positive where it predicts the given labels better.
    gain : float
        Mean log-likelihood of an item's label under the pair model, less that under the symmetric one, in nats.
    """

    against_plain: float
    against_symmetric: float
    gain: float

    @property
    def pair_weight(self) -> float:
        """How far class pairs should count, in [0, 3/4].

        0 where one rate predicts as well as a matrix: what the matrix holds then is the network's own confusions.
        One half where pairs matter but the plain prediction is better (both hypotheses stand), and three quarters
        where pairs predict better than either. Not 1: however likely, a matrix may hold confusions beside noise.
        """
        return float(norm.cdf(self.against_symmetric) * (2 + norm.cdf(self.against_plain)) / 4)


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
            return NoiseEvidence(0.0, 0.0, 0.0)
        noise = fit_noise(prior[kept], labels[kept])[0]
        pairs[held] = (prior[held] * noise.of(labels[held])).sum(axis=1)
        rate = _one_rate(given[kept], p.shape[1])
        symmetric[held] = given[held] * (1 - rate) + (1 - given[held]) * rate / (p.shape[1] - 1)
    plain = given_probability(p, labels)
    gain = float((np.log(pairs + SMALLEST) - np.log(symmetric + SMALLEST)).mean())
    return NoiseEvidence(_z(pairs, plain), _z(pairs, symmetric), gain)


def _one_rate(given: np.ndarray, n_classes: int) -> float:
    """Most likely probability of a label to be another class than the true one, by EM."""
    rate = 0.2
    for _ in range(STEPS):
        right, wrong = given * (1 - rate), (1 - given) * rate / (n_classes - 1)
        rate = float((wrong / np.maximum(right + wrong, SMALLEST)).mean())
    return rate


def _z(first: np.ndarray, second: np.ndarray) -> float:
    difference = np.log(first + SMALLEST) - np.log(second + SMALLEST)
    spread = float(difference.std())
    return float(np.sqrt(len(difference)) * difference.mean() / spread) if spread > 0 else 0.0


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
