"""How far reviewers agree beyond what chance would give, with bootstrap intervals over the items; and how each of them
does: against the others, against planted controls, and how quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.core.errors import LabelError
from auditor.core.seeds import generator
from auditor.review.votes import VoteTable
from auditor.stats.intervals import Interval, clopper_pearson


@dataclass(frozen=True)
class Agreement:
    """A measure of agreement; 1 is perfect, 0 is chance.

    Attributes
    ----------
    value : float
        NaN where it is not defined: no item with two ratings, or only one category in use.
    low, high : float
        95 % bootstrap percentile interval over items; NaN where `value` is, or where there are fewer than two items.
    n_items : int
        Items with enough ratings to count.
    """

    value: float
    low: float
    high: float
    n_items: int


def cohen_kappa(
    first: np.ndarray, second: np.ndarray, n_categories: int, draws: int = 2000, seed: int = 0
) -> Agreement:
    """Cohen's kappa of two reviewers.

    Parameters
    ----------
    first, second : int arrays (n,)
        Category each gave; -1 = did not rate. Items both rated count.
    n_categories : int
    draws : int
        Bootstrap samples.
    seed : int

    Source
    ------
    Cohen 1960.
    """
    both = (first >= 0) & (second >= 0)
    pairs, weights = np.unique(np.column_stack([first[both], second[both]]), axis=0, return_counts=True)

    def kappa(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        observed = counts[:, pairs[:, 0] == pairs[:, 1]].sum(axis=1) / total
        left, right = (counts @ (pairs[:, side, None] == np.arange(n_categories)) for side in (0, 1))
        expected = (left * right).sum(axis=1) / total**2
        return _beyond(observed, expected)

    return _bootstrapped(kappa, weights, int(both.sum()), draws, seed)


def fleiss_kappa(ratings: np.ndarray, n_categories: int, draws: int = 2000, seed: int = 0) -> Agreement:
    """Fleiss' kappa; items must have the same number of ratings.

    Parameters
    ----------
    ratings : int array (n, A)
        Category each reviewer gave; -1 = did not rate.
    n_categories : int
    draws, seed : int

    Raises
    ------
    LabelError
        If the number of ratings differs between items; `krippendorff_alpha` has no such condition.

    Source
    ------
    Fleiss 1971.
    """
    table = _category_counts(ratings, n_categories)
    table = table[table.sum(axis=1) > 0]
    if len(table) and (table.sum(axis=1) != table[0].sum()).any():
        raise LabelError("Fleiss' kappa needs the same number of ratings per item.", "Take Krippendorff's alpha.")
    m = float(table[0].sum()) if len(table) else 0.0
    if m < 2:
        return Agreement(np.nan, np.nan, np.nan, 0)
    patterns, weights = np.unique(table, axis=0, return_counts=True)
    per_item = ((patterns**2).sum(axis=1) - m) / (m * (m - 1))

    def kappa(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        shares = counts @ patterns / (total * m)[:, None]
        return _beyond(counts @ per_item / total, (shares**2).sum(axis=1))

    return _bootstrapped(kappa, weights, len(table), draws, seed)


def krippendorff_alpha(ratings: np.ndarray, n_categories: int, draws: int = 2000, seed: int = 0) -> Agreement:
    """Krippendorff's alpha for nominal categories; any number of ratings per item, missing ones allowed.

    Parameters
    ----------
    ratings : int array (n, A)
        Category each reviewer gave; -1 = did not rate. Items with two ratings or more count.
    n_categories : int
    draws, seed : int

    Source
    ------
    Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """
    table = _category_counts(ratings, n_categories)
    table = table[table.sum(axis=1) > 1]
    patterns, weights = np.unique(table, axis=0, return_counts=True)
    m = patterns.sum(axis=1)
    # Pairs of different ratings within an item, each rating counted once.
    differing = (m**2 - (patterns**2).sum(axis=1)) / (m - 1)

    def alpha(counts: np.ndarray) -> np.ndarray:
        by_category = counts @ patterns
        total = by_category.sum(axis=1)
        observed = counts @ differing / total
        expected = (total**2 - (by_category**2).sum(axis=1)) / (total * (total - 1))
        return _beyond(1 - observed, 1 - expected)

    return _bootstrapped(alpha, weights, len(table), draws, seed)


def _category_counts(ratings: np.ndarray, n_categories: int) -> np.ndarray:
    ratings = np.asarray(ratings)
    if ratings.ndim != 2 or (ratings.size and ratings.max() >= n_categories):
        raise LabelError("ratings must be a table of items by reviewers with categories below the number given.")
    return np.stack([(ratings == k).sum(axis=1) for k in range(n_categories)], axis=1).astype(np.float64)


def _beyond(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    # One category only: chance explains everything, and the measure says nothing.
    room = 1 - expected
    return np.divide(observed - expected, room, out=np.full_like(room, np.nan), where=room > 1e-12)


def _bootstrapped(
    measure: Callable[[np.ndarray], np.ndarray], weights: np.ndarray, n: int, draws: int, seed: int
) -> Agreement:
    """Value and percentile interval; items of one pattern are drawn together, which is the same and much quicker."""
    if n == 0:
        return Agreement(np.nan, np.nan, np.nan, 0)
    value = float(measure(weights[None, :].astype(np.float64))[0])
    if n < 2 or np.isnan(value):
        return Agreement(value, np.nan, np.nan, n)
    samples = generator(seed, "review", "agreement").multinomial(n, weights / weights.sum(), size=draws)
    drawn = measure(samples.astype(np.float64))
    # A sample of one category has no value; its share is small wherever the interval means anything.
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Agreement(value, float(low), float(high), n)


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
