"""Sets of tags: each item has any number of classes, and a cell is whether it has one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError
from auditor.data.intake import open_matrix
from auditor.detect.margins import log_odds
from auditor.engine.semantics import MAX_CLIP
from auditor.engine.sources import ProbabilitySource
from auditor.kinds.base import KindFlags

MISSING_TAG, SURPLUS_TAG = "LE011", "LE012"
#: Cells worked on at once.
_BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class TagSets:
    """Probabilities and given tags of the same items, checked.

    Attributes
    ----------
    probabilities : ProbabilitySource
        (n, K), each value in [0, 1] up to rounding: P(the item has the tag).
    labels : ProbabilitySource
        (n, K), each value 0 or 1.
    """

    probabilities: ProbabilitySource
    labels: ProbabilitySource

    @property
    def shape(self) -> tuple[int, int]:
        return self.probabilities.shape

    def blocks(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(first row, probabilities, tags as bool), in order and without gaps."""
        n, k = self.shape
        step = max(1, _BLOCK_CELLS // k)
        for start in range(0, n, step):
            stop = min(n, start + step)
            p = np.clip(self.probabilities.read(start, stop).astype(np.float64), 0.0, 1.0)
            yield start, p, self.labels.read(start, stop) > 0.5


class MultiLabel:
    """The kind ``multilabel``."""

    name: ClassVar[str] = "multilabel"
    summary: ClassVar[str] = "sets of tags: 0/1 columns beside a probability for each"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {MISSING_TAG: "the item lacks a tag that it should have", SURPLUS_TAG: "the item has a tag that it should not"}
    )

    def read(self, *, pred_probs: Any, labels: Any) -> TagSets:
        """Open probabilities and tags.

        Parameters
        ----------
        pred_probs : path, array, data frame or list of rows (n, K)
            Out-of-sample probabilities that each item has each tag; rows need not sum to 1.
        labels : the same (n, K)
            0 or 1.

        Raises
        ------
        EmptyDataError
            No rows, or no columns.
        ProbabilityError
            Not finite, or outside [0, 1].
        LabelError
            Another shape than the probabilities, or a value that is not 0 or 1.
        """
        p, _ = open_matrix(pred_probs, "pred_probs")
        y, _ = open_matrix(labels, "labels")
        if not p.shape[0] * p.shape[1]:
            raise EmptyDataError(f"{p.name} has shape {p.shape}: there is nothing to flag.")
        if y.shape != p.shape:
            raise LabelError(f"{y.name} has shape {y.shape}, {p.name} {p.shape}.", "Both hold one row an item.")
        tags = TagSets(p, y)
        _check(tags)
        return tags

    def flag(self, given: TagSets) -> KindFlags:
        """Flag each tag where the probabilities prefer the opposite."""

        def blocks() -> Iterator[np.ndarray]:
            for _, p, y in given.blocks():
                right = np.where(y, p, 1 - p)
                yield log_odds(1 - right, right)

        flagged = np.concatenate([np.argwhere(s > 0) + np.array([start, 0]) for s, start in _starts(blocks())])
        scores = np.concatenate(list(blocks()))
        flagged = flagged[np.argsort(-scores[tuple(flagged.T)], kind="stable")]
        given_tags = np.concatenate([y for _, _, y in given.blocks()])[tuple(flagged.T)].astype(np.int64)
        codes = np.where(given_tags == 1, SURPLUS_TAG, MISSING_TAG)
        facts = {"item_scores": scores.max(axis=1)}
        return KindFlags(
            self.name, ("item", "class"), given.shape, flagged, given_tags, 1 - given_tags, codes, None, blocks, facts
        )


def _starts(pieces: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    start = 0
    for piece in pieces:
        yield piece, start
        start += len(piece)


def _check(tags: TagSets) -> None:
    n, k = tags.shape
    p, y = tags.probabilities, tags.labels
    step = max(1, _BLOCK_CELLS // k)
    for start in range(0, n, step):
        stop = min(n, start + step)
        values = p.read(start, stop)
        outside = ~((values >= -MAX_CLIP) & (values <= 1 + MAX_CLIP))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            value = values[row, column]
            raise ProbabilityError(
                f"{p.name}: {value} in row {start + row}, column {column} is no probability.",
                "Give 1 / (1 + exp(-z)) of logits z." if np.isfinite(value) else "Every cell needs a number.",
            )
        values = y.read(start, stop)
        other = (values != 0) & (values != 1)
        if other.any():
            row, column = np.argwhere(other)[0]
            raise LabelError(
                f"{y.name}: {values[row, column]} in row {start + row}, column {column} is neither 0 nor 1.",
                "A column a class: 1 where the item has the tag, 0 where it has not.",
            )
