"""The rule of the main job: which ranking, which flags, which suggestion."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from auditor.core.errors import DataError
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.registry import run_detector

__all__ = [
    "IN_MEMORY_VALUES",
    "RANKING",
    "STREAMED_FLAG_RULE",
    "STREAMED_RANKING",
    "default_findings",
    "default_ranking",
]

#: Detector that ranks and flags when nobody has given verdicts.
RANKING = "combined"
#: What ranks and what flags larger data: they need one row at a time. `combined` passes over all probabilities some
#: 400 times.
STREAMED_RANKING = "log_odds_margin"
STREAMED_FLAG_RULE = "class_adjusted"
#: Items x classes up to which `combined` ranks (160 MB in float64). A fixed number, so that the result does not
#: depend on the machine.
IN_MEMORY_VALUES = 20_000_000


def default_ranking(n_items: int, n_classes: int) -> str:
    """Name of the detector that ranks data of this size."""
    return RANKING if n_items * n_classes <= IN_MEMORY_VALUES else STREAMED_RANKING


def default_findings(evidence: Evidence) -> Detection:
    """The likely label errors, without any verdict.

    Ranking and flags by `combined` on everything there is; above `IN_MEMORY_VALUES` ranking by `log_odds_margin` and
    flags by `class_adjusted`. The suggestion is the most probable other class for every flagged item and, from
    `combined`, for those whose label the model does not prefer; the given label for all others.

    Parameters
    ----------
    evidence : Evidence
        With probabilities; dynamics and embeddings are used where they are there.

    Returns
    -------
    Detection
        ``meta``: ``ranking, flag_rule``, and what these detectors say of themselves.

    Raises
    ------
    DataError
        Without probabilities.
    """
    name = default_ranking(len(evidence), evidence.n_classes)
    ranking = run_detector(name, evidence)
    if isinstance(ranking, NotApplicable):
        raise DataError(f"no findings: {ranking.detector} {ranking.reason}.")
    if name == RANKING:
        return replace(ranking, meta={"ranking": name, "flag_rule": name, **ranking.meta})
    flags = cast(Detection, run_detector(STREAMED_FLAG_RULE, evidence))
    meta = {"ranking": name, "flag_rule": STREAMED_FLAG_RULE, **ranking.meta, **flags.meta}
    return Detection(ranking.score, flags.flagged, flags.suggested, meta)
