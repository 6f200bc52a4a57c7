"""How much each network counts: weights fitted to the noisy labels, without any truth."""

from __future__ import annotations

import numpy as np

#: Added to the probability of the given label before its logarithm is taken, so that one confident error of
#: one network cannot decide the weights.
LOSS_FLOOR = 1e-6


def convex_weights(given: np.ndarray) -> np.ndarray:
    """Weights of a convex mixture of networks that fits the given labels best.

    Minimises ``-mean_i log(sum_m w_m p_m,i(y_i) + 1e-6)`` over w >= 0, sum w = 1 (softmax parametrisation,
    BFGS from the uniform start). The loss is convex in w, so the start decides nothing but ties: identical
    networks share their weight equally.

    Parameters
    ----------
    given : float64 array (n, networks)
        **Out-of-sample** probability of each item's given label by each network; in-sample ones would reward
        memorising.

    Returns
    -------
    float64 array (networks,)
        Non-negative, sums to 1.
    """
    networks = given.shape[1]
    if networks == 1:
        return np.ones(1)
    from scipy.optimize import minimize  # a quarter of a second
    from scipy.special import softmax

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w = softmax(theta)
        mixed = given @ w + LOSS_FLOOR
        slope = -(given / mixed[:, None]).mean(axis=0)  # d loss / d w
        return float(-np.log(mixed).mean()), w * (slope - slope @ w)

    # 1e-7 and not BFGS's default 1e-5: the surface is flat along weights that go to zero.
    fit = minimize(loss, np.zeros(networks), jac=True, method="BFGS", options={"gtol": 1e-7})
    weights = softmax(fit.x)
    weights[weights < 1e-6] = 0.0
    return weights / weights.sum()
