"""The flag rule of larger data: probabilities measured against what is usual for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence
from auditor.detect.margins import given_probability, log_odds_margin, preferred_class

#: No class counts as less confident than half of the most confident one. Without the bound a class the
#: network never learned (level near its share of the data) would win nearly everywhere and flag most of the
#: data; with it, a given label is never overturned by a class that has less than half of its probability.
LOWEST_LEVEL = 0.5


def class_levels(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Usual probability of each class among the items that carry its label.

    ``t_k = mean of p[j, k] over {j: y_j = k}``, raised to half of the largest t; 1 (no boost) for a class
    without items, about which nothing is known.

    Parameters
    ----------
    p : float64 array (n, K)
    labels : int array (n,)

    Returns
    -------
    float64 array (K,)
    """
    return levels_from_given(given_probability(p, labels), labels, p.shape[1])


def levels_from_given(given: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """`class_levels` from the items' probabilities of their given labels alone, float64 (n,)."""
    counts = np.bincount(labels, minlength=n_classes)
    sums = np.bincount(labels, weights=given, minlength=n_classes)
    levels = sums / np.maximum(counts, 1)
    raised = np.maximum(levels, LOWEST_LEVEL * max(float(levels.max()), np.finfo(np.float64).tiny))
    return np.where(counts > 0, raised, 1.0)


def adjusted_probabilities(p: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """``p / t``, rows renormalised; float64 (n, K)."""
    ratio = p / levels
    ratio /= ratio.sum(axis=1, keepdims=True)
    return ratio


@dataclass(frozen=True)
class ClassAdjusted:
    """Log-odds margin on ``p_k / t_k``; flags where another class wins. The flags of data too large
    for `combined`, and of `verdict` while there are few verdicts.

    It neither counts (confident learning's count misses a third and more of human label errors) nor ignores
    that some classes are harder than others (plain argmax does).
    """

    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection:
        labels = evidence.labels
        levels = class_levels(evidence.mean_probabilities, labels)
        adjusted = adjusted_probabilities(evidence.mean_probabilities, levels)
        suggested, flagged = preferred_class(adjusted, labels)
        return Detection(log_odds_margin(adjusted, labels), flagged, suggested, {"class_levels": levels.tolist()})
