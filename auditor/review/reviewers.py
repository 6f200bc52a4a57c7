"""How each reviewer does: against the others, against planted controls, and how quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.review.votes import VoteTable
from auditor.stats.intervals import Interval, clopper_pearson

__all__ = ["ReviewerReport", "Share", "reviewer_reports"]


@dataclass(frozen=True)
class Share:
    """`k` of `n`."""

    k: int
    n: int

    @property
    def interval(self) -> Interval:
        """The share with its exact 95 % interval."""
        return clopper_pearson(self.k, self.n)


@dataclass(frozen=True)
class ReviewerReport:
    """One reviewer.

    Attributes
    ----------
    reviewer : str
    n : int
        Current verdicts.
    agreement : Share
        Same verdict as the majority of the others, where at least one other judged the item and they are not tied.
    confusion : int64 array (V, V)
        Those items by verdict of the others (row) and of this reviewer (column), in the order of `verdicts`.
    verdicts : tuple of str
    controls : Share
        Right answers on planted controls.
    median_ms, p10_ms, p90_ms : float
        Time per verdict; NaN where none was measured.
    per_hour : float
        Verdicts per hour at the median.
    """

    reviewer: str
    n: int
    agreement: Share
    confusion: np.ndarray
    verdicts: tuple[str, ...]
    controls: Share
    median_ms: float
    p10_ms: float
    p90_ms: float
    per_hour: float


def reviewer_reports(table: VoteTable, controls: Mapping[str, str] | None = None) -> list[ReviewerReport]:
    """A report per reviewer, in the order of ``table.reviewer_names``.

    The majority is always that of the others: a reviewer who is part of what he is compared with looks better than
    he is. Imported votes and the adjudicator's count as reviewers.

    Parameters
    ----------
    table : VoteTable
    controls : mapping of item id to verdict, optional
        Items whose verdict is known.
    """
    ratings, names = table.ratings()
    counts = np.stack([(ratings == v).sum(axis=1) for v in range(len(names))], axis=1) if names else ratings
    known = np.array([(controls or {}).get(i, "") for i in table.item_ids], dtype=object)
    return [_report(table, ratings, names, counts, known, a) for a in range(len(table.reviewer_names))]


def _report(
    table: VoteTable, ratings: np.ndarray, names: tuple[str, ...], counts: np.ndarray, known: np.ndarray, a: int
) -> ReviewerReport:
    judged = np.flatnonzero(ratings[:, a] >= 0)
    own = ratings[judged, a]
    others = counts[judged].copy()
    others[np.arange(len(judged)), own] -= 1
    most = others.max(axis=1, initial=0)
    clear = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    theirs = others.argmax(axis=1)[clear]
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (theirs, own[clear]), 1)
    planted = known[judged] != ""
    said = np.array(names, dtype=object)[own[planted]]
    ms = table.ms[(table.reviewers == a) & np.isfinite(table.ms)]
    p10, median, p90 = np.percentile(ms, [10, 50, 90]) if len(ms) else (np.nan, np.nan, np.nan)
    return ReviewerReport(
        table.reviewer_names[a],
        len(judged),
        Share(int(np.trace(confusion)), int(clear.sum())),
        confusion,
        names,
        Share(int((said == known[judged][planted]).sum()), int(planted.sum())),
        float(median),
        float(p10),
        float(p90),
        3_600_000 / float(median) if median > 0 else float("nan"),
    )
