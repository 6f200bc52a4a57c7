"""Several annotators an item: a cell is the consensus about one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from scipy.special import logit

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError
from auditor.data.intake import check_probabilities, open_matrix
from auditor.detect.margins import best_other
from auditor.detect.thresholds import best_expected_f1
from auditor.engine.validate import check_columns
from auditor.kinds.base import KindFlags
from auditor.review.annotator_model import AnnotatorFit, fit_annotators
from auditor.review.asking import whom_to_ask

UNSURE, OUTVOTED = "LE031", "LE032"
#: Next questions that a document names, at most.
QUESTIONS = 100
#: Probabilities are kept this far from 0 and 1 before their logit.
_EDGE = 1e-15


@dataclass(frozen=True, eq=False)
class AnnotatedItems:
    """Votes and, if there is a model, its probabilities, checked.

    Attributes
    ----------
    labels : int64 array (n, A)
        Place in `classes` of what each annotator said; -1 = was not asked.
    classes : int64 array (K,)
        Class numbers: of the model's columns or, without a model, those that occur, and one more if only one does.
    probabilities : float array (n, K) or None
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray | None

    def fit(self) -> AnnotatorFit:
        """Consensus and annotators (`auditor.review.annotator_model`)."""
        items, annotators = np.nonzero(self.labels >= 0)
        shape = (*self.labels.shape, len(self.classes))
        return fit_annotators(items, annotators, self.labels[items, annotators], shape, self.probabilities)


class SeveralAnnotators:
    """The kind ``annotators``."""

    name: ClassVar[str] = "annotators"
    summary: ClassVar[str] = "labels of several annotators an item, with or without a model"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            UNSURE: "the consensus is unsure; one more label would tell",
            OUTVOTED: "the consensus is unsure, and not what most annotators said",
        }
    )

    def read(self, *, labels: Any, pred_probs: Any = None) -> AnnotatedItems:
        """Open the labels and, if there are any, the probabilities.

        Parameters
        ----------
        labels : path, array, data frame or list of rows (n, annotators)
            Class numbers from 0; -1 (or an empty cell) where an annotator was not asked.
        pred_probs : the same (n, K), optional
            Out-of-sample probabilities of a model; rows sum to 1.

        Raises
        ------
        EmptyDataError
            No items, no annotators, or no label at all.
        LabelError
            A value that is no class; with the item and the annotator.
        ProbabilityError
            Values that are no probabilities, or another number of rows.
        """
        source, _ = open_matrix(labels, "labels")
        n, n_annotators = source.shape
        if not n * n_annotators:
            raise EmptyDataError(f"{source.name} has shape {source.shape}: no label is there.")
        votes = _votes(source.read(0, n), source.name)
        if pred_probs is None:
            classes = np.unique(votes[votes >= 0])
            if len(classes) < 2:
                classes = np.union1d(classes, int(classes[0] == 0))
            return AnnotatedItems(np.where(votes < 0, -1, np.searchsorted(classes, votes)), classes, None)
        model, _ = open_matrix(pred_probs, "pred_probs")
        check_columns(model.shape[0], model.shape[0], model.shape[1], model.name)
        p, _ = check_probabilities(model.read(0, model.shape[0]), model.name)
        if len(p) != n:
            raise ProbabilityError(
                f"{model.name} has {len(p):,} rows, {source.name} {n:,}.", "Both hold one row an item."
            )
        _refuse(votes >= p.shape[1], votes, f"{model.name} has columns 0 to {p.shape[1] - 1}", source.name)
        return AnnotatedItems(votes, np.arange(p.shape[1]), p)

    def flag(self, given: AnnotatedItems) -> KindFlags:
        """Score each item by the log-odds that its consensus is wrong; flag as many as make the expected F1 largest."""
        fit = given.fit()
        consensus = fit.labels
        # Summed, not subtracted from 1: what is left of a sure consensus is far smaller than the rounding of 1.
        others = fit.posterior.copy()
        others[np.arange(len(others)), consensus] = 0.0
        wrong = others.sum(axis=1)
        order = np.argsort(-wrong, kind="stable")
        count, expected = best_expected_f1(wrong[order])
        flagged = order[:count]
        votes = fit.votes.counts[flagged]
        outvoted = votes[np.arange(count), consensus[flagged]] < votes.max(axis=1)
        scores = logit(np.clip(wrong, _EDGE, 1 - _EDGE))
        asked = whom_to_ask(fit, count=QUESTIONS)
        return KindFlags(
            kind=self.name,
            axes=("item",),
            shape=scores.shape,
            flagged=flagged[:, None],
            given=given.classes[consensus[flagged]],
            suggested=given.classes[best_other(fit.posterior[flagged], consensus[flagged])[0]],
            codes=np.where(outvoted, OUTVOTED, UNSURE),
            expected_f1=expected,
            blocks=lambda: [scores],
            facts={
                "consensus": given.classes[consensus],
                "annotator_quality": fit.annotators.accuracy,
                "expected_wrong": float(wrong.sum()),
                "ask_next": [{name: row[name].item() for name in asked.dtype.names or ()} for row in asked],
            },
        )


def _votes(values: np.ndarray, where: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    values = np.where(np.isnan(values), -1.0, values)
    _refuse(
        (values != np.floor(values)) | (values < -1) | ~np.isfinite(values), values, "class numbers are wanted", where
    )
    if (values == -1).all():
        raise EmptyDataError(f"{where}: every entry is -1, nobody was asked.", "Give class numbers from 0.")
    return values.astype(np.int64)


def _refuse(bad: np.ndarray, values: np.ndarray, why: str, where: str) -> None:
    if bad.any():
        item, annotator = np.argwhere(bad)[0]
        raise LabelError(
            f"{where}: {values[item, annotator]} of annotator {annotator} for item {item}; {why}.",
            "Number the classes from 0, and write -1 where an annotator was not asked.",
        )
