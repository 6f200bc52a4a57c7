"""A run's items by content hash and by id, read as columns: a million items need no million Python objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.core.errors import UnreadableError
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import read_arrow

#: ``sha256:`` and 64 hexadecimal digits.
HASH_LENGTH = 71
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
#: Options a card offers on the digit keys.
N_OPTIONS = 5
#: Exemplars of a class are drawn from this many of its surest items, spread evenly: the very surest look alike.
POOL = 60
N_EXEMPLARS = 5


class RunRows:
    """Look-ups in the tables of one run. Reads each column once; safe to share between threads."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._columns: dict[str, pa.Array] = {}
        self.class_names = run.class_names

    def _column(self, name: str) -> pa.Array:
        """``id``, ``content_hash`` or ``given`` of all items; each is read alone, when first needed."""
        if name not in self._columns:
            self._columns[name] = read_arrow(self.run.file(layout.ITEMS), [name])[name].combine_chunks()
        return self._columns[name]

    @cached_property
    def _hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """First 8 bytes of every hash as numbers, sorted, and the row of each."""
        column = self._column("content_hash").cast(pa.large_string())
        lengths = pc.unique(pc.binary_length(column)).to_pylist()
        if lengths != [HASH_LENGTH]:
            raise UnreadableError(f"{str(self.run.path / layout.ITEMS)!r} holds content hashes of lengths {lengths}.")
        # Straight from the letters: a million Python strings take three times as long.
        start = int(np.frombuffer(column.buffers()[1], np.int64)[column.offset])
        letters = np.frombuffer(column.buffers()[2], np.uint8)[start : start + HASH_LENGTH * len(column)]
        digits = letters.reshape(-1, HASH_LENGTH)[:, 7:23]
        halves = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0")).astype(np.uint8)
        numbers = (halves[:, ::2] << 4 | halves[:, 1::2]).view(">u8").ravel().astype(np.uint64)
        order = np.argsort(numbers, kind="stable")
        return numbers[order], order

    def row_of_hash(self, content_hash: str) -> int | None:
        """First row in `items.parquet` with this content; None where the run has no such item.

        The only way from a request to an item: no path and no number ever comes from outside.
        """
        if not _HASH.fullmatch(content_hash):
            return None
        numbers, rows = self._hashes
        wanted = np.uint64(int(content_hash[7:23], 16))
        first, last = (np.searchsorted(numbers, wanted, side) for side in ("left", "right"))
        hashes = self._column("content_hash")
        return next((int(row) for row in np.sort(rows[first:last]) if hashes[int(row)].as_py() == content_hash), None)

    def rows_of_ids(self, ids: Sequence[str]) -> dict[str, int]:
        """Row in `items.parquet` of each known id."""
        column = self._column("id")
        asked = pc.index_in(column, value_set=pa.array(list(ids), type=column.type))
        rows = np.flatnonzero(pc.is_valid(asked).to_numpy(zero_copy_only=False))
        return {str(column[int(row)].as_py()): int(row) for row in rows}

    @property
    def n_items(self) -> int:
        """Rows of `items.parquet`."""
        return len(self._column("id"))

    def rows_in_order(self, ids: pa.Array) -> np.ndarray:
        """Row in `items.parquet` of each of `ids`, int64; -1 where there is none."""
        known = self._column("id").cast(ids.type)
        return pc.index_in(ids, value_set=known).fill_null(-1).to_numpy().astype(np.int64)

    def facts(self, row: int) -> dict[str, str]:
        """``id, content_hash, given`` of a row."""
        return {name: str(self._column(name)[row].as_py()) for name in ("id", "content_hash", "given")}

    @cached_property
    def _place_of_row(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.run.audited, kind="stable")
        return self.run.audited[order], order

    def options(self, item_id: str, row: int | None, given: str, suggested: str | None) -> list[str]:
        """Classes for the digit keys: the suggestion first, then by falling probability, never the given one."""
        names: list[str] = [] if suggested is None else [suggested]
        if self.run.form is not None:  # there is no list of labels to choose from
            return names
        probabilities = None if row is None else self.probabilities(row)
        if probabilities is not None:
            order = np.argsort(-probabilities, kind="stable")
            names += [n for k in order[: N_OPTIONS + 2] if (n := self.class_names[int(k)]) not in (given, *names)]
        return names[:N_OPTIONS]

    def place(self, row: int) -> int | None:
        """Row of an item in the arrays of audited items; None where it was not audited."""
        rows, places = self._place_of_row
        at = int(np.searchsorted(rows, row))
        return None if at == len(rows) or rows[at] != row else int(places[at])

    def probabilities(self, row: int) -> np.ndarray | None:
        """Out-of-sample probabilities of an item, float (K,); None where it was not audited."""
        place = self.place(row)
        return None if place is None else np.asarray(self.run.pred_probs[place])

    @cached_property
    def exemplars(self) -> dict[str, list[str]]:
        """Ids of surely right items by class: not flagged, and the model gives the label a high p.

        Taken evenly from the surest `POOL` of each class. None where labels are no classes.
        """
        if self.run.form is not None:
            return {}
        table = read_arrow(self.run.file(layout.SCORES), ["row", "given", "p_given", "flagged"])
        given = table["given"].combine_chunks().dictionary_encode()
        codes, names = given.indices.to_numpy(), given.dictionary.to_pylist()
        if len(names) < 1 << 16:
            codes = codes.astype(np.uint16)  # sorted by counting, ten times as fast
        sure = table["p_given"].to_numpy().astype(np.float64)
        sure[table["flagged"].to_numpy(zero_copy_only=False)] = -1.0
        rows = table["row"].to_numpy()
        # Class after class by one sort: a mask per class would read a million rows a hundred times.
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
        exemplars: dict[str, list[str]] = {}
        for code, name in enumerate(names):
            members = order[ends[code] : ends[code + 1]]
            members = members[sure[members] > 1 / len(self.class_names)]
            if len(members) > POOL:
                members = members[np.argpartition(-sure[members], POOL)[:POOL]]
            members = members[np.argsort(-sure[members], kind="stable")]
            spread = np.unique(np.linspace(0, len(members) - 1, min(len(members), 2 * N_EXEMPLARS)).astype(int))
            exemplars[str(name)] = self._column("id").take(pa.array(rows[members[spread]])).to_pylist()
        return exemplars

    def warm(self) -> None:
        """Read what the first page needs, and the pictures on it."""
        _ = self._place_of_row, self.exemplars, self._hashes

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Items that are copies or near copies of others.

        Returns
        -------
        dict
            ``row`` int64 (m,), ``group`` int64 (m,): the members of groups of two or more, group after group;
            ``exact`` bool (m,): has the same content as another member; ``conflict`` bool (m,): the group holds
            several labels.
        """
        table = read_arrow(self.run.file(layout.ITEMS), ["group", "label"])
        group, label = table["group"].to_numpy(), table["label"].to_numpy()
        numbers, order = self._hashes
        same = numbers[1:] == numbers[:-1]
        copied = np.zeros(len(group), dtype=bool)
        copied[order[1:][same]] = copied[order[:-1][same]] = True
        _, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(counts[inverse] > 1)
        rows = rows[np.argsort(inverse[rows], kind="stable")]
        number = inverse[rows]
        conflict = pd.Series(label[rows]).groupby(number).transform("nunique").to_numpy() > 1
        return {"row": rows, "group": group[rows], "exact": copied[rows], "conflict": conflict}

    @cached_property
    def group_table(self) -> pd.DataFrame:
        """Groups with contradicting labels first, then the largest: ``group, items, exact copies, contradicting``."""
        groups = pd.DataFrame(self.groups).groupby("group", as_index=False)
        columns = {"items": ("exact", "size"), "exact copies": ("exact", "sum"), "contradicting": ("conflict", "first")}
        table = groups.agg(**columns)
        by = ["contradicting", "items", "group"]
        return table.sort_values(by, ascending=[False, False, True], kind="stable", ignore_index=True)

    @cached_property
    def _places(self) -> tuple[np.ndarray, pa.Array]:
        table = read_arrow(self.run.file(layout.ITEMS), ["index", "split"])
        return table["index"].to_numpy(), table["split"].combine_chunks().dictionary_encode()

    def describe(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """``id, content_hash, given, split, index`` of rows."""
        index, split = self._places
        return [{**self.facts(row), "split": split[row].as_py(), "index": int(index[row])} for row in rows]
