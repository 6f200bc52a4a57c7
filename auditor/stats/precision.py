"""A flag list that is right with a stated probability: Learn-then-Test with a fixed sequence of cuts."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom

from auditor.core.errors import DataError
from auditor.stats.fdr import Selection

#: Cuts tried: 5 % to 100 % of the candidates.
_GRID = 20


def reviews_for_first_cut(alpha: float, delta: float) -> int:
    """Reviews below a cut with which it can pass at all: ``ceil(log delta / log(1 - alpha))``."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def select_precision(
    rank: np.ndarray, reviewed: np.ndarray, wrong: np.ndarray, precision: float, confidence: float
) -> Selection:
    """Deepest cut through the candidates whose precision reaches the target with the stated confidence.

    Cuts at 5 %, 10 % .. 100 % of the candidates are tested from strict to loose, starting with the first that holds
    enough reviews to pass; each by the exact binomial test of "precision is below the target"; the sequence ends at
    the first that fails. ``P(precision >= target) >= confidence`` (Angelopoulos et al. 2021, fixed sequence testing).

    Parameters
    ----------
    rank : int array (c,)
        Candidates' places in the ranking: 0 is the most suspicious; a permutation of 0 .. c - 1.
    reviewed : int array (B,)
        Positions among the candidates, drawn uniformly from them (repeats count again).
    wrong : bool array (B,)
        Whether the label was found wrong: a true find.
    precision, confidence : float
        In (0, 1).

    Returns
    -------
    Selection
        `flagged` is over the candidates, reviewed ones included.
    """
    if not (0 < precision < 1 and 0 < confidence < 1):
        raise DataError(f"precision {precision} and confidence {confidence} must lie between 0 and 1.")
    rank, reviewed = np.asarray(rank, np.int64), np.asarray(reviewed, np.int64)
    wrong = np.asarray(wrong, bool)
    if wrong.shape != reviewed.shape:
        raise DataError(f"{reviewed.shape} reviewed candidates and {wrong.shape} outcomes.")
    alpha, delta = 1 - precision, 1 - confidence
    first = reviews_for_first_cut(alpha, delta)
    cuts = np.unique(np.ceil(len(rank) * np.arange(1, _GRID + 1) / _GRID).astype(np.int64))
    places = rank[reviewed]
    passed = 0
    started = False
    for cut in cuts:
        here = places < cut
        n = int(here.sum())
        # Only counts decide where to start, never outcomes: that keeps the sequence fixed.
        if not started and n < first:
            continue
        started = True
        if binom.cdf(int((~wrong[here]).sum()), n, alpha) > delta:
            break
        passed = int(cut)
    flagged = rank < passed
    if passed:
        text = (
            f"with {confidence:.0%} confidence at least {precision:.0%} of these {passed:,} labels are wrong, "
            "as the reviewers judge"
        )
        return Selection(flagged, text, 0)
    more = _missing(wrong, started, first, alpha, delta)
    return Selection(flagged, "no list keeps the promise with these reviews", more)


def _missing(wrong: np.ndarray, started: bool, first: int, alpha: float, delta: float) -> int:
    """Reviews still needed, if the strictest cut goes on as the reviews so far."""
    have = len(wrong)
    if not started:
        # The strictest of the 20 cuts holds a twentieth of the reviews; the loosest all: the least that can pass.
        return max(1, first - have)
    false = (1 - float(wrong.mean())) if have else 0.0
    if false >= alpha:
        return max(1, have)  # at this precision no number is enough; as many again will tell more
    n = have
    while binom.cdf(math.floor(false * n), n, alpha) > delta:
        n += max(1, n // 20)
    return max(1, n - have)
