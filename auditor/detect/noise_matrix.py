"""Probabilities of given labels by true class, of the labels that occur: their size follows the items."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True, eq=False)
class NoiseMatrix:
    """P(given label | true class) over K classes, L of which occur as given labels.

    Attributes
    ----------
    classes : int64 array (L,)
        The classes that occur, ascending.
    seen : float64 array (L, K)
        ``seen[l, k] = P(given classes[l] | true k)``.
    unseen : float64 array (K,)
        ``P(given j | true k)``, the same for every class j that does not occur.
    """

    classes: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    def of(self, labels: np.ndarray) -> np.ndarray:
        """``P(given label | true k)`` of each label, float64 (m, K)."""
        at = np.searchsorted(self.classes, labels).clip(max=len(self.classes) - 1)
        rows = self.seen[at]
        rows[self.classes[at] != labels] = self.unseen
        return rows

    def marginal(self, shares: np.ndarray) -> np.ndarray:
        """P(given j) where ``shares[k] = P(true k)``, float64 (K,)."""
        given = np.full(len(shares), self.unseen @ shares)
        given[self.classes] = self.seen @ shares
        return given

    def diagonal(self) -> np.ndarray:
        """``P(given k | true k)``, float64 (K,)."""
        own = self.unseen.copy()
        own[self.classes] = self.seen[np.arange(len(self.classes)), self.classes]
        return own

    def toarray(self) -> np.ndarray:
        """All of it, float64 (K, K): true classes are rows, given labels columns."""
        return self.of(np.arange(len(self.unseen))).T


#: Entries below which adding in NumPy takes less than loading the compiled loop.
_FEW_ENTRIES = 1 << 16


def add_rows(rows: np.ndarray, at: np.ndarray, sums: np.ndarray) -> None:
    """``sums[at[i]] += rows[i]`` for every i, one after the other; float64, C order, `rows` (m, K), `sums` (L, K)."""
    if rows.size < _FEW_ENTRIES:
        width = rows.shape[1]
        np.add.at(sums.reshape(-1), (at[:, None] * width + np.arange(width)).reshape(-1), rows.reshape(-1))
    else:
        _add_rows(rows, at, sums)


@numba.njit(nogil=True, cache=True)
def _add_rows(rows, at, sums):  # type: ignore[no-untyped-def]
    for i in range(len(at)):
        total, row = sums[at[i]], rows[i]
        for k in range(len(row)):
            total[k] += row[k]
