"""The rule of the main job: which ranking, which flags, which suggestion."""

from __future__ import annotations

from typing import cast

from auditor.core.errors import DataError
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.registry import run_detector

__all__ = ["FLAG_RULE", "RANKING", "default_findings"]

#: Detector that ranks, and detector that flags, when nobody has given verdicts.
RANKING = "log_odds_margin"
FLAG_RULE = "class_adjusted"


def default_findings(evidence: Evidence) -> Detection:
    """The likely label errors, from out-of-sample probabilities alone.

    Ranking by `log_odds_margin` on the mean over seeds (several networks: on their convex-weighted mean),
    flags by `class_adjusted`. The suggestion is the class that wins under the flag rule: another one than
    given for every flagged item, the given label for all others.

    Parameters
    ----------
    evidence : Evidence
        With probabilities.

    Returns
    -------
    Detection
        ``meta``: ``ranking, flag_rule, class_levels``, and ``network_weights`` for several networks.

    Raises
    ------
    DataError
        Without probabilities.
    """
    ranking = run_detector(RANKING, evidence)
    if isinstance(ranking, NotApplicable):
        raise DataError(f"no findings: {ranking.detector} {ranking.reason}.")
    flags = cast(Detection, run_detector(FLAG_RULE, evidence))
    meta = {"ranking": RANKING, "flag_rule": FLAG_RULE, **ranking.meta, **flags.meta}
    return Detection(ranking.score, flags.flagged, flags.suggested, meta)
