"""Ordered classes: an item has one of them, and how far it lies from what is believed counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import numpy as np

from auditor.core.errors import LabelError
from auditor.core.label_forms import LabelForm
from auditor.data.intake import check_probabilities, open_matrix
from auditor.detect.thresholds import best_expected_f1
from auditor.engine.validate import check_columns
from auditor.kinds.base import Judged, KindFlags, Table
from auditor.kinds.multilabel import FEWEST_OF_STRATUM, MultiLabel
from auditor.kinds.tokens import whole_numbers

NEIGHBOUR, FURTHER = "LE061", "LE062"
#: Items are flagged from this probability on, at least.
LEAST_WRONG: Final = 0.1
#: Added to steps and to probabilities before their logarithms are compared.
SOFTENED: Final = 0.1
#: Of the labels so many are taken to be wrong beforehand, and of the wrong ones so many to be a class beside the right
#: one; the others are any class. Chosen, as `SOFTENED`, on three tables with labels moved to neighbours and further.
WRONG, BESIDE = 0.05, 0.25
#: Smallest probability of a class of a model that predicts whether an item lies above each.
_FLOOR: Final = 1e-4


@dataclass(frozen=True, eq=False)
class OrderedClasses:
    """Probabilities and given classes of the same items, checked.

    Attributes
    ----------
    probabilities : float array (n, K)
        Rows sum to 1; columns in the order of the classes.
    labels : int64 array (n,)
    """

    probabilities: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class OrdinalFit:
    """What is believed of every item.

    Attributes
    ----------
    score : float64 array (n,)
        Higher = more likely wrong.
    wrong : float64 array (n,)
        P(the given class is wrong).
    steps : float64 array (n,)
        By how many classes the best class is expected to be nearer to the truth than the given one; at least 0.
    suggested : int64 array (n,)
        The class expected to be nearest to the truth but for the given one.
    """

    score: np.ndarray
    wrong: np.ndarray
    steps: np.ndarray
    suggested: np.ndarray


class Ordinal:
    """The kind ``ordinal``."""

    name: ClassVar[str] = "ordinal"
    output: ClassVar[Literal["tags", "number", "sequence"]] = "tags"
    summary: ClassVar[str] = "ordered classes: how far a label lies from what is believed counts"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {NEIGHBOUR: "the class beside the given one is right", FURTHER: "a class further away is right"}
    )

    def read(self, *, pred_probs: Any, labels: Any) -> OrderedClasses:
        """Open probabilities and labels.

        Parameters
        ----------
        pred_probs : path, array, data frame or list of rows (n, K)
            Out-of-sample probabilities, columns from the lowest class to the highest; rows sum to 1.
        labels : path or sequence (n,)
            Places in that order, 0 .. K - 1.

        Raises
        ------
        EmptyDataError, ProbabilityError
            No rows; values that are no probabilities, with the row.
        LabelError
            Another number of labels than rows, or one that is no class; with the row.
        """
        source, _ = open_matrix(pred_probs, "pred_probs")
        check_columns(source.shape[0], source.shape[0], source.shape[1], source.name)
        p, _ = check_probabilities(source.read(0, source.shape[0]), source.name)
        given = whole_numbers(labels, "labels")
        if len(given) != len(p):
            raise LabelError(f"{len(given):,} labels for {len(p):,} rows of {source.name}.", "Give one label a row.")
        if len(bad := np.flatnonzero((given < 0) | (given >= p.shape[1]))):
            raise LabelError(
                f"labels: {given[bad[0]]} in row {bad[0]} is no class; {source.name} has {p.shape[1]} columns.",
                "Number the classes from the lowest, 0, to the highest.",
            )
        return OrderedClasses(p, given)

    def flag(self, given: OrderedClasses) -> KindFlags:
        """Score every label by `fit_ordinal`, and flag as many as make the expected F1 largest."""
        return self._flags(fit_ordinal(given.probabilities, given.labels), given.labels)

    def strata(self, values: np.ndarray) -> np.ndarray:
        """The classes; those of few items together with the next ones."""
        of = values.sum(axis=1)
        sizes = np.bincount(of, minlength=values.shape[1] + 1)
        group, last, held = np.zeros(len(sizes), np.int64), 0, 0
        for level, size in enumerate(sizes):
            group[level] = last
            held += size
            if held >= FEWEST_OF_STRATUM:
                last, held = last + 1, 0
        group = np.minimum(group, max(last - 1, 0))  # what is left over at the top
        strata = np.unique(group[of], return_inverse=True)[1].astype(np.int64)
        return strata if strata.max() > 0 else np.arange(len(values)) % 2

    def outputs(self, form: LabelForm, values: np.ndarray) -> int:
        """One for each class but the lowest: whether an item has this class or a higher one (Frank and Hall 2001)."""
        return len(form.names) - 1

    def pool(self, predictions: list[np.ndarray]) -> np.ndarray:
        """Probabilities of the classes, float32 (n, K): of the mean of the models' log-odds, in falling order."""
        above = -np.sort(-MultiLabel().pool(predictions).astype(np.float64), axis=1)
        edges = np.pad(above, ((0, 0), (1, 1)), constant_values=(1.0, 0.0))
        p = np.maximum(edges[:, :-1] - edges[:, 1:], _FLOOR)
        return np.asarray(p / p.sum(axis=1, keepdims=True), np.float32)

    def judge(
        self, predictions: np.ndarray, values: np.ndarray, form: LabelForm, texts: Sequence[str] | None = None
    ) -> Judged:
        """By the probabilities that `pool` gives."""
        given = values.sum(axis=1)
        fit = fit_ordinal(predictions.astype(np.float64), given)
        flags = self._flags(fit, given)
        flagged = np.zeros(len(given), bool)
        flagged[flags.flagged[:, 0]] = True
        names = form.names
        said = [
            f"labelled {names[given[k]]}, {names[fit.suggested[k]]} is nearer to what is believed by "
            f"{fit.steps[k]:.2g} classes"
            if flagged[k]
            else ""
            for k in range(len(given))
        ]
        sides = (np.ones(len(given), bool), fit.suggested < given, fit.suggested > given)
        rows = tuple(
            (name, int(own.sum()), *(int((flagged & own & side).sum()) for side in sides))
            for name, own in ((name, given == k) for k, name in enumerate(names))
        )
        distance = np.abs(predictions.argmax(axis=1) - given).mean()
        return Judged(
            score=fit.score,
            wrong=fit.wrong,
            flagged=flagged,
            suggested=np.array([names[k] for k in fit.suggested], dtype=object),
            codes=_codes(fit.suggested, given),
            messages=said,
            expected_f1=flags.expected_f1,
            agreement=("distance in classes", float(distance)),
            tables=(Table("By class", ("class", "items", "flagged", "too high", "too low"), rows),),
        )

    def _flags(self, fit: OrdinalFit, given: np.ndarray) -> KindFlags:
        order = np.lexsort((given, -fit.score))
        may = order[(fit.wrong[order] >= LEAST_WRONG) & (fit.steps[order] > 0)]
        rest = float(fit.wrong.sum() - fit.wrong[may].sum())
        count, expected = best_expected_f1(fit.wrong[may], max(rest, 0.0)) if len(may) else (0, None)
        chosen = may[:count]
        return KindFlags(
            kind=self.name,
            axes=("index",),
            shape=fit.score.shape,
            flagged=chosen[:, None],
            given=given[chosen],
            suggested=fit.suggested[chosen],
            codes=_codes(fit.suggested[chosen], given[chosen]),
            expected_f1=expected,
            blocks=lambda: [fit.score],
            facts={"expected_wrong": float(fit.wrong.sum()), "steps": fit.steps},
        )


