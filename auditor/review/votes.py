"""Verdicts of several reviewers as arrays: what every consensus rule reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class VoteTable:
    """Current verdicts, one row per verdict, ordered by item and reviewer.

    Attributes
    ----------
    items : int64 array (v,)
        Row of each verdict in the item arrays.
    reviewers : int64 array (v,)
        Row in `reviewer_names`.
    verdicts, streams : object arrays of str (v,)
    ms : float64 array (v,)
        Milliseconds taken; NaN where unknown.
    server_time : float64 array (v,)
        Seconds since 1970.
    item_ids, given, suggested : object arrays (m,)
        The judged items; `suggested` is the class a vote for "suggested" or "both" speaks of, or None.
    places : int64 array (m,)
        Place of each item in the run's list.
    reviewer_names : tuple of str
    """

    items: np.ndarray
    reviewers: np.ndarray
    verdicts: np.ndarray
    streams: np.ndarray
    ms: np.ndarray
    server_time: np.ndarray
    item_ids: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    places: np.ndarray
    reviewer_names: tuple[str, ...]

    def ratings(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Table of items by reviewers for the measures of agreement.

        Returns
        -------
        ratings : int64 array (m, A)
            Number of the verdict; -1 where the reviewer has none.
        verdicts : tuple of str
            Name of each number.
        """
        names, codes = np.unique(self.verdicts.astype(str), return_inverse=True)
        table = np.full((len(self.item_ids), len(self.reviewer_names)), -1, dtype=np.int64)
        table[self.items, self.reviewers] = codes
        return table, tuple(str(name) for name in names)


def votes_from(
    places: Sequence[int],
    reviewers: Sequence[str],
    verdicts: Sequence[str],
    streams: Sequence[str],
    ms: Sequence[float | None],
    server_time: Sequence[float],
    item_ids: Sequence[str],
    given: Sequence[str],
    suggested: Sequence[str | None],
) -> VoteTable:
    """Make the table from columns with one entry per verdict; items are told apart by their place."""
    order = np.lexsort((np.array(reviewers, dtype=object).astype(str), np.array(places, dtype=np.int64)))
    place = np.array(places, dtype=np.int64)[order]
    unique, first, item = np.unique(place, return_index=True, return_inverse=True)
    names, person = np.unique(np.array(reviewers, dtype=object).astype(str)[order], return_inverse=True)
    return VoteTable(
        items=item.astype(np.int64).reshape(-1),
        reviewers=person.astype(np.int64).reshape(-1),
        verdicts=objects(verdicts)[order],
        streams=objects(streams)[order],
        ms=np.array([np.nan if m is None else m for m in ms], dtype=np.float64)[order],
        server_time=np.array(server_time, dtype=np.float64)[order],
        item_ids=objects(item_ids)[order][first],
        given=objects(given)[order][first],
        suggested=objects(suggested)[order][first],
        places=unique,
        reviewer_names=tuple(str(name) for name in names),
    )


def objects(values: Sequence[Any]) -> np.ndarray:
    """An object array, also of values NumPy would like to unpack."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array
