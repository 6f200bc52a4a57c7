"""P(label wrong) per item, calibrated on verdicts, and how well it is calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit

from auditor.core.errors import DataError
from auditor.stats.intervals import wilson
from auditor.stats.logistic import platt_scaling

#: Verdicts from which the shape is learned (isotonic) instead of two numbers (Platt).
ISOTONIC_FROM = 500
_FOLDS = 5


@dataclass(frozen=True)
class ReliabilityBin:
    """Items with similar P: their mean P and the share found wrong, with a Wilson interval."""

    n: int
    predicted: float
    observed: float
    low: float
    high: float


def calibrated_probability(
    score: np.ndarray, reviewed_score: np.ndarray, wrong: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """P(label wrong) for every score: Platt scaling below 500 verdicts, isotonic regression from there on.

    Parameters
    ----------
    score : float64 array (n,)
    reviewed_score, wrong, weights : arrays (B,)
        Verdicts with their inverse-probability weights.
    """
    wrong = np.asarray(wrong, bool)
    if not len(wrong) == len(reviewed_score) == len(weights) or len(wrong) == 0:
        raise DataError(f"{len(reviewed_score)} scores, {len(wrong)} outcomes and {len(weights)} weights.")
    if len(wrong) < ISOTONIC_FROM or wrong.all() or not wrong.any():
        return platt_scaling(reviewed_score, wrong, weights)(np.asarray(score, np.float64))
    # Equal scores are one point, or the fit would depend on their order.
    points, place = np.unique(np.asarray(reviewed_score, np.float64), return_inverse=True)
    mass = np.bincount(place, weights)
    share = np.bincount(place, np.asarray(weights) * wrong) / mass
    return np.interp(score, points, isotonic_regression(share, weights=mass).x)


def cross_fitted(score: np.ndarray, wrong: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """P of each reviewed item from a calibration that did not see it (5 folds); for checks only."""
    fold = rng.permutation(len(score)) % _FOLDS
    out = np.empty(len(score))
    for f in range(_FOLDS):
        here, there = fold == f, fold != f
        if here.any() and there.any():
            out[here] = calibrated_probability(score[here], score[there], wrong[there], weights[there])
        elif here.any():
            out[here] = np.average(wrong, weights=weights)
    return out


def match_total(probability: np.ndarray, total: float) -> np.ndarray:
    """Shift all log-odds by one number so that the probabilities add up to `total`."""
    n = len(probability)
    if not 0 < total < n:
        return np.full(n, 0.0 if total <= 0 else 1.0)
    odds = logit(np.clip(probability, 1e-9, 1 - 1e-9))
    shift = brentq(lambda c: float(expit(odds + c).sum()) - total, -60.0, 60.0)
    return expit(odds + shift)


def brier_score(probability: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean squared distance of P from what was found."""
    return float(np.average((probability - wrong) ** 2, weights=weights))


def reliability(
    probability: np.ndarray, wrong: np.ndarray, bins: int = 10, level: float = 0.95
) -> list[ReliabilityBin]:
    """Reliability in bins of equal numbers of items; at most `bins`, none empty."""
    order = np.argsort(probability, kind="stable")
    out = []
    for part in np.array_split(order, max(1, min(bins, len(order)))):
        if len(part):
            hits = int(np.asarray(wrong)[part].sum())
            share = wilson(hits, len(part), level)
            out.append(ReliabilityBin(len(part), float(probability[part].mean()), share.value, share.low, share.high))
    return out
