"""Sets of tags: each item has any number of classes, and a cell is whether it has one of them.

Read in blocks of rows, three times at most, however many there are: to check, to flag, and to write the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import numba
import numpy as np
from scipy.special import expit, logit

from auditor.core.errors import ClassOrderError, EmptyDataError, LabelError, ProbabilityError, UsageError
from auditor.core.label_forms import LabelForm
from auditor.data.intake import open_matrix
from auditor.data.labels import listed
from auditor.detect.thresholds import best_expected_f1
from auditor.engine.executors import ThreadExecutor
from auditor.engine.kernels import widened
from auditor.engine.semantics import MAX_CLIP, ROW_SUM_TOLERANCE
from auditor.engine.sources import ProbabilitySource, ReorderedSource
from auditor.kinds.base import Judged, KindFlags, Table
from auditor.kinds.tag_model import TagModel, fit_tag_model

MISSING_TAG, SURPLUS_TAG = "LE011", "LE012"
FOLDS = 5
#: Cells that the model is fitted to, at most: of the items whose rows have the smallest hashes.
FITTED_CELLS: Final = 1_000_000
#: Cells are flagged from this probability on, at least: of those below, fewer than one in ten is wrong.
LEAST_WRONG: Final = 0.1
#: Items that a group of like sets of tags needs to be spread over the folds by itself.
FEWEST_OF_STRATUM: Final = 10
#: Rows from which on it is asked whether probabilities and labels belong together, and standard errors that tell.
_ENOUGH_ROWS, _SIGMAS = 50, 6.0
#: Smallest probability that is pooled.
_FLOOR: Final = 1e-6
#: Cells worked on at once.
_BLOCK_CELLS = 1 << 19


@dataclass(frozen=True, eq=False)
class TagSets:
    """Probabilities and given tags of the same items, checked.

    Attributes
    ----------
    probabilities : ProbabilitySource
        (n, K), each value in [0, 1] up to rounding: P(the item has the tag).
    labels : ProbabilitySource
        (n, K), each value 0 or 1.
    row_hash : uint64 array (n,)
        Of what each row holds. Folds and samples are made by it, so that the order of the rows changes nothing and
        equal rows lie in one fold.
    """

    probabilities: ProbabilitySource
    labels: ProbabilitySource
    row_hash: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Items, classes."""
        return self.probabilities.shape

    @property
    def fold(self) -> np.ndarray:
        """int64 (n,), 0 .. FOLDS - 1."""
        return (self.row_hash % FOLDS).astype(np.int64)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities, float, and tags, bool, of a range of rows."""
        return _read(self.probabilities, self.labels, start, stop)

    def sample(self, cells: int) -> np.ndarray:
        """Positions of as many items as have so many cells, by the hashes of their rows; int64."""
        rows = min(len(self.row_hash), max(1, cells // self.shape[1]))
        return np.argsort(self.row_hash // FOLDS, kind="stable")[:rows]

    def rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, of the items at `positions`, in that order."""
        p = np.empty((len(positions), self.shape[1]))
        tags = np.empty(p.shape, bool)
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        for start, stop in _ranges(self.shape):
            here = slice(*np.searchsorted(ascending, (start, stop)))
            if here.start < here.stop:
                block_p, block_tags = self.read(start, stop)
                at = ascending[here] - start
                p[order[here]], tags[order[here]] = block_p[at], block_tags[at]
        return p, tags


