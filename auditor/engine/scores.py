"""Scores of how trustworthy a given label is; low = suspicious. Formulas and types as cleanlab 2.9."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from auditor.engine.semantics import EPSILON


def margin_score(given: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Normalised margin ``((given - other) + 1) / 2`` in this order, type of the input."""
    score = given - other
    score += 1
    score /= 2
    return score


def entropy_score(rows: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Confidence-weighted entropy, float64 for every input type.

    Parameters
    ----------
    rows : float32 or float64 array (n, K), C-contiguous, values in [0, 1]
    given : array (n,)
        Probability of the given label.
    """
    # The entropy itself is summed in the input's type; dividing by a float64 scalar makes the rest float64.
    entropy = -np.sum(xlogy(rows, rows), axis=1) / np.log(rows.shape[1])
    weighted = entropy / np.clip(given, a_min=EPSILON, a_max=None)
    return np.log(weighted + 1) / np.clip(weighted, a_min=EPSILON, a_max=None)


def adjusted_rows(rows: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Probabilities shifted by the class thresholds and renormalised (``adjust_pred_probs``)."""
    shifted = rows - thresholds
    shifted += thresholds.max()
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted
