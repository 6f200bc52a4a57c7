"""How good a ranking or a flag mask is against a known truth.

`truth` is True where the given label is wrong; higher scores are more suspicious. Item weights are
multiplicities, which is what a bootstrap over items needs. All results are shares in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError
from auditor.detect.margins import rank_order


@dataclass(frozen=True, eq=False)
class Ranked:
    """Truth in the order of one score, sorted once and measured under many item weights.

    Attributes
    ----------
    order : int64 array (n,)
        Positions, most suspicious first, ties by id.
    truth : bool array (n,)
        In that order.
    ends : int64 array
        Last place of each run of equal scores: a cut cannot lie inside one.
    """

    order: np.ndarray
    truth: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, score: np.ndarray, ids: np.ndarray | None = None) -> Ranked:
        """Rank `score`; `ids` order the ties (default: position)."""
        truth, score = np.asarray(truth, dtype=bool), np.asarray(score, dtype=np.float64)
        if truth.shape != score.shape or truth.ndim != 1 or len(truth) == 0:
            raise DataError(f"truth of shape {truth.shape} for scores of shape {score.shape}.")
        if not np.isfinite(score).all():
            raise DataError("scores are not finite.")
        order = rank_order(score, np.arange(len(score)) if ids is None else ids)
        ranked = score[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        return cls(order, truth[order], ends)

    def _cumulative(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Hits and items among the first 1..n places."""
        w = np.ones(len(self.truth)) if weights is None else np.asarray(weights, np.float64)[self.order]
        return np.cumsum(w * self.truth), np.cumsum(w)

    def average_precision(self, weights: np.ndarray | None = None) -> float:
        """Step-wise: sum over distinct scores of (recall gained) x (precision there). NaN without errors."""
        hits, items = self._cumulative(weights)
        if hits[-1] == 0:
            return float("nan")
        hits, items = hits[self.ends], items[self.ends]
        gained = np.diff(hits, prepend=0.0)
        precision = np.divide(hits, items, out=np.zeros_like(hits), where=items > 0)
        return float((gained * precision).sum() / hits[-1])

    def auroc(self, weights: np.ndarray | None = None) -> float:
        """Probability that an error scores above a right label, ties counting half. NaN with one kind only."""
        hits, items = self._cumulative(weights)
        hits, items = hits[self.ends], items[self.ends]
        right = items - hits
        if hits[-1] == 0 or right[-1] == 0:
            return float("nan")
        before = np.concatenate([[0.0], hits[:-1]])
        return float((np.diff(right, prepend=0.0) * (before + hits) / 2).sum() / (hits[-1] * right[-1]))

    def precision_at(self, count: float | None = None, weights: np.ndarray | None = None) -> float:
        """Share of errors among the first `count` items; default: as many as there are errors (P@N)."""
        hits, items = self._cumulative(weights)
        wanted = float(hits[-1] if count is None else count)
        if not 0 < wanted <= items[-1]:
            return float("nan")
        # Linear inside an item that several weights share, so that multiplicities act like copies.
        return float(np.interp(wanted, np.append(0.0, items), np.append(0.0, hits)) / wanted)

    def best_f1(self, weights: np.ndarray | None = None) -> float:
        """Largest F1 over all cuts. An upper bound: the cut is chosen with the truth."""
        hits, items = self._cumulative(weights)
        hits, items = hits[self.ends], items[self.ends]
        total = items + hits[-1]
        return float(np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0).max())


@dataclass(frozen=True)
class FlagCounts:
    """A flag mask against the truth."""

    flagged: float
    hits: float
    errors: float

    @property
    def precision(self) -> float:
        """Share of the flagged that are errors; NaN with nothing flagged."""
        return self.hits / self.flagged if self.flagged else float("nan")

    @property
    def recall(self) -> float:
        """Share of the errors that are flagged; NaN without errors."""
        return self.hits / self.errors if self.errors else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 with neither flags nor errors found."""
        total = self.flagged + self.errors
        return 2 * self.hits / total if total else 0.0


def flag_counts(truth: np.ndarray, flagged: np.ndarray, weights: np.ndarray | None = None) -> FlagCounts:
    """Count flagged items, hits and errors."""
    truth, flagged = np.asarray(truth, dtype=bool), np.asarray(flagged, dtype=bool)
    if truth.shape != flagged.shape:
        raise DataError(f"truth of shape {truth.shape} for flags of shape {flagged.shape}.")
    w = np.ones(len(truth)) if weights is None else weights
    return FlagCounts(float(w[flagged].sum()), float(w[flagged & truth].sum()), float(w[truth].sum()))
