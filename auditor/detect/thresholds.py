"""Where to cut a ranking, learned from verdicts, and when not to trust the ranking at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError
from auditor.detect.base import Evidence, Verdicts
from auditor.detect.margins import rank_order
from auditor.stats.logistic import Platt, platt_scaling

#: Verdicts of each kind (wrong, right) below which nothing can be said about the ranking.
MIN_OF_EACH_KIND = 5
#: Verdicts from which on they decide where a ranking is cut.
ENOUGH_TO_CUT = 200
#: One-sided 5 % point of the normal distribution.
Z_ONE_SIDED = 1.6449


@dataclass(frozen=True, eq=False)
class VerdictCut:
    """A cut chosen from verdicts.

    Attributes
    ----------
    flagged : bool array (n,) or None
        None where no cut can be chosen; `reason` says why.
    probability : float64 array (n,)
        Calibrated P(label wrong).
    expected_f1 : float
        Of the flagged set, under `probability`; NaN without a cut.
    visible : bool or None
        Whether precision falls along the ranking (one-sided 5 %); None with too few verdicts to tell.
    platt : Platt
    reason : str
        Empty where there is a cut.
    """

    flagged: np.ndarray | None
    probability: np.ndarray
    expected_f1: float
    visible: bool | None
    platt: Platt
    reason: str


def errors_visible(score: np.ndarray, verdicts: Verdicts) -> bool | None:
    """Does the score see the errors that people found?

    Score test (slope 0 against slope > 0, one-sided 5 %, robust variance) of P(wrong) on the score over the
    verdicts. It needs no fit, so verdicts that the score separates perfectly do not trouble it as they would a
    Wald test. Drawing items for review by their score leaves it valid.

    Returns
    -------
    bool or None
        None with fewer than 5 verdicts of either kind.
    """
    wrong = verdicts.wrong
    if min(wrong.sum(), (~wrong).sum()) < MIN_OF_EACH_KIND:
        return None
    s = score[verdicts.positions]
    residual = wrong - wrong.mean()
    terms = residual * (s - s.mean())
    spread = float(np.sqrt((terms**2).sum()))
    return bool(spread > 0 and terms.sum() / spread > Z_ONE_SIDED)


def threshold_from_verdicts(score: np.ndarray, ids: np.ndarray, verdicts: Verdicts) -> VerdictCut:
    """Cut the ranking where the expected F1 is largest.

    Platt scaling of the score with the verdicts' weights gives P; the items are taken in the order of the
    score and the cut is ``argmax_k 2 sum_{first k} P / (k + sum_all P)``.

    Parameters
    ----------
    score : float64 array (n,)
    ids : array (n,)
        Order ties.
    verdicts : Verdicts
        With inverse-probability weights where items were not drawn uniformly. 200 are enough.

    Returns
    -------
    VerdictCut

    Raises
    ------
    DataError
        A verdict on an item that is not there.
    """
    n = len(score)
    if len(verdicts) and not 0 <= verdicts.positions.min() <= verdicts.positions.max() < n:
        raise DataError(f"verdicts: a position is outside the {n} items.")
    visible = errors_visible(score, verdicts)
    if len(verdicts) == 0:
        return VerdictCut(None, np.full(n, np.nan), np.nan, None, Platt(0.0, 0.0), "there are no verdicts")
    platt = platt_scaling(score[verdicts.positions], verdicts.wrong, np.asarray(verdicts.weights))
    probability = platt(score)
    if visible is None:
        reason = f"needs at least {MIN_OF_EACH_KIND} verdicts of each kind (wrong, right)"
        return VerdictCut(None, probability, np.nan, None, platt, reason)
    if not visible:
        reason = (
            "the model cannot see these errors: verdicts are not more often 'wrong' at the top of the ranking. "
            "Do not rank by it; estimate the total from uniformly drawn verdicts"
        )
        return VerdictCut(None, probability, np.nan, False, platt, reason)
    order = rank_order(score, ids)
    cut, expected = best_expected_f1(probability[order])
    flagged = np.zeros(n, dtype=bool)
    flagged[order[:cut]] = True
    return VerdictCut(flagged, probability, expected, True, platt, "")


def cut_by_verdicts(score: np.ndarray, evidence: Evidence) -> tuple[np.ndarray, float] | None:
    """Flags of a detector's `score`, cut as the evidence's verdicts choose, and their expected F1; None with fewer
    verdicts than `ENOUGH_TO_CUT`, or where they choose no cut."""
    if evidence.verdicts is None or len(evidence.verdicts) < ENOUGH_TO_CUT:
        return None
    cut = threshold_from_verdicts(score, evidence.ids, evidence.verdicts)
    return None if cut.flagged is None else (cut.flagged, cut.expected_f1)


def best_expected_f1(ranked: np.ndarray, rest: float = 0.0) -> tuple[int, float]:
    """How many of the first items to flag, and the expected F1 then: ``max_k 2 sum_{first k} P / (k + sum_all P)``.

    The ratio of expectations, which is close to the expectation of F1 for more than a few items.

    Parameters
    ----------
    ranked : float array (n,)
        P(label wrong), in the order in which items would be flagged.
    rest : float
        Sum of P over items that are not in the list, and never flagged.

    Returns
    -------
    count : int
        At least 1.
    expected : float
    """
    expected = 2 * np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum() + rest)
    count = int(expected.argmax()) + 1
    return count, float(expected[count - 1])
