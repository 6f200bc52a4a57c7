"""Items found by words: of their ids, and of their texts or table rows, which are read once in the background."""

from __future__ import annotations

import sys
import threading
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auditor.core.errors import AuditorError
from auditor.core.escaping import printable_lines
from auditor.ui.catalogue import Catalogue
from auditor.ui.contents import Contents
from auditor.ui.rows import RunRows

#: Rows read at once, and letters kept of all texts: beyond, only ids are searched.
_STEP: Final = 2_000
MOST_LETTERS: Final = 500_000_000
#: Seconds that the first search waits for the texts.
PATIENCE: Final = 2.0


class WordSearch:
    """Finds items of one run by words. Safe to share between threads."""

    def __init__(self, catalogue: Catalogue, rows: RunRows, contents: Contents) -> None:
        self.catalogue, self.rows, self.contents = catalogue, rows, contents
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._texts: list[pa.LargeStringArray] = []
        self._n_read = 0
        self._letters = 0

    @property
    def has_texts(self) -> bool:
        """Whether items hold words at all."""
        return self.contents.kind in ("text", "table")

    def find(self, words: str, patience: float = PATIENCE) -> np.ndarray:
        """Whether each item of the catalogue holds every one of `words`, in any case, bool (n,)."""
        if self.has_texts:
            self._read(patience)
        texts = list(self._texts)  # what is read so far
        places = self._place_of_row[: sum(map(len, texts))] if texts else np.empty(0, np.int64)
        found = np.ones(len(self.catalogue), bool)
        for word in words.lower().split():
            hits = _holding(self._ids, word)
            if texts:
                at = places[np.concatenate([_holding(part, word) for part in texts])]
                hits[at[at >= 0]] = True
            found &= hits
        return found

    def note(self) -> str:
        """What a search does not see yet, in words; empty where it sees everything."""
        n = self.rows.n_items
        if not self.has_texts or self._n_read >= n:
            return ""
        if self._letters > MOST_LETTERS:
            return f"Texts of the first {self._n_read:,} of {n:,} rows are searched, and all ids."
        return f"The texts are still being read ({self._n_read / n:.0%}): more may be found."

    @cached_property
    def _ids(self) -> pa.LargeStringArray:
        return pc.utf8_lower(self.catalogue.ids)

    @cached_property
    def _place_of_row(self) -> np.ndarray:
        """Position in the catalogue of every row of the run; -1 where it holds none."""
        rows = self.rows.rows_in_order(self.catalogue.ids)
        places = np.full(self.rows.n_items, -1, np.int64)
        places[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        return places

    def _read(self, patience: float) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="auditor-texts", daemon=True)
                self._thread.start()
        self._thread.join(patience)

    def _work(self) -> None:
        try:
            for start in range(0, self.rows.n_items, _STEP):
                part = [
                    text.lower().encode(errors="replace").decode()  # half a surrogate pair is no text elsewhere
                    for text in self.contents.letters(start, start + _STEP)
                ]
                self._texts.append(pa.array(part, pa.large_string()))
                self._n_read += len(part)
                self._letters += sum(map(len, part))
                if self._letters > MOST_LETTERS:
                    return
        except AuditorError as error:
            # Ids are searched all the same; the items themselves say what is wrong with the data.
            sys.stderr.write(printable_lines(f"Warning: texts cannot be searched: {error.what}") + "\n")


def _holding(texts: pa.Array, word: str) -> np.ndarray:
    return np.array(pc.match_substring(texts, word).to_numpy(zero_copy_only=False), bool)
