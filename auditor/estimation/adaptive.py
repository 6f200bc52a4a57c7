"""Adaptive order: verdicts tell which signals to believe, and the waiting items of the review queue follow.

The estimates do not change their meaning: they rest on the audit stream, whose draws and probabilities were fixed
before any verdict, and what leaves their frame is told by the run's own order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from auditor.core.seeds import generator
from auditor.detect.base import Detection, Evidence, Verdicts
from auditor.detect.findings import DEFAULT, streams
from auditor.detect.margins import rank_order
from auditor.detect.registry import run_detector
from auditor.estimation.state import AMBIGUOUS, WRONG, majority_codes
from auditor.review.queue import Reordering
from auditor.review.store import VerdictStore
from auditor.runs.run import Run
from auditor.stats.logistic import log_loss, platt_scaling

#: Events after which the order is learned anew.
EVERY: Final = 50
#: Judged items below which the run's order stays: with fewer, re-ranking loses about as often as it wins.
FEWEST: Final = 100
_FOLDS: Final = 5


def too_large(run: Run) -> bool:
    """Whether the run's probabilities are more than is learned from in memory; then its order stays."""
    return streams(DEFAULT, *run.pred_probs.shape)


def is_due(store: VerdictStore, every: int = EVERY) -> bool:
    """Whether `every` verdicts (or undos) have come since the order was last learned. Cheap: two look-ups."""
    last, events = store.reordering()
    return events - (last.events if last else 0) >= every


def update_order(run: Run, store: VerdictStore, evidence: Evidence) -> Reordering:
    """Learn the order of the ranked stream from the verdicts there are, and put it in force.

    Parameters
    ----------
    run : Run
    store : VerdictStore
    evidence : Evidence
        Of the run's audited items (`audit.evidence.run_evidence`).
    """
    _, events = store.reordering()
    votes = store.votes()
    place = {str(item): k for k, item in enumerate(evidence.ids)}
    codes = majority_codes(votes)
    known = [(place[str(i)], code) for i, code in zip(votes.item_ids, codes, strict=True) if str(i) in place]
    # A broken item says nothing about its label, nor does an open disagreement.
    judged = [(at, code) for at, code in known if code in (0, WRONG, AMBIGUOUS)]
    positions = np.array([at for at, _ in judged], np.int64)
    wrong = np.array([code != 0 for _, code in judged], bool)
    base = run.scores.set_index("id")["score"].reindex(evidence.ids.astype(str)).to_numpy(np.float64)
    score, reason = learned_order(evidence, base, positions, wrong)
    if score is None:
        return store.reorder(None, events, reason)
    order = rank_order(score, evidence.ids)
    return store.reorder([str(i) for i in evidence.ids[order]], events, reason)


def learned_order(
    evidence: Evidence, base: np.ndarray, positions: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """The `verdict` detector's score where it beats the run's own ranking on held-out verdicts, and why.

    Two guards: the detector's own, against the margin alone; and here its cross-validated log-loss against that of
    Platt scaling of the run's ranking, which knows more than the margin.

    Parameters
    ----------
    evidence : Evidence
        n items.
    base : float64 array (n,)
        The run's ranking.
    positions : int64 array (B,)
        Different judged items.
    wrong : bool array (B,)

    Returns
    -------
    score : float64 array (n,) or None
        None: keep the run's order.
    reason : str
    """
    if len(positions) < FEWEST:
        return None, f"the run's order: {len(positions):,} judged items are too few to learn from ({FEWEST} are needed)"
    detection = run_detector("verdict", replace(evidence, verdicts=Verdicts(positions, wrong)))
    if not isinstance(detection, Detection) or not detection.meta["reranked"]:
        why = detection.meta.get("reason", "") if isinstance(detection, Detection) else detection.reason
        return None, f"the run's order: {why}"
    loss, own = float(detection.meta["log_loss"]), _platt_loss(base[positions], wrong)
    said = f"log-loss on held-out verdicts {loss:.3f}, of the run's ranking {own:.3f}"
    if not loss < own:
        return None, f"the run's order: no better order was learned from {len(positions):,} judged items ({said})"
    return detection.score, f"learned from {len(positions):,} judged items ({said})"


def _platt_loss(score: np.ndarray, wrong: np.ndarray) -> float:
    """Cross-validated log-loss of Platt scaling of one score."""
    scaled = (score - score.mean()) / (score.std() or 1.0)
    fold = generator(0, "numbers", "adaptive").permutation(len(score)) % _FOLDS
    loss = np.empty(len(score))
    for f in range(_FOLDS):
        test, train = fold == f, fold != f
        platt = platt_scaling(scaled[train], wrong[train], np.ones(int(train.sum())))
        loss[test] = log_loss(platt(scaled[test]), wrong[test])
    return float(loss.mean())
