"""The methods compared: the default, every detector, cleanlab with all its options, a vote of neighbours.

All get the same `Evidence`. No function here takes the truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.findings import Findings, find
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.registry import DETECTORS, run_detector
from auditor.lab.detectors import cleanlab_adapter

OURS, PEER, KNN = "auditor", "cleanlab", "kNN"
#: Names of two rows others are compared with.
DEFAULT, COMBINED = "default", "combined"


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What one method said.

    Attributes
    ----------
    tool, what : str
        Whose, and which detector, rule or score.
    score : float64 array (n,) or None
        Higher is more suspicious; None for a rule that only flags.
    flagged : bool array (n,) or None
        None for a score that only ranks.
    seconds : float
        Wall time of this method alone, the probabilities given.
    reason : str
        Why it did not take part; empty where it did.
    """

    tool: str
    what: str
    score: np.ndarray | None
    flagged: np.ndarray | None
    seconds: float
    reason: str = ""

    @property
    def name(self) -> str:
        """Unique name: ``tool/what``."""
        return method_name(self.tool, self.what)


def method_name(tool: str, what: str) -> str:
    """``tool/what``."""
    return f"{tool}/{what}"


def run_methods(evidence: Evidence) -> list[MethodResult]:
    """Every method on the same evidence, in a fixed order."""
    _warm_up()
    _ = evidence.mean_probabilities  # weights of several networks are everybody's, and nobody's time
    results = [_timed(OURS, DEFAULT, lambda: find(evidence))]
    results += [_timed(OURS, name, lambda name=name: run_detector(name, evidence)) for name in DETECTORS]  # type: ignore[misc]
    results.append(_neighbours(evidence))
    return results + _cleanlab(evidence)


@cache
def _warm_up() -> None:
    """Import and compile what the first method would otherwise be charged for."""
    p = np.tile([[0.8, 0.2], [0.3, 0.7]], (10, 1))
    tiny = Evidence(np.arange(20), np.tile([0, 1], 10), 2, probabilities=p, embeddings=p)
    run_detector(COMBINED, tiny)
    _cleanlab(tiny)


def _timed(tool: str, what: str, run: Callable[[], Detection | Findings | NotApplicable]) -> MethodResult:
    started = time.perf_counter()
    answer = run()
    seconds = time.perf_counter() - started
    if isinstance(answer, NotApplicable):
        return MethodResult(tool, what, None, None, 0.0, answer.reason)
    return MethodResult(tool, what, answer.score, answer.flagged, seconds)


def _neighbours(evidence: Evidence) -> MethodResult:
    """A vote of 50 neighbours: on the embeddings, or where there are none on the log-probabilities."""
    if evidence.embeddings is not None:
        return _timed(KNN, "vote of 50, embeddings", lambda: run_detector("knn_vote", evidence))

    def vote() -> Detection | NotApplicable:
        space = np.concatenate([np.log(p + LOG_FLOOR) for p in evidence.network_probabilities.values()], axis=1)
        space = (space - space.mean(axis=0)) / (space.std(axis=0) + 1e-12)
        return run_detector("knn_vote", replace(evidence, embeddings=space))

    return _timed(KNN, "vote of 50, log-probabilities", vote)


def _cleanlab(evidence: Evidence) -> list[MethodResult]:
    labels, probabilities = evidence.labels, evidence.mean_probabilities
    results = []
    for rule in cleanlab_adapter.FILTERS:
        started = time.perf_counter()
        flagged = cleanlab_adapter.filter_mask(labels, probabilities, rule)
        results.append(MethodResult(PEER, f"filter {rule}", None, flagged, time.perf_counter() - started))
    for method, adjusted in cleanlab_adapter.SCORES:
        started = time.perf_counter()
        low = cleanlab_adapter.quality(labels, probabilities, method, adjusted)
        what = f"score {method}{', adjusted' if adjusted else ''}"
        results.append(MethodResult(PEER, what, -low, None, time.perf_counter() - started))
    return results
