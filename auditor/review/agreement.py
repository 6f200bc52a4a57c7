"""How far reviewers agree, beyond what chance would give, with bootstrap intervals over the items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.core.errors import LabelError
from auditor.core.seeds import generator

__all__ = ["Agreement", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha"]


@dataclass(frozen=True)
class Agreement:
    """A measure of agreement; 1 is perfect, 0 is chance.

    Attributes
    ----------
    value : float
        NaN where it is not defined: no item with two ratings, or only one category in use.
    low, high : float
        Bootstrap percentile interval over items; NaN where `value` is, or where there are fewer than two items.
    n_items : int
        Items with enough ratings to count.
    confidence : float
    """

    value: float
    low: float
    high: float
    n_items: int
    confidence: float = 0.95


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
        left = np.stack([counts[:, pairs[:, 0] == k].sum(axis=1) for k in range(n_categories)], axis=1)
        right = np.stack([counts[:, pairs[:, 1] == k].sum(axis=1) for k in range(n_categories)], axis=1)
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
    if not len(table):
        return Agreement(np.nan, np.nan, np.nan, 0)
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
