"""A flag list whose expected share of false flags is bounded: conformal selection (Jin and Candes 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Selection:
    """Which items are flagged, and what that promises.

    Attributes
    ----------
    flagged : bool array (n,)
    guarantee : str
        In words.
    more_reviews : int
        Further reviews after which a non-empty list becomes possible; 0 if there is one.
    """

    flagged: np.ndarray
    guarantee: str
    more_reviews: int


def select_fdr(score: np.ndarray, reviewed: np.ndarray, wrong: np.ndarray, q: float) -> Selection:
    """Flag unreviewed items so that the expected share of right labels among the flags is at most q.

    Benjamini and Hochberg (1995) on conformal p-values of "the label is right",
    ``p_j = (1 + #{reviewed i: label right, s_i >= s_j}) / (m + 1)``; exchangeability of the reviewed items with the
    others is what makes it valid (Jin and Candes 2023).

    Parameters
    ----------
    score : float64 array (n,)
    reviewed : int array (m,)
        Different items, drawn uniformly.
    wrong : bool array (m,)
    q : float
        In (0, 1).

    Returns
    -------
    Selection
        Reviewed items are never flagged: their outcome is known.
    """
    if not 0 < q < 1:
        raise DataError(f"q is {q}; it must lie between 0 and 1.")
    score, reviewed = np.asarray(score, np.float64), np.asarray(reviewed, np.int64)
    if len(np.unique(reviewed)) != len(reviewed):
        raise DataError("an item was reviewed twice; give each once.")
    n = len(score)
    rest = np.ones(n, bool)
    rest[reviewed] = False
    flagged = np.zeros(n, bool)
    if rest.any():
        flagged[rest] = _select(score[rest], score[reviewed], np.asarray(wrong, bool), q)
    if flagged.any():
        text = (
            f"on average over repetitions of the review, at most {q:.0%} of the flagged labels are right; "
            "this list itself may do better or worse"
        )
        return Selection(flagged, text, 0)
    return Selection(flagged, "no list keeps the promise with these reviews", _missing(score, rest, reviewed, wrong, q))


def _select(score: np.ndarray, calibration: np.ndarray, wrong: np.ndarray, q: float) -> np.ndarray:
    """The selection without sorting n p-values: they take m + 1 values at most."""
    right = np.sort(calibration[~wrong])
    above = len(right) - np.searchsorted(right, score, side="left")  # right calibration items that score as high
    counts = np.cumsum(np.bincount(above, minlength=int((~wrong).sum()) + 1))
    passed = np.flatnonzero((1 + np.arange(len(counts))) / (len(wrong) + 1) <= q * counts / len(score))
    # A level that no item has adds nothing to the count below it, so the last level that passes may be an empty one.
    return above <= passed[-1] if len(passed) else np.zeros(len(score), bool)


def _missing(score: np.ndarray, rest: np.ndarray, reviewed: np.ndarray, wrong: np.ndarray, q: float) -> int:
    """Reviews still needed, if the further ones look like those there are.

    With m reviews the smallest p-value is 1 / (m + 1); r items can be flagged when it is at most q r / n.
    """
    m, n = len(reviewed), int(rest.sum())
    right = score[reviewed][~np.asarray(wrong, bool)]
    reach = int((score[rest] > right.max()).sum()) if len(right) else n
    need = int(np.ceil(n / (q * max(1, reach)))) - 1
    return max(1, need - m)
