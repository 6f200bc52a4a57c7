"""Is the nearest item with the same label farther away than the nearest with another one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from auditor.detect.base import Detection, Evidence
from auditor.detect.neighbours import BLOCK_BYTES, is_exact, unit_rows

#: Above the exact limit the two are looked for among this many approximate neighbours.
SEARCHED = 50


def nearest_by_label(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Cosine of the nearest item with the same label, of the nearest with another, and that one's label.

    Neither is a copy of the item (`duplicate_groups`), both are of its fold (`embedding_folds`).

    Returns
    -------
    same, other : float32 arrays (n,)
        -2 where there is none.
    other_label : int64 array (n,)
        -1 where there is none.
    exact : bool
        False above the limit of the exact search: one that is not among the 50 nearest found then has the cosine
        of the last of them, an upper bound but for the search's own misses.
    """
    n, labels = len(evidence), evidence.labels
    folds = np.zeros(n, np.int64) if evidence.embedding_folds is None else np.asarray(evidence.embedding_folds)
    same, other = np.full(n, -2, np.float32), np.full(n, -2, np.float32)
    other_label = np.full(n, -1, np.int64)
    members = [np.flatnonzero(folds == value) for value in np.unique(folds)]
    if not all(is_exact(len(member)) for member in members):
        return (*_from_list(evidence), False)
    groups = np.arange(n) if evidence.duplicate_groups is None else evidence.duplicate_groups
    codes = np.unique(groups, return_inverse=True)[1].ravel().astype(np.int64)
    unit = unit_rows(np.asarray(evidence.embeddings))
    for member in members:
        rows, step = unit[member], max(1, BLOCK_BYTES // (4 * len(member)))
        for start in range(0, len(member), step):
            at = member[start : start + step]
            similar = rows[start : start + step] @ rows.T
            same[at], other[at], other_label[at] = _scan(similar, codes[at], codes[member], labels[at], labels[member])
    return same, other, other_label, True


def _from_list(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    positions, cosines = evidence.neighbours(SEARCHED)
    present, rows = positions >= 0, np.arange(len(positions))
    alike = evidence.labels[positions] == evidence.labels[:, None]
    last = np.where(present, cosines, np.inf).min(axis=1)
    last = np.where(np.isfinite(last), last, -2).astype(np.float32)
    nearest = []
    for wanted in (present & alike, present & ~alike):
        first, known = wanted.argmax(axis=1), wanted.any(axis=1)
        nearest.append(np.where(known, cosines[rows, first], last).astype(np.float32))
    return nearest[0], nearest[1], np.where(known, evidence.labels[positions[rows, first]], -1)


@numba.njit(cache=True, parallel=True, nogil=True)
def _scan(
    similar: np.ndarray, row_codes: np.ndarray, codes: np.ndarray, row_labels: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # pragma: no cover - compiled
    rows, columns = similar.shape
    same, other = np.full(rows, -2, dtype=np.float32), np.full(rows, -2, dtype=np.float32)
    other_label = np.full(rows, -1, dtype=np.int64)
    for i in numba.prange(rows):
        for j in range(columns):
            if codes[j] == row_codes[i]:
                continue
            value = similar[i, j]
            if labels[j] == row_labels[i]:
                same[i] = max(same[i], value)
            elif value > other[i]:
                other[i], other_label[i] = value, labels[j]
    return same, other, other_label


@dataclass(frozen=True)
class SelfcleanRatio:
    """``d_same^2 / (d_same^2 + d_other^2)``, d the cosine distance to the nearest item with the same, another label.

    The label-error score of SelfClean (Groeger et al. 2023, arXiv 2305.17048), written from its formula. One
    neighbour of each kind decides: sensitive to single errors nearby, where a vote of 50 is not. An item without
    another one of its label, or of another label, has 0.5 or 0.
    """

    needs: ClassVar[tuple[str, ...]] = ("embeddings",)

    def detect(self, evidence: Evidence) -> Detection:
        same, other, other_label, exact = nearest_by_label(evidence)
        near, far = (np.maximum(0.0, 1.0 - c.astype(np.float64)) ** 2 for c in (same, other))
        total = near + far
        score = np.divide(near, total, out=np.full(len(near), 0.5), where=total > 0)
        score[same < -1] = 0.5
        score[other < -1] = 0.0
        suggested = np.where((score > 0.5) & (other_label >= 0), other_label, evidence.labels)
        return Detection(score, None, suggested, {"exact": exact})
