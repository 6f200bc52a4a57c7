"""A longer list of suspects, for data whose annotators' habits the model has learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence
from auditor.detect.combined import Combined, pooled
from auditor.detect.margins import best_other, given_probability, rank_order
from auditor.detect.thresholds import best_expected_f1, cut_by_verdicts


@dataclass(frozen=True)
class LongList:
    """The ranking of `combined` with a long flag list.

    Flags as many of the first items as make the expected F1 largest if 1 - P(given label), of the pool of networks and
    neighbours (`combined.pooled`), is the probability that a label is wrong, also where the pool prefers the given
    label. A model that learns its annotators' habits, as models of texts do, agrees with wrong labels and doubts them
    only a little: `combined` then finds a quarter of the errors. **On labels that are mostly right the list is far too
    long**, and nothing in the probabilities tells which case it is. From 200 verdicts on, they choose the cut, as in
    `verdict`.

    Parameters
    ----------
    neighbours : int
    """

    neighbours: int = 50
    needs: ClassVar[tuple[str, ...]] = ("probabilities",)
    #: Said wherever somebody asks for this detector.
    caution: ClassVar[str] = (
        "long_list is for labels known to be bad whose errors the model has partly learned, such as texts of one "
        "annotator each; on mostly right labels most of its flags are wrong. Let 200 or more verdicts set the cut, "
        "or read it from the top."
    )

    def detect(self, evidence: Evidence) -> Detection:
        labels = evidence.labels
        usual = Combined(self.neighbours).detect(evidence)
        pool, _ = pooled(evidence, self.neighbours)
        cut = cut_by_verdicts(usual.score, evidence)
        if cut is not None:
            flagged, expected = cut
        else:
            count, expected = best_expected_f1(np.sort(1.0 - given_probability(pool, labels))[::-1])
            flagged = np.zeros(len(labels), bool)
            flagged[rank_order(usual.score, evidence.ids)[:count]] = True
        rule = f"expected F1 from {'verdicts' if cut else 'the pool'}"
        suggested = np.where(flagged & (usual.suggested == labels), best_other(pool, labels)[0], usual.suggested)
        return Detection(usual.score, flagged, suggested, {**usual.meta, "flag_rule": rule, "expected_f1": expected})