def fit_ordinal(p: np.ndarray, given: np.ndarray) -> OrdinalFit:
    """Judge given classes by probabilities of ordered ones.

    The score compares two doubts on the scale of logarithms: by how many classes another one is expected to be nearer
    to the truth, and how likely the given one is. The first alone would put every neighbour last, the second alone
    would not know that one class beside the likeliest is nothing and three classes beside it are an error.

    Parameters
    ----------
    p : float64 array (n, K)
        Rows sum to 1.
    given : int64 array (n,)
    """
    n, k = p.shape
    rows, levels = np.arange(n), np.arange(k)
    apart = np.abs(levels[:, None] - levels[None, :])
    distance = p @ apart  # expected, from every class
    own = p[rows, given]
    steps = np.maximum(distance[rows, given] - distance.min(axis=1), 0.0)
    steps[steps < 1e-9] = 0.0
    beside = (apart == 1) / np.maximum((apart == 1).sum(axis=1, keepdims=True), 1)
    slips = BESIDE * beside + (1 - BESIDE) * (apart > 0) / max(k - 1, 1)
    by_error = WRONG * (p * slips[:, given].T).sum(axis=1)
    wrong = by_error / np.maximum(by_error + (1 - WRONG) * own, 1e-300)
    others = distance.copy()
    others[rows, given] = np.inf
    return OrdinalFit(np.log(steps + SOFTENED) - np.log(own + SOFTENED), wrong, steps, others.argmin(axis=1))


def _codes(suggested: np.ndarray, given: np.ndarray) -> np.ndarray:
    return np.where(np.abs(suggested - given) == 1, NEIGHBOUR, FURTHER)
