"""The rule of the main job: which ranking, which flags, which suggestion."""

from __future__ import annotations

from typing import cast

from auditor.core.errors import DataError
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.registry import run_detector

__all__ = ["FLAG_RULE", "IN_MEMORY_VALUES", "RANKING", "STREAMED_RANKING", "default_findings", "default_ranking"]

#: Detector that ranks, and detector that flags, when nobody has given verdicts. Not the flags of `combined`: they are
#: better where many labels are wrong and the network is weak, and miss most of the few errors of a nearly clean set.
RANKING = "combined"
FLAG_RULE = "class_adjusted"
#: What ranks larger data: it needs one row at a time. `combined` passes over all probabilities some 200 times.
STREAMED_RANKING = "log_odds_margin"
#: Items x classes up to which `combined` ranks (160 MB in float64). A fixed number, so that the result does not
#: depend on the machine.
IN_MEMORY_VALUES = 20_000_000


def default_ranking(n_items: int, n_classes: int) -> str:
    """Name of the detector that ranks data of this size."""
    return RANKING if n_items * n_classes <= IN_MEMORY_VALUES else STREAMED_RANKING


def default_findings(evidence: Evidence) -> Detection:
    """The likely label errors, without any verdict.

    Ranking by `combined` on everything there is (above `IN_MEMORY_VALUES` by `log_odds_margin`), flags by
    `class_adjusted`. The suggestion is the class that wins under the flag rule: another one than given for every
    flagged item, the given label for all others.

    Parameters
    ----------
    evidence : Evidence
        With probabilities; dynamics and embeddings are used where they are there.

    Returns
    -------
    Detection
        ``meta``: ``ranking, flag_rule, class_levels``, and what the ranking says of itself.

    Raises
    ------
    DataError
        Without probabilities.
    """
    name = default_ranking(len(evidence), evidence.n_classes)
    ranking = run_detector(name, evidence)
    if isinstance(ranking, NotApplicable):
        raise DataError(f"no findings: {ranking.detector} {ranking.reason}.")
    flags = cast(Detection, run_detector(FLAG_RULE, evidence))
    meta = {"ranking": name, "flag_rule": FLAG_RULE, **ranking.meta, **flags.meta}
    return Detection(ranking.score, flags.flagged, flags.suggested, meta)
