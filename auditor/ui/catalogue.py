"""The items of a verdict store in the order of its list, as columns: filters and counts over a million of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.core.errors import StorageError, UnreadableError
from auditor.review.store import VerdictStore
from auditor.runs import layout
from auditor.runs.tables import read_arrow, write_table

#: Stands for "no class" in `Catalogue.suggested`.
NONE: Final = -1


@dataclass(frozen=True)
class PairCount:
    """Flagged items with one given label and one other candidate; `judged` are those with anybody's verdict."""

    given: str
    suggested: str
    flagged: int
    judged: int = 0


_SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.large_string()),
        ("given", pa.int32()),
        ("suggested", pa.int32()),
        ("score", pa.float64()),
        ("flagged", pa.bool_()),
    ]
)


def _from_store(store: VerdictStore) -> pa.Table:
    # Not from the run's tables: a store may list what another run of the same items has found.
    table = store.columns(_SCHEMA.names)
    classes = pa.array(store.class_names, pa.large_string())
    columns = {
        "item_id": table["item_id"],
        **{side: pc.index_in(table[side], value_set=classes).fill_null(NONE) for side in ("given", "suggested")},
        "score": table["score"].fill_null(np.nan),
        "flagged": pc.equal(table["flagged"], 1),
    }
    return pa.table(columns, _SCHEMA)


def _kept(store: VerdictStore, folder: Path) -> pa.Table:
    """The columns from the file that a run folder keeps; made there where it is not, or not whole."""
    path = folder / layout.CATALOGUE.format(store.list_id)
    if path.is_file():
        with suppress(UnreadableError):
            table = read_arrow(path, _SCHEMA.names)
            if table.schema.equals(_SCHEMA) and len(table) == store.facts["n_items"]:
                return table
    table = _from_store(store)
    with suppress(StorageError):  # it only saves time: a run on a full or read-only disk can be reviewed as well
        write_table(path, table, "auditor.catalogue/1")
    return table


class Catalogue:
    """Every item of a verdict store; position k of a column is place k + 1 of the store's list.

    Parameters
    ----------
    store : VerdictStore
    folder : Path, optional
        A run folder that keeps the columns in a file: of a million items they come from the store in 4 s, from there in
        0.1 s.

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

    def __init__(self, store: VerdictStore, folder: Path | None = None) -> None:
        self.class_names = store.class_names
        table = _from_store(store) if folder is None else _kept(store, folder)
        self.ids: pa.LargeStringArray = table["item_id"].combine_chunks()
        self.given, self.suggested = table["given"].to_numpy(), table["suggested"].to_numpy()
        self.score = table["score"].to_numpy()
        self.flagged = table["flagged"].to_numpy()

    def __len__(self) -> int:
        return len(self.ids)

    def has_id(self, ids: Iterable[str]) -> np.ndarray:
        """Which items have one of these ids, bool (n,)."""
        wanted = pa.array(ids, pa.large_string())
        return pc.is_in(self.ids, value_set=wanted).to_numpy(zero_copy_only=False).astype(bool)

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
        # Counted by a table of what occurs: sorting a million numbers takes five times as long.
        counted = pc.value_counts(pa.array(self._pair_numbers()[with_candidate]))
        numbers, counts = counted.field("values").to_numpy(), counted.field("counts").to_numpy()
        order = np.lexsort((numbers, -counts))
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
