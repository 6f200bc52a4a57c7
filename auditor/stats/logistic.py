"""Logistic regression on a few hundred verdicts: Newton steps, one penalty per coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit


def fit_logistic(X: np.ndarray, wrong: np.ndarray, weights: np.ndarray, C: float, penalty: np.ndarray) -> np.ndarray:
    """Minimise ``C sum_i w_i log(1 + exp(-t_i X_i b)) + sum_j penalty_j b_j^2 / 2``, t = +-1.

    Parameters
    ----------
    X : float64 array (B, d)
        With a column of ones for the intercept.
    wrong : bool array (B,)
    weights : float64 array (B,)
    C : float
        As in scikit-learn.
    penalty : float64 array (d,)
        A coefficient whose penalty is 0 must not separate the verdicts, or it grows without bound; give it a
        small one.

    Returns
    -------
    float64 array (d,)
    """
    target = wrong.astype(np.float64)
    w = C * weights

    def value(b: np.ndarray) -> float:
        margin = X @ b
        # log(1 + exp(m)) - target * m, without overflow
        return float((w * (np.logaddexp(0.0, margin) - target * margin)).sum() + 0.5 * penalty @ b**2)

    b = np.zeros(X.shape[1])
    current = value(b)
    for _ in range(100):
        p = expit(X @ b)
        gradient = X.T @ (w * (p - target)) + penalty * b
        # 1e-9 keeps the system solvable where all p are 0 or 1.
        hessian = (X * (w * p * (1 - p))[:, None]).T @ X + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while value(b - size * step) > current and size > 1e-8:
            size /= 2
        b = b - size * step
        previous, current = current, value(b)
        if previous - current <= 1e-10 * (1.0 + abs(current)):
            break
    return b


@dataclass(frozen=True)
class Platt:
    """``P(wrong) = sigmoid(slope * score + intercept)``."""

    slope: float
    intercept: float

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Probability that the label is wrong, float64."""
        return expit(self.slope * score + self.intercept)


def platt_scaling(score: np.ndarray, wrong: np.ndarray, weights: np.ndarray, C: float = 10.0) -> Platt:
    """Two-parameter calibration of a score by verdicts (L2 on the slope, C = 10).

    With verdicts of one kind only the slope is 0 and P is the share with one verdict of the other kind added.
    """
    hits, total = float(weights[wrong].sum()), float(weights.sum())
    if wrong.all() or not wrong.any():
        other = weights.mean()
        share = (hits + other / 2) / (total + other)
        return Platt(0.0, float(np.log(share / (1 - share))))
    X = np.column_stack([score, np.ones(len(score))])
    slope, intercept = fit_logistic(X, wrong, weights, C, np.array([1.0, 0.0]))
    return Platt(float(slope), float(intercept))


def log_loss(probability: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """``-log`` of the probability given to what was found, per verdict, in nats."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return -np.where(wrong, np.log(p), np.log1p(-p))
