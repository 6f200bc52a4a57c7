"""Words of a text that speak for a class: counted in the run's own texts, marked on the review card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

_WORD: Final = re.compile(r"[^\W_]{2,}")
#: Texts read for the counts; more change the weights little.
MOST_TEXTS: Final = 20_000
#: Words marked per text and class.
MOST_MARKS: Final = 12
#: A word must stand in this many texts, and speak this clearly (log-odds) for its class.
MIN_TEXTS: Final = 5
MIN_WEIGHT: Final = 0.7


class Keywords:
    """Log-odds of words by class, from document counts with half a count added.

    Parameters
    ----------
    texts : sequence of str
    labels : int array (n,)
    class_names : sequence of str
    """

    def __init__(self, texts: Sequence[str], labels: np.ndarray, class_names: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self._number = {name: k for k, name in enumerate(class_names)}
        self._words: dict[str, int] = {}
        self._weights = np.zeros((len(class_names), 0), dtype=np.float32)
        if len(texts) < MIN_TEXTS:
            return
        vectorizer = CountVectorizer(token_pattern=_WORD.pattern, min_df=MIN_TEXTS, max_features=50_000, binary=True)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError:  # not one word is frequent enough
            return
        self._words = vectorizer.vocabulary_
        member = np.asarray(labels)[None, :] == np.arange(len(class_names))[:, None]
        inside, size = member.astype(np.float64) @ counts, member.sum(axis=1, keepdims=True)
        outside, others = inside.sum(axis=0) - inside, len(texts) - size
        odds_in = np.log((inside + 0.5) / (size - inside + 0.5))
        self._weights = (odds_in - np.log((outside + 0.5) / (others - outside + 0.5))).astype(np.float32)

    def marks(self, text: str, given: str, suggested: str | None) -> list[list[int]]:
        """Places to mark: ``[start, end, side]`` in letters, in order; side 0 speaks for `given`, 1 for `suggested`."""
        classes = [self._number.get(given), self._number.get(suggested or "")]
        if None in classes:
            return []
        words = [m for m in _WORD.finditer(text) if m.group().lower() in self._words]
        columns = [self._words[m.group().lower()] for m in words]
        # A word may speak for both classes against all others; then the stronger side marks it.
        marks: dict[int, tuple[float, int, int]] = {}
        for side, k in enumerate(classes):
            weighted = ((float(self._weights[k, c]), m.start(), m.end()) for m, c in zip(words, columns, strict=True))
            for weight, start, end in sorted(weighted, reverse=True)[:MOST_MARKS]:
                if weight >= MIN_WEIGHT and (start not in marks or marks[start][0] < weight):
                    marks[start] = (weight, end, side)
        return [[start, end, side] for start, (_, end, side) in sorted(marks.items())]
