"""How much each network counts: weights fitted to the noisy labels, without any truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from auditor.core.errors import ProbabilityError

#: Added to the probability of the given label before its logarithm is taken, so that one confident error of
#: one network cannot decide the weights.
LOSS_FLOOR = 1e-6


def _given(probabilities: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """P(given label) per item and network, float64 (n, networks)."""
    rows = np.arange(len(labels))
    columns = []
    for p in probabilities:
        if p.ndim != 2 or len(p) != len(labels):
            raise ProbabilityError(
                f"probabilities of shape {p.shape} for {len(labels)} labels.",
                "Give one (items, classes) array per network, all with the same items.",
            )
        columns.append(np.asarray(p[rows, labels], dtype=np.float64))
    if not columns:
        raise ProbabilityError("no probabilities to weight.", "Give at least one (items, classes) array.")
    return np.stack(columns, axis=1)


def convex_weights(probabilities: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Weights of a convex mixture of networks that fits the given labels best.

    Minimises ``-mean_i log(sum_m w_m p_m,i(y_i) + 1e-6)`` over w >= 0, sum w = 1 (softmax parametrisation,
    BFGS from the uniform start). The loss is convex in w, so the start decides nothing but ties: identical
    networks share their weight equally.

    Parameters
    ----------
    probabilities : sequence of arrays (n, K)
        **Out-of-sample** probabilities, one per network; in-sample ones would reward memorising.
    labels : int array (n,)
        Given labels.

    Returns
    -------
    float64 array (networks,)
        Non-negative, sums to 1.

    Raises
    ------
    ProbabilityError
        No network, or a shape that does not fit the labels.
    """
    return weights_of_given(_given(probabilities, labels))


def weights_of_given(given: np.ndarray) -> np.ndarray:
    """`convex_weights` from the probabilities of the given labels alone, float64 (n, networks)."""
    networks = given.shape[1]
    if networks == 1:
        return np.ones(1)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w = _softmax(theta)
        mixed = given @ w + LOSS_FLOOR
        slope = -(given / mixed[:, None]).mean(axis=0)  # d loss / d w
        return float(-np.log(mixed).mean()), w * (slope - slope @ w)

    # 1e-7 and not BFGS's default 1e-5: the surface is flat along weights that go to zero.
    found = minimize(loss, np.zeros(networks), jac=True, method="BFGS", options={"gtol": 1e-7})
    weights = _softmax(found.x)
    weights[weights < 1e-6] = 0.0
    return weights / weights.sum()


def _softmax(theta: np.ndarray) -> np.ndarray:
    shifted = np.exp(theta - theta.max())
    return shifted / shifted.sum()
