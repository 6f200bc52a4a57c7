"""Verdicts of several reviewers as arrays: what every consensus rule reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_COLUMNS = ("place", "reviewer", "verdict", "stream", "ms", "server_time", "item_id", "given", "suggested")


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


def votes_from(rows: Iterable[Sequence[Any]]) -> VoteTable:
    """Make the table from one row per verdict: ``place, reviewer, verdict, stream, ms, server_time, item_id, given,
    suggested``. Items are told apart by their place; `ms` may be None."""
    table = pd.DataFrame(list(rows), columns=_COLUMNS, dtype=object).sort_values(["place", "reviewer"])
    _, first, item = np.unique(table["place"].to_numpy(np.int64), return_index=True, return_inverse=True)
    names, person = np.unique(table["reviewer"].to_numpy(object).astype(str), return_inverse=True)
    column = {name: table[name].to_numpy(object) for name in _COLUMNS}
    return VoteTable(
        items=item.astype(np.int64).reshape(-1),
        reviewers=person.astype(np.int64).reshape(-1),
        verdicts=column["verdict"],
        streams=column["stream"],
        ms=column["ms"].astype(np.float64),
        server_time=column["server_time"].astype(np.float64),
        item_ids=column["item_id"][first],
        given=column["given"][first],
        suggested=column["suggested"][first],
        reviewer_names=tuple(names.tolist()),
    )