class MultiLabel:
    """The kind ``multilabel``."""

    name: ClassVar[str] = "multilabel"
    output: ClassVar[Literal["tags", "number", "sequence"]] = "tags"
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
            0 or 1. Where the columns of both have names, they are brought into the order of the probabilities.

        Raises
        ------
        EmptyDataError
            No rows, or no columns.
        ProbabilityError
            Not finite, outside [0, 1], all equal, or of other rows than the labels.
        LabelError
            Another shape than the probabilities, or a value that is not 0 or 1.
        ClassOrderError
            The columns of the two are called differently.
        UsageError
            One class an item: that is no set of tags.
        """
        p, names = open_matrix(pred_probs, "pred_probs")
        y, label_names = open_matrix(labels, "labels", LabelError)
        if not p.shape[0] * p.shape[1]:
            raise EmptyDataError(f"{p.name} has shape {p.shape}: there is nothing to flag.")
        if p.dtype.kind != "f":
            raise ProbabilityError(
                f"{p.name} holds {p.dtype} values: labels, not probabilities.",
                "Give the probabilities a model predicts.",
            )
        if y.shape != p.shape:
            raise LabelError(
                f"{y.name} has shape {y.shape}, {p.name} {p.shape}.",
                "Both hold one row an item and one column a class: 1 where the item has the tag, else 0.",
            )
        if names is not None and label_names is not None and names != label_names:
            if sorted(names) != sorted(label_names):
                raise ClassOrderError(
                    f"the columns of {p.name} are called {listed(names)}, those of {y.name} {listed(label_names)}.",
                    "Give both the same columns.",
                )
            y = ReorderedSource(y, [label_names.index(name) for name in names])
        hashes, means = _check(p, y)
        _refuse_unrelated(means, p.shape[0], p.name)
        return TagSets(p, y, hashes)

    def strata(self, values: np.ndarray) -> np.ndarray:
        """The rarest tag of each item; tags of few items, and items without one, make one group."""
        counts = values.sum(axis=0)
        rare = np.where(values, counts, len(values) + 1).min(axis=1)
        order = np.argsort(counts, kind="stable")
        of = np.where(rare <= len(values), np.argmax(values[:, order], axis=1) + 1, 0)
        sizes = np.bincount(of, minlength=len(order) + 1)
        of = np.where(sizes[of] < FEWEST_OF_STRATUM, 0, of)
        sizes = np.bincount(of, minlength=len(order) + 1)
        if sizes[0] < FEWEST_OF_STRATUM:  # with the largest
            of = np.where(of == 0, sizes.argmax(), of)
        if len(np.unique(of)) < 2:  # nothing is left to spread evenly, and folds are made of two groups at least
            of = np.arange(len(values)) % 2
        return np.unique(of, return_inverse=True)[1].astype(np.int64)

    def outputs(self, form: LabelForm, values: np.ndarray) -> int:
        """One for each tag."""
        return len(form.names)

    def pool(self, predictions: list[np.ndarray]) -> np.ndarray:
        """Probabilities, float32 (n, K): the mean of the models' log-odds."""
        clipped = [np.clip(p.astype(np.float64), _FLOOR, 1 - _FLOOR) for p in predictions]
        pooled: np.ndarray = expit(np.mean([logit(p) for p in clipped], axis=0)).astype(np.float32)
        return pooled

    def judge(
        self, predictions: np.ndarray, values: np.ndarray, form: LabelForm, texts: Sequence[str] | None = None
    ) -> Judged:
        """Items with a flagged cell are flagged; a suggestion is the given set with its flagged tags changed, or its
        most suspicious one."""
        p, _ = open_matrix(predictions, "predictions")
        y, _ = open_matrix(values.astype(np.uint8), "labels", LabelError)
        flags, any_wrong = _flag(TagSets(p, y, _check(p, y)[0]))
        n, k = flags.shape
        changed, worst = np.zeros((n, k), dtype=bool), np.empty(n, np.int64)
        changed[tuple(flags.flagged.T)] = True
        start = 0
        for block in flags.blocks():
            worst[start : start + len(block)] = block.argmax(axis=1)
            start += len(block)
        flagged: np.ndarray = np.bincount(flags.flagged[:, 0], minlength=n) > 0
        rows = np.arange(n)
        first = {int(item): int(tag) for item, tag in flags.flagged[::-1]}  # the most suspicious cell of each
        worst[list(first)] = list(first.values())
        changed[rows[~flagged], worst[~flagged]] = True
        names = np.array(form.names, dtype=object)
        missing, surplus = changed & ~values, changed & values
        said = [
            "; ".join(
                f"{words} {', '.join(names[tags[row]])}"
                for words, tags in (("lacks", missing), ("should not have", surplus))
                if tags[row].any()
            )
            if flagged[row]
            else ""
            for row in rows
        ]
        order = np.argsort(-changed[flagged].sum(axis=0), kind="stable")
        by_tag = tuple(
            (names[t], int(values[:, t].sum()), int(missing[flagged, t].sum()), int(surplus[flagged, t].sum()))
            for t in order.tolist()
        )
        return Judged(
            score=np.asarray(flags.facts["item_scores"], np.float64),
            wrong=any_wrong,
            flagged=flagged,
            suggested=np.array([form.write(row) for row in values ^ changed], dtype=object),
            codes=np.where(values[rows, worst], SURPLUS_TAG, MISSING_TAG),
            messages=said,
            expected_f1=flags.expected_f1,
            agreement=("accuracy of tags", float(((predictions >= 0.5) == values).mean())),
            tables=(Table("By tag", ("tag", "items", "flagged as missing", "flagged as surplus"), by_tag),),
        )

    def flag(self, given: TagSets) -> KindFlags:
        """Score every cell by `auditor.kinds.tag_model`, and flag as many as make the expected F1 largest."""
        return _flag(given)[0]


