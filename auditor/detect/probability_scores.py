"""Scores read off one array of out-of-sample probabilities, item by item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from auditor.detect.base import Detection, Evidence
from auditor.detect.margins import LOG_FLOOR, best_other, given_probability, log_odds_margin, preferred_class


@dataclass(frozen=True)
class _Score(ABC):
    """Ranks by `score`, suggests the most probable class, and flags, if `flags`, where that is ahead of the label."""

    needs: ClassVar[tuple[str, ...]] = ("probabilities",)
    flags: ClassVar[bool] = False

    @abstractmethod
    def score(self, evidence: Evidence) -> np.ndarray:
        """float64 (n,), higher is more suspicious."""

    def detect(self, evidence: Evidence) -> Detection:
        preferred, ahead = preferred_class(evidence.mean_probabilities, evidence.labels)
        meta = {"network_weights": evidence.network_weights} if len(evidence.network_weights) > 1 else {}
        return Detection(self.score(evidence), ahead if self.flags else None, preferred, meta)


class LogOddsMargin(_Score):
    """``max_{k != y} log(p_k + 1e-4) - log(p_y + 1e-4)``; flags where argmax p != y. The base score.

    It does not saturate near p = 1 as the plain margin does, and had the best average precision of the simple
    scores on every network measured.
    """

    flags = True

    def score(self, evidence: Evidence) -> np.ndarray:
        return log_odds_margin(evidence.mean_probabilities, evidence.labels)


class SelfConfidence(_Score):
    """``-log(p_y + 1e-4)``: the given class is bad, whatever the others are. Ranks only."""

    def score(self, evidence: Evidence) -> np.ndarray:
        given = given_probability(evidence.mean_probabilities, evidence.labels)
        return -np.log(given + LOG_FLOOR)


class NormalizedMargin(_Score):
    """``max_{k != y} p_k - p_y``; flags where positive. Saturates near p = 1."""

    flags = True

    def score(self, evidence: Evidence) -> np.ndarray:
        p, labels = evidence.mean_probabilities, evidence.labels
        return best_other(p, labels)[1] - given_probability(p, labels)


class ConfidenceWeightedEntropy(_Score):
    """``(H(p) / log K) / p_y``, with p_y not below 1e-6. A baseline; ranks only."""

    def score(self, evidence: Evidence) -> np.ndarray:
        p = evidence.mean_probabilities
        given = given_probability(p, evidence.labels)
        # The floor keeps the ratio finite where the given class got probability 0 (cleanlab's is the same).
        return _entropy(p) / np.log(evidence.n_classes) / np.maximum(given, 1e-6)


class Entropy(_Score):
    """``H(p)`` in nats: how undecided the network is. Does not look at the given label; ranks only."""

    def score(self, evidence: Evidence) -> np.ndarray:
        return _entropy(evidence.mean_probabilities)


def _entropy(p: np.ndarray) -> np.ndarray:
    return -xlogy(p, p).sum(axis=1)
