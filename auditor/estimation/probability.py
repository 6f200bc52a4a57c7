"""P(label wrong) of every item, calibrated on the audit stream and adding up to the estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from auditor.core.seeds import generator
from auditor.estimation.state import BAD, RIGHT, UNREVIEWED, WRONG, ReviewState
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.stages import Stages
from auditor.runs.tables import write_table
from auditor.stats.calibration import (
    ReliabilityBin,
    brier_score,
    calibrated_probability,
    cross_fitted,
    match_total,
    reliability,
)
from auditor.stats.totals import LEAST_FOR_A_NUMBER

#: Draws from which a check of the calibration says something.
LEAST_CHECKED: Final = 50
_WORDS: Final = {UNREVIEWED: None, RIGHT: "right", WRONG: "wrong", BAD: "bad_item"}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities and how good they are.

    Attributes
    ----------
    p_wrong : float64 array (n,)
        Every audited item in the order of ``run.scores``, ambiguous = wrong. Inside the frame the model's, calibrated;
        they add up to the estimate unless that is none or all. Known items have what was found.
    brier : float or None
        Weighted, out of sample (5 folds); None with fewer than 50 draws.
    bins : tuple of ReliabilityBin
        Out of sample; empty with fewer than 50 draws.
    """

    p_wrong: np.ndarray
    brier: float | None
    bins: tuple[ReliabilityBin, ...]


def calibrate(state: ReviewState, total: float, seed: int = 0) -> Calibration | None:
    """Calibrate the ranking score; None with fewer than `LEAST_FOR_A_NUMBER` draws in a frame that has items.

    Parameters
    ----------
    state : ReviewState
    total : float
        Estimated wrong labels in the frame (strict).
    seed : int
    """
    wrong = state.wrong("strict")
    p = np.where(wrong, 1.0, 0.0)
    if not len(state.frame):
        return Calibration(p, None, ())
    if len(state.draws) < LEAST_FOR_A_NUMBER:
        return None
    sample, found = state.sample, wrong[state.draws]
    raw = calibrated_probability(state.score[state.frame], state.score[state.draws], found, sample.weights)
    # An estimate of none (or of all) is no reason to call a label surely right: then the calibration stands as it is.
    p[state.frame] = match_total(raw, total) if 0 < total < len(raw) else raw
    if len(found) < LEAST_CHECKED:
        return Calibration(p, None, ())
    rng = generator(seed, "numbers", "calibration")
    held_out = cross_fitted(state.score[state.draws], found, sample.weights, rng)
    return Calibration(p, brier_score(held_out, found, sample.weights), tuple(reliability(held_out, found)))


def write_probabilities(run: Run, state: ReviewState, calibration: Calibration) -> None:
    """Write `layout.P_WRONG` into the run folder: ``id, given, suggested, score, p_wrong, verdict``."""
    words = [_WORDS.get(int(code), "ambiguous") for code in state.outcome]
    table = pd.DataFrame(
        {
            "id": state.ids,
            "given": state.given,
            "suggested": state.suggested,
            "score": state.score,
            "p_wrong": calibration.p_wrong,
            "verdict": pd.Series(words, dtype=object),
        }
    )
    with Stages(run.path).recording(run.path / layout.P_WRONG):
        write_table(run.path / layout.P_WRONG, table, "auditor.p-wrong/1")