def _flag(given: TagSets) -> tuple[KindFlags, np.ndarray]:
    """`MultiLabel.flag`, and P(anything of the item is wrong), float64 (n,)."""
    fold, sample = given.fold, given.sample(FITTED_CELLS)
    model = fit_tag_model(*given.rows(sample), fold[sample], FOLDS)
    n, _ = given.shape
    items, expected, any_wrong = np.empty(n), np.empty(n), np.empty(n)
    cells, scores, chances, has = [], [], [], []
    for start, stop, block, score, wrong, block_items, block_wrong in _judged(given, model, fold):
        items[start:stop], any_wrong[start:stop] = block_items, block_wrong
        expected[start:stop] = wrong.sum(axis=1, dtype=np.float64)
        rows, columns = np.nonzero(wrong >= LEAST_WRONG)
        cells.append(np.stack([rows + start, columns], axis=1))
        scores.append(score[rows, columns])
        chances.append(wrong[rows, columns])
        has.append(block[rows, columns])
    cell, score, chance, tagged = (np.concatenate(part) for part in (cells, scores, chances, has))
    total = float(expected.sum())
    order = np.lexsort((cell[:, 1], given.row_hash[cell[:, 0]], -score))
    count, expected_f1 = _cut(np.sort(chance.astype(np.float64))[::-1], total)
    chosen = order[:count]
    tag = tagged[chosen].astype(np.int64)
    facts = {
        "item_scores": items,
        "expected_wrong": total,
        "rates": {
            "lost": model.rates[-1].lost.tolist(),
            "added": model.rates[-1].added.tolist(),
            "swapped": model.rates[-1].swapped,
        },
    }

    def blocks() -> Iterator[np.ndarray]:
        dtype = np.float32 if given.probabilities.dtype.itemsize <= 4 else np.float64
        for _, _, _, score, *_ in _judged(given, model, fold):
            yield score.astype(dtype)

    codes = np.where(tag == 1, SURPLUS_TAG, MISSING_TAG)
    flags = KindFlags(
        MultiLabel.name, ("item", "class"), given.shape, cell[chosen], tag, 1 - tag, codes, expected_f1, blocks, facts
    )
    return flags, any_wrong


def _cut(ranked: np.ndarray, total: float) -> tuple[int, float | None]:
    """How many of the cells that may be flagged are, and their expected F1, where `total` cells are wrong in all."""
    if not len(ranked):
        return 0, None
    rest = max(total - ranked.sum(), 0.0)
    return best_expected_f1(ranked, rest)


