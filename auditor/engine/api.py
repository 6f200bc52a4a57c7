"""Public face of the engine: arrays (or files) in, arrays out.

::

    analysis = analyze(probabilities, labels)
    wrong = flag(analysis, "prune_by_noise_rate")       # bool (N,)
    first = rank(analysis, wrong, "self_confidence")    # positions, most suspicious first
"""

from __future__ import annotations

from auditor.engine.analysis import Analysis, analyze
from auditor.engine.files import open_probabilities
from auditor.engine.joint import calibrate, estimate_joint, issue_count, latent, prune_counts
from auditor.engine.memory import MemoryPlan, plan_memory
from auditor.engine.mixture import MixtureSource
from auditor.engine.rules import RULES, SCORES, flag, rank, scores

__all__ = [
    "RULES",
    "SCORES",
    "Analysis",
    "MemoryPlan",
    "MixtureSource",
    "analyze",
    "calibrate",
    "estimate_joint",
    "flag",
    "issue_count",
    "latent",
    "open_probabilities",
    "plan_memory",
    "prune_counts",
    "rank",
    "scores",
]
