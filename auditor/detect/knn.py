"""Detectors from neighbours: do the items that look alike carry the same label?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.core.errors import ConfigError
from auditor.detect.base import Detection, Evidence
from auditor.detect.margins import given_probability, log_odds_margin, preferred_class


def neighbour_posterior(
    positions: np.ndarray,
    cosines: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    temperature: float | None = 0.1,
    passes: int = 2,
) -> np.ndarray:
    """Weighted share of each class among an item's neighbours.

    ``H_i(k) = sum_j w_ij r_j 1[y_j = k] / sum_j w_ij r_j`` with ``w_ij = exp((cos_ij - 1) / temperature)``.
    The first pass trusts every neighbour (r = 1); a later pass trusts each as far as its own neighbours agree
    with it, ``r_j = H_j(y_j)``.

    Parameters
    ----------
    positions, cosines : arrays (n, k)
        From `nearest`; -1 marks a missing neighbour.
    labels : int array (n,)
    n_classes : int
    temperature : float or None
        None: all neighbours weigh the same.
    passes : int

    Returns
    -------
    float64 array (n, K)
        Rows sum to 1; uniform for an item without neighbours.
    """
    n, k = positions.shape
    weight = np.ones((n, k)) if temperature is None else np.exp((cosines.astype(np.float64) - 1.0) / temperature)
    weight[positions < 0] = 0.0
    trust = np.ones(n)
    cell = np.arange(n)[:, None] * n_classes + labels[positions]
    for _ in range(passes):
        mass = weight * trust[positions]
        share = np.bincount(cell.ravel(), weights=mass.ravel(), minlength=n * n_classes)
        share = share.reshape(n, n_classes)
        total = share.sum(axis=1, keepdims=True)
        share = np.divide(share, total, out=np.full_like(share, 1.0 / n_classes), where=total > 0)
        trust = given_probability(share, labels)
    return share


def _detect(evidence: Evidence, neighbours: int, temperature: float | None, passes: int, floor: float) -> Detection:
    if neighbours < 1 or floor <= 0 or (temperature is not None and temperature <= 0):
        raise ConfigError("neighbours, floor and temperature must be positive.")
    labels = evidence.labels
    positions, cosines = evidence.neighbours(neighbours)
    share = neighbour_posterior(positions, cosines, labels, evidence.n_classes, temperature, passes)
    suggested, flagged = preferred_class(share, labels)
    meta = {"neighbours": neighbours, "without_neighbours": int((positions[:, 0] < 0).sum())}
    # An item without neighbours has a uniform share: margin 0, neither suspicious nor cleared.
    return Detection(log_odds_margin(share, labels, floor), flagged, suggested, meta)


@dataclass(frozen=True)
class KnnPosterior:
    """Log-odds margin of the neighbours' labels, near and trustworthy neighbours counting more.

    Parameters
    ----------
    neighbours : int
    temperature : float
        Cosine distance at which a neighbour's weight falls by a factor e.
    floor : float
        Added to each share before the logarithm (1e-2 suits short texts).
    """

    neighbours: int = 50
    temperature: float = 0.1
    floor: float = 1e-3
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)

    def detect(self, evidence: Evidence) -> Detection:
        return _detect(evidence, self.neighbours, self.temperature, 2, self.floor)


@dataclass(frozen=True)
class KnnVote:
    """Plain vote of the neighbours; flags where another class has more votes than the given one.

    Like the voting detector of SimiFeat (Zhu et al. 2022).
    """

    neighbours: int = 50
    floor: float = 1e-3
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)

    def detect(self, evidence: Evidence) -> Detection:
        return _detect(evidence, self.neighbours, None, 1, self.floor)
