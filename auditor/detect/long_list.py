"""A longer list of suspects, for data whose annotators' habits the model has learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence
from auditor.detect.combined import EDGE, pooled
from auditor.detect.margins import best_other, given_probability, preferred_class
from auditor.detect.thresholds import best_expected_f1, cut_by_verdicts


@dataclass(frozen=True)
class LongList:
    """Log-odds of 1 - P(given label) of the pool of networks and neighbours (`combined.pooled`); a long flag list.

    Flags as many of the first items as make the expected F1 largest if 1 - P(given label) is the probability that the
    label is wrong, also where the pool prefers the given label. A model that learns its annotators' habits, as models
    of texts do, agrees with wrong labels and doubts them only a little: `combined` then finds a quarter of the errors.
    **On labels that are mostly right the list is far too long**, and nothing in the probabilities tells which case it
    is. From 200 verdicts on, they choose the cut, as in `verdict`.

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
        pool, meta = pooled(evidence, self.neighbours)
        wrong = np.clip(1.0 - given_probability(pool, labels), EDGE, 1 - EDGE)
        score = np.log(wrong) - np.log1p(-wrong)
        cut = cut_by_verdicts(score, evidence)
        if cut is not None:
            flagged, expected = cut
        else:
            ranked = np.sort(wrong)[::-1]
            count, expected = best_expected_f1(ranked)
            flagged = wrong >= ranked[count - 1]
        meta |= {"flag_rule": f"expected F1 from {'verdicts' if cut else 'the pool'}", "expected_f1": expected}
        suggested = np.where(flagged, best_other(pool, labels)[0], preferred_class(pool, labels)[0])
        return Detection(score, flagged, suggested, meta)
