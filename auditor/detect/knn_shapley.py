"""What each item is worth to a vote of neighbours: exact Shapley values, in one sort an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from auditor.core.errors import ConfigError, DataError
from auditor.detect.base import Detection, Evidence
from auditor.detect.knn import neighbour_posterior
from auditor.detect.margins import preferred_class
from auditor.detect.neighbours import BLOCK_BYTES, EXACT_LIMIT, is_costly, narrowed, unit_rows

#: Ranks that count where more than `EXACT_LIMIT` items are valued: a value is off by at most its reciprocal.
RANKS = 200


def knn_shapley(
    embeddings: np.ndarray, labels: np.ndarray, k: int = 10, groups: np.ndarray | None = None
) -> np.ndarray:
    """Exact Shapley value of each item in voting on all others.

    The game: an item's label is predicted by its k nearest of those at hand, and what is won is the share of their
    votes for its given label (Jia et al. 2019, "Efficient Task-Specific Data Valuation for Nearest Neighbor
    Algorithms", theorem 1). Each item is voted on by all others, and the values are means over the items that an item
    may vote on. Rows too wide and many are narrowed first, as for neighbours.

    Parameters
    ----------
    embeddings : float array (n, d)
        Compared by their cosine; among equals the lower position is nearer.
    labels : int64 array (n,)
    k : int
    groups : int array (n,), optional
        Items of one group (copies) do not vote on one another.

    Returns
    -------
    float64 array (n,)
        In [-1/k, 1/k]; negative where an item misleads more than it helps. 0 for an item that may vote on none.

    Raises
    ------
    DataError
        If k is not positive.
    """
    if k < 1:
        raise DataError(f"{k} neighbours vote.", "Ask for at least one.")
    n = len(labels)
    labels = np.asarray(labels, np.int64)
    codes = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].ravel().astype(np.int64)
    rows = narrowed(embeddings).astype(np.float32) if is_costly(n, embeddings.shape[1]) else unit_rows(embeddings)
    total, asked = np.zeros(n), n - np.bincount(codes)[codes]
    step = max(1, BLOCK_BYTES // (8 * max(1, n)))
    for start in range(0, n, step):
        here = slice(start, min(n, start + step))
        away = -(rows[here] @ rows.T)
        away[codes[here][:, None] == codes[None]] = np.inf
        order = np.argsort(away, axis=1, kind="stable")
        _add(order, labels[here], asked[here], labels, k, total)
    return total / np.maximum(asked, 1)


@numba.njit(cache=True, nogil=True)
def _add(
    order: np.ndarray, own: np.ndarray, asked: np.ndarray, labels: np.ndarray, k: int, total: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Add the values in voting on some items, from the farthest voter to the nearest."""
    for i in range(len(order)):
        m = asked[i]
        if m == 0:
            continue
        right = 1.0 if labels[order[i, m - 1]] == own[i] else 0.0
        value = right / max(m, k)
        total[order[i, m - 1]] += value
        for j in range(m - 2, -1, -1):
            here = 1.0 if labels[order[i, j]] == own[i] else 0.0
            value += (here - right) / k * min(k, j + 1) / (j + 1)
            total[order[i, j]] += value
            right = here


def truncated_shapley(positions: np.ndarray, labels: np.ndarray, k: int = 10) -> np.ndarray:
    """As `knn_shapley`, from the nearest items alone: a vote of a farther one counts nothing.

    Parameters
    ----------
    positions : int64 array (n, r)
        Nearest items of each, -1 where there are fewer; values are off by at most 1 / max(r, k).
    labels : int64 array (n,)
    k : int
    """
    n = len(labels)
    total = np.zeros(n)
    asked = (positions >= 0).sum(axis=1)
    _add(np.maximum(positions, 0), np.asarray(labels, np.int64), asked, np.asarray(labels, np.int64), k, total)
    return total / max(1, n - 1)


@dataclass(frozen=True)
class KnnShapley:
    """Minus the Shapley value of an item in a vote of the nearest: what misleads its neighbours is suspicious.

    It ranks and does not flag. Items of low value are those to leave out first, by this order.

    Parameters
    ----------
    neighbours : int
        That vote.
    """

    neighbours: int = 10
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)

    def detect(self, evidence: Evidence) -> Detection:
        if self.neighbours < 1:
            raise ConfigError(f"{self.neighbours} neighbours: at least one must vote.")
        labels, n = evidence.labels, len(evidence)
        vectors = evidence.embeddings if n <= EXACT_LIMIT and evidence.embedding_folds is None else None
        if vectors is not None:
            values = knn_shapley(vectors, labels, self.neighbours, evidence.duplicate_groups)
        else:
            values = truncated_shapley(evidence.neighbours(min(RANKS, n - 1))[0], labels, self.neighbours)
        positions, cosines = evidence.neighbours(self.neighbours)
        share = neighbour_posterior(positions, cosines, labels, evidence.n_classes, None, 1)
        meta = {"neighbours": self.neighbours, "exact": vectors is not None, "negative": int((values < 0).sum())}
        return Detection(-values, None, preferred_class(share, labels)[0], meta)
