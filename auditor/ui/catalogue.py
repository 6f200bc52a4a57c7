"""The items of a verdict store in the order of its list, as columns: filters and counts over a million of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.review.store import VerdictStore

#: Stands for "no class" in `Catalogue.suggested`.
NONE: Final = -1


@dataclass(frozen=True)
class PairCount:
    """Flagged items with one given label and one other candidate; `judged` are those with anybody's verdict."""

    given: str
    suggested: str
    flagged: int
    judged: int = 0


class Catalogue:
    """Every item of a verdict store; position k of a column is place k + 1 of the store's list.

    Attributes
    ----------
    class_names : tuple of str
    ids : pyarrow large_string array (n,)
    given, suggested : int32 arrays (n,)
        Numbers in `class_names`; `suggested` is `NONE` where an item has no other candidate.
    score : float64 array (n,)
        NaN where the item was not audited.
    flagged : bool array (n,)
    """

    def __init__(self, store: VerdictStore) -> None:
        self.class_names = store.class_names
        # Not from the run's tables: a store may list what another run of the same items has found.
        table = store.columns(("item_id", "given", "suggested", "score", "flagged"))
        self.ids: pa.LargeStringArray = table["item_id"].combine_chunks()
        self.given, self.suggested = self._codes(table["given"]), self._codes(table["suggested"])
        self.score = table["score"].fill_null(np.nan).to_numpy()
        self.flagged = table["flagged"].to_numpy() == 1

    def _codes(self, names: pa.ChunkedArray) -> np.ndarray:
        codes = pc.index_in(names, value_set=pa.array(self.class_names, type=names.type))
        return codes.fill_null(NONE).to_numpy().astype(np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def code(self, name: str) -> int:
        """Number of a class; a number that no item has where there is no such class."""
        return self._numbers.get(name, NONE - 1)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.class_names)}

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of classes that flagged items have, as one number each, the commonest first; how many items."""
        with_candidate = self.flagged & (self.suggested != NONE)
        numbers, counts = np.unique(self._pair_numbers()[with_candidate], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return numbers[order], counts[order]

    def _pair_numbers(self) -> np.ndarray:
        return self.given.astype(np.int64) * len(self.class_names) + self.suggested

    def pairs(self, judged: np.ndarray) -> list[PairCount]:
        """The pairs of classes that flagged items have, the commonest first.

        Parameters
        ----------
        judged : int64 array
            Places of items that have a verdict, of `VerdictStore.judged_places`.
        """
        numbers, counts = self._pairs
        at = judged[judged <= len(self)] - 1
        done = pd.Series(self._pair_numbers()[at[self.flagged[at]]]).value_counts()
        judged_of = done.reindex(numbers, fill_value=0).to_numpy()
        given, suggested = np.divmod(numbers, max(1, len(self.class_names)))
        rows = zip(given.tolist(), suggested.tolist(), counts.tolist(), judged_of.tolist(), strict=True)
        return [PairCount(self.class_names[g], self.class_names[s], n, j) for g, s, n, j in rows]
