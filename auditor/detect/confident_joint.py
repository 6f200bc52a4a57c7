"""Confident learning as a detector: the confident class of an item differs from its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.margins import LOG_FLOOR, log_odds_margin
from auditor.engine.api import analyze, flag
from auditor.engine.joint import joint_document
from auditor.engine.semantics import EPSILON


def confident_class(p: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The class an item confidently belongs to, -1 without one; int64 (n,).

    A class is confident where p reaches its threshold (less 1e-6). With several, the argmax of the whole row
    counts, as in cleanlab 2.9.
    """
    confident = p >= thresholds - EPSILON
    several = confident.sum(axis=1)
    return np.where(several == 0, -1, np.where(several == 1, confident.argmax(axis=1), p.argmax(axis=1)))


@dataclass(frozen=True)
class ConfidentJoint:
    """Off-diagonal cells of the confident joint, the more suspicious within them by the log-odds margin.

    Items off the diagonal come before all others. Counts far too few human label errors; here as a baseline and
    as a feature, equal to cleanlab's ``filter_by="confident_learning"``.
    """

    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection | NotApplicable:
        p, labels = evidence.mean_probabilities, evidence.labels
        if len(np.unique(labels)) < 2:
            return NotApplicable("confident_joint", "needs at least two classes among the given labels")
        analysis = analyze(p, labels)
        off = np.asarray(flag(analysis, "confident_learning"))
        # Twice the largest possible margin, so that the two groups never overlap.
        score = log_odds_margin(p, labels) + np.where(off, -2 * np.log(LOG_FLOOR / (1 + LOG_FLOOR)), 0.0)
        guess = confident_class(p, np.asarray(analysis.thresholds))
        suggested = np.where(off, guess, labels).astype(np.int64)
        return Detection(score, off, suggested, joint_document(analysis.joint))
