"""Neighbours that share the label, cut per class where an estimate of the noise says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.core.errors import ConfigError
from auditor.detect.base import Detection, Evidence
from auditor.detect.knn import neighbour_posterior
from auditor.detect.margins import best_other, given_probability, rank_order
from auditor.detect.noise_matrix import NoiseMatrix, add_rows

ITERATIONS = 100
#: Start of the noise matrix; labels are assumed to be right more often than wrong.
DIAGONAL = 0.7


def consensus_noise(triples: np.ndarray, n_classes: int) -> tuple[np.ndarray, NoiseMatrix]:
    """Class shares and noise matrix from the labels of items and of their two nearest neighbours.

    The model of HOC (Zhu et al. 2021, arXiv 2102.05291): the three have one true class, and their labels are drawn
    from it independently, ``P(a, b, c) = sum_k p_k T_ka T_kb T_kc``. HOC fits it by least squares; here it is
    fitted by maximum likelihood (EM, 100 steps), a pseudo-count of one item spread over each row of T. Neighbours
    of another class are counted as label noise: where classes overlap the noise is overestimated.

    Parameters
    ----------
    triples : int64 array (n, 3)
        Labels of an item and of its two nearest neighbours.
    n_classes : int

    Returns
    -------
    shares : float64 array (K,)
        P(true class).
    noise : NoiseMatrix
    """
    seen, counts = np.unique(np.sort(triples, axis=1), axis=0, return_counts=True)
    classes, codes = np.unique(seen, return_inverse=True)
    views = np.ascontiguousarray(codes.reshape(seen.shape).T)
    shares = np.full(n_classes, 1 / n_classes)
    rates = np.full((len(classes), n_classes), (1 - DIAGONAL) / max(1, n_classes - 1))
    rates[np.arange(len(classes)), classes] = DIAGONAL
    for _ in range(ITERATIONS):
        joint = shares * rates[views[0]] * rates[views[1]] * rates[views[2]]
        weight = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300) * counts[:, None]
        shares = weight.sum(axis=0) / weight.sum()
        table = np.full_like(rates, 1 / n_classes)
        for view in views:
            add_rows(weight, view, table)
        totals = np.ascontiguousarray(table.T).sum(axis=1) + (n_classes - len(classes)) / n_classes
        rates = table / totals
    return shares, NoiseMatrix(classes, rates, 1 / n_classes / totals)


@dataclass(frozen=True)
class KnnRank:
    """``-H_i(given)``, H the plain share of each class among the neighbours; per class the most suspicious flagged.

    Like the ranking detector of SimiFeat (Zhu et al. 2022, arXiv 2110.06283): of the items labelled k,
    ``n_k P(true != k | given k)`` are flagged, with the noise of `consensus_noise`. An item all of whose neighbours
    carry its label is never flagged, and one without neighbours neither; it is ranked in the middle.
    """

    neighbours: int = 50
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)

    def detect(self, evidence: Evidence) -> Detection:
        if self.neighbours < 2:
            raise ConfigError(f"{self.neighbours} neighbours: at least two are needed for the noise estimate.")
        labels, n_classes = evidence.labels, evidence.n_classes
        positions, cosines = evidence.neighbours(self.neighbours)
        share = neighbour_posterior(positions, cosines, labels, n_classes, None, 1)
        given, other = given_probability(share, labels), best_other(share, labels)[0]
        score = -given
        alone = positions[:, 0] < 0
        if alone.any() and not alone.all():
            score[alone] = np.median(score[~alone])
        full = positions[:, 1] >= 0
        flagged = np.zeros(len(labels), dtype=bool)
        wrong = np.zeros(n_classes)
        if full.any():
            triples = np.column_stack([labels[full], labels[positions[full, :2]]])
            shares, noise = consensus_noise(triples, n_classes)
            seen = noise.marginal(shares)
            wrong = 1 - np.divide(shares * noise.diagonal(), seen, out=np.ones(n_classes), where=seen > 0)
            order = rank_order(score, evidence.ids)
            order = order[np.argsort(labels[order], kind="stable")]
            sizes = np.bincount(labels, minlength=n_classes)
            place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            flagged[order] = place < np.rint(sizes * wrong)[labels[order]]
            flagged &= (given < 1) & ~alone
        meta = {"neighbours": self.neighbours, "noise_rate_of_class": wrong.tolist()}
        return Detection(score, flagged, np.where(flagged, other, labels), meta)
