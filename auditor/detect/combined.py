"""All label-free evidence in one ranking. Every part earns its weight without any truth.

Why this form (figures in docs/detectors.md): no single assumption about the noise holds everywhere. The margin
knows nothing of the noise, EM assumes that it depends on the class only, and the in-sample margin (AUM) that
wrong labels are learned late. Each is best somewhere and poor elsewhere; their sum was never far below the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from auditor.detect.base import Detection, Evidence
from auditor.detect.class_adjusted import ClassAdjusted
from auditor.detect.dynamics_scores import Aum
from auditor.detect.em_posterior import fit_em
from auditor.detect.ensemble import convex_weights, weighted_mean
from auditor.detect.knn import neighbour_posterior
from auditor.detect.margins import LOG_FLOOR, log_odds_margin
from auditor.detect.neighbours import nearest

__all__ = ["Combined", "calibrated"]

#: Added to shares among neighbours before the logarithm; their grain is 1 / neighbours, not 1e-4.
SHARE_FLOOR = 1e-3
#: Sharpening of the calibrated mixture for EM. Calibration has removed most of the over-confidence that makes
#: 2 the better exponent on raw probabilities; the likelihood chose 1.5 most often.
BETA = 1.5


def calibrated(p: np.ndarray, labels: np.ndarray, floor: float) -> tuple[np.ndarray, float]:
    """Temperature scaling against the given labels: ``(p + floor) ** b``, rows renormalised.

    Mixture weights fitted to over-confident parts reward whatever softens them. With vote shares of neighbours
    added to raw probabilities the log-loss improved on five of five networks while the ranking got worse.

    Returns
    -------
    probabilities : float64 array (n, K)
    exponent : float
        In [0.05, 3]; below 1 softens.
    """
    log_p = np.log(p + floor)
    rows = np.arange(len(labels))

    def loss(b: float) -> float:
        scaled = b * log_p
        return float(-(scaled[rows, labels] - logsumexp(scaled, axis=1)).mean())

    b = float(minimize_scalar(loss, bounds=(0.05, 3.0), method="bounded").x)
    scaled = b * log_p
    return np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True)), b


@dataclass(frozen=True)
class Combined:
    """Margin and EM on the calibrated mixture of networks and neighbours, plus AUM as far as it agrees.

    1. Networks are weighted (`convex_weights`). With embeddings, the neighbours' posterior becomes one more
       member: both are temperature-scaled and weighted by their out-of-sample log-loss on the given labels, so
       that neighbours which predict the labels no better than the networks get weight 0.
    2. ``b = m(mixture) + m(EM posterior of the mixture)``, both log-odds margins with floor 1e-4.
    3. With dynamics: ``z(b) + r^2 z(-AUM)``, r the correlation of the two (0 where negative). In-sample margins
       of a network that memorised everything are unrelated to what held-out predictions say, and vanish.

    Flags are those of `class_adjusted`.

    Parameters
    ----------
    neighbours : int
    """

    neighbours: int = 50
    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection:
        labels = evidence.labels
        mixture, meta = self._mixture(evidence)
        em = fit_em(mixture, labels, BETA)
        score = log_odds_margin(mixture, labels) + log_odds_margin(em.posterior, labels)
        parts = ["log_odds_margin", "em_posterior"]
        found = Aum().detect(evidence) if evidence.dynamics is not None else None
        if isinstance(found, Detection) and found.score.std() > 0 and score.std() > 0:
            agreement = max(0.0, float(np.corrcoef(score, found.score)[0, 1]))
            score = _z(score) + agreement**2 * _z(found.score)
            meta |= {"aum_weight": agreement**2}
            parts.append("aum")
        flags = ClassAdjusted().detect(evidence)
        if evidence.embeddings is not None:
            parts.append("knn_posterior")
        return Detection(score, flags.flagged, flags.suggested, {"parts": parts, **meta})

    def _mixture(self, evidence: Evidence) -> tuple[np.ndarray, dict[str, Any]]:
        labels = evidence.labels
        p, exponent = calibrated(evidence.mean_probabilities, labels, LOG_FLOOR)
        meta: dict[str, Any] = {"exponent": exponent}
        if len(evidence.network_probabilities) > 1:
            meta["network_weights"] = evidence.network_weights
        if evidence.embeddings is None:
            return p, meta
        positions, cosines = nearest(
            evidence.embeddings, self.neighbours, evidence.embedding_folds, evidence.duplicate_groups
        )
        share = neighbour_posterior(positions, cosines, labels, evidence.n_classes)
        neighbours, exponent = calibrated(share, labels, SHARE_FLOOR)
        weights = convex_weights([p, neighbours], labels)
        meta |= {"knn_weight": float(weights[1]), "knn_exponent": exponent}
        return weighted_mean([p, neighbours], weights), meta


def _z(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()