def _ranges(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK_CELLS // shape[1])
    for start in range(0, shape[0], step):
        yield start, min(shape[0], start + step)


def _read(
    probabilities: ProbabilitySource, labels: ProbabilitySource, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    p = np.ascontiguousarray(widened(probabilities.read(start, stop)))
    return p, np.ascontiguousarray(labels.read(start, stop) != 0)


def _judged(given: TagSets, model: TagModel, fold: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """(first row, end, tags, and what `TagModel.judge` says) of each block, in order."""

    def job(source: TagSets, start: int, stop: int) -> tuple[Any, ...]:
        p, tags = source.read(start, stop)
        return start, stop, tags, *model.judge(p, tags, fold[start:stop])

    yield from ThreadExecutor().run(job, given, _ranges(given.shape))


def _check(p: ProbabilitySource, y: ProbabilitySource) -> tuple[np.ndarray, np.ndarray]:
    """Check every value; the hashes of the rows, and means over them of p, p^2, tag and p * tag of each class."""
    n, k = p.shape
    hashes = np.empty(n, np.uint64)
    # Sums over the rows of p, p^2, tag and p * tag.
    moments = np.zeros((4, k))
    single = True

    def job(_: None, start: int, stop: int) -> tuple[int, int, np.ndarray, bool, np.ndarray]:
        values, tags = np.ascontiguousarray(widened(p.read(start, stop))), y.read(start, stop)
        if y.dtype.kind not in "b":
            other = (tags != 0) & (tags != 1)
            if other.any():
                row, column = np.argwhere(other)[0]
                raise LabelError(
                    f"{y.name}: {tags[row, column]} in row {start + row}, column {column} is neither 0 nor 1; "
                    f"{int(other.sum()):,} such cells in rows {start} to {stop - 1}.",
                    "A column a class: 1 where the item has the tag, 0 where it has not.",
                )
        tags = np.ascontiguousarray(tags != 0)
        sums, row_hashes = np.zeros((4, k)), np.empty(stop - start, np.uint64)
        bad = _scan(values, tags, sums, row_hashes, MAX_CLIP)
        if bad >= 0:
            row, column = divmod(bad, k)
            value = values[row, column]
            raise ProbabilityError(
                f"{p.name}: {value} in row {start + row}, column {column} is no probability.",
                "Of logits z give 1 / (1 + exp(-z))." if np.isfinite(value) else "Every cell needs a number in [0, 1].",
            )
        one = k > 1 and bool((tags.sum(axis=1) == 1).all())
        one = one and bool((np.abs(values.sum(axis=1, dtype=np.float64) - 1) <= ROW_SUM_TOLERANCE).all())
        return start, stop, sums, one, row_hashes

    for start, stop, sums, one, row_hashes in ThreadExecutor().run(job, None, _ranges(p.shape)):
        hashes[start:stop] = row_hashes
        moments += sums
        single = single and one
    if single and n > 1:
        raise UsageError(
            "each item has one tag, and its probabilities sum to 1: these are single labels.",
            "auditor flag --pred-probs P --labels Y with labels.argmax(axis=1), without --kind.",
        )
    return hashes, moments / n


def _refuse_unrelated(means: np.ndarray, n: int, where: str) -> None:
    """Refuse probabilities that say nothing about the labels although they differ between items.

    Of a calibrated model, the covariance of probability and tag is the variance of the probability. Where that would be
    seen by far and there is none, the rows are not those of the labels. A negative one is something else: wrong labels.
    """
    p, squares, tags, products = means
    variance = np.maximum(squares - p**2, 0.0)
    if n > 1 and (variance <= 1e-12).all():
        raise ProbabilityError(
            f"{where} holds the same probabilities for every item: they say nothing about single labels.",
            "Give out-of-sample predictions of a model that has learned something.",
        )
    covariance, error = (products - p * tags).sum(), np.sqrt((variance * tags * (1 - tags)).sum() / n)
    if n >= _ENOUGH_ROWS and abs(covariance) < 3 * error and variance.sum() > _SIGMAS * error + 3 * error:
        raise ProbabilityError(
            f"{where} is unrelated to the labels: over {n:,} rows their covariance is {covariance:.2g}, not "
            f"{variance.sum():.2g}, as for a model of these labels.",
            "Row i of both must be the same item: are they in another order?",
        )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _scan(p, tags, sums, hashes, clip):  # type: ignore[no-untyped-def]
    """Sums and hashes of rows; the flat position of the first value that is no probability, else -1."""
    n, k = p.shape
    for i in range(n):
        state = np.uint64(0x9E3779B97F4A7C15)
        for j in range(k):
            value = np.float64(p[i, j])
            if not (value >= -clip and value <= 1.0 + clip):
                return i * k + j
            sums[0, j] += value
            sums[1, j] += value * value
            if tags[i, j]:
                sums[2, j] += 1.0
                sums[3, j] += value
            # 2^53 steps between 0 and 2, which is finer than float32
            bits = np.uint64(np.int64((value + 0.5) * 4503599627370496.0)) * np.uint64(2) + np.uint64(tags[i, j])
            state = (state ^ bits) * np.uint64(0xBF58476D1CE4E5B9)
            state ^= state >> np.uint64(29)
        hashes[i] = state
    return -1
