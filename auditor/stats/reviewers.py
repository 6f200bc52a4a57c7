"""How often a reviewer is right, from items that two of them judged."""

from __future__ import annotations

import math

from auditor.stats.intervals import Interval, clopper_pearson


def accuracy_from_pairs(differ: int, pairs: int, level: float = 0.95) -> Interval:
    """Share of single verdicts that are right, from pairs of independent verdicts on the same items.

    With the same share of mistakes e on right and on wrong labels, two verdicts differ on ``2 e (1 - e)`` of the items;
    solved for ``1 - e`` at the observed share and at its exact limits (Clopper and Pearson). It then is sensitivity and
    specificity alike, as `stats.totals.correct_for_reviewer` takes them. That mistakes in both directions are equally
    frequent is an assumption: agreement alone cannot tell them apart.

    Parameters
    ----------
    differ, pairs : int
        Pairs that differ, of all; at least one pair.
    level : float

    Returns
    -------
    Interval
        In [0.5, 1]; 0.5 where two verdicts agree no more than coins do.
    """
    share = clopper_pearson(differ, pairs, level)
    value, low, high = (1 - _mistakes(s) for s in (share.value, share.high, share.low))
    return Interval(value, low, high, level)


def _mistakes(differ: float) -> float:
    return (1 - math.sqrt(max(0.0, 1 - 2 * differ))) / 2
