"""The items of a run in the order of its list, as columns: filters, counts and orders over a million of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.core.errors import RunError
from auditor.review.store import VerdictStore
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import read_arrow

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

    def __init__(self, run: Run) -> None:
        self.class_names = run.class_names
        names = ["id", "given", "suggested"]
        scores = read_arrow(run.file(layout.SCORES), [*names, "score"])
        findings = read_arrow(run.file(layout.FINDINGS), names)
        texts = lambda table, name: table[name].combine_chunks().cast(pa.large_string())  # noqa: E731
        # As `auditor.review.loading` lists them: findings in their order, then all others, most suspicious first.
        found = texts(findings, "id").dictionary_encode()
        first = np.unique(found.indices.to_numpy(), return_index=True)[1]
        place = pc.index_in(texts(scores, "id"), value_set=found.dictionary)
        place = place.fill_null(len(first)).to_numpy()
        unscored = np.ones(len(first), bool)
        unscored[place[place < len(first)]] = False
        extra = findings.take(pa.array(first[unscored]))
        order = np.argsort(np.concatenate([place, np.flatnonzero(unscored)]), kind="stable")
        column = lambda name: pa.concat_arrays([texts(scores, name), texts(extra, name)]).take(order)  # noqa: E731
        self.ids: pa.LargeStringArray = column("id")
        self.given, self.suggested = self._codes(column("given")), self._codes(column("suggested"))
        score = np.concatenate([scores["score"].to_numpy().astype(np.float64), np.full(int(unscored.sum()), np.nan)])
        self.score = score[order]
        self.flagged = np.arange(len(order)) < len(first)

    def _codes(self, names: pa.LargeStringArray) -> np.ndarray:
        codes = pc.index_in(names, value_set=pa.array(self.class_names, type=names.type))
        return codes.fill_null(NONE).to_numpy().astype(np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def check(self, store: VerdictStore) -> None:
        """Stop where the store lists its items otherwise (RunError)."""
        n = store.facts["n_items"]
        places = sorted({1, n // 2 + 1, n}) if n else []
        here = [str(self.ids[place - 1].as_py()) for place in places if place <= len(self)]
        if n != len(self) or [item.item_id for item in store.at(places)] != here:
            raise RunError(
                "the verdict store lists its items in another order than the run.",
                "It was made of other tables: name another store with --store NEW, and take the verdicts over with: "
                "auditor import-verdicts RUN OLD --store NEW",
            )

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
