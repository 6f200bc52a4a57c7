"""Were the corrections found by a relative of a ranked model? And what does the random part of the review say?

Corrections are found where some model disagrees with the given label, and its guess becomes the corrected label where
people agree. A model that answers like that one is favoured on exactly these rows, whatever it is worth.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from auditor.benchmark.models import ComparedModels
from auditor.benchmark.result import records
from auditor.benchmark.sets import Sets
from auditor.benchmark.verdicts.judged import GUESSED, Judged
from auditor.core.files import json_value
from auditor.core.seeds import generator
from auditor.stats.intervals import wilson
from auditor.stats.ranks import kendall_tau, min_ranks, pair_signs

#: Robust z above which a model agrees with the guesses suspiciously often (Iglewicz and Hoaglin 1993).
OUTLYING: Final = 3.5
#: And at least this far above the median: among nearly equal models a tiny difference is an outlier too.
LEAST: Final = 0.05
#: Models below which nothing can be said to stand out.
FEWEST: Final = 4


def stands_out(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Models whose agreement is far above that of the others.

    Parameters
    ----------
    shares : float64 array (m,)

    Returns
    -------
    flagged : bool array (m,)
    z : float64 array (m,)
        ``0.6745 (x - median) / MAD``; 0 where there are too few models or no spread.
    """
    shares = np.asarray(shares, np.float64)
    if len(shares) < FEWEST:
        return np.zeros(len(shares), bool), np.zeros(len(shares))
    middle = np.median(shares)
    spread = float(np.median(np.abs(shares - middle)))
    # Where more than half of the models agree equally often, the mean deviation takes the place of the median one.
    scale = spread / 0.6745 if spread > 0 else float(np.abs(shares - middle).mean()) * 1.2533
    z = (shares - middle) / scale if scale > 0 else np.zeros(len(shares))
    return (z > OUTLYING) & (shares - middle > LEAST), z


def agreement_with_guesses(compared: ComparedModels, judged: Judged) -> dict[str, Any]:
    """How often each model's top class is the guess shown to the reviewers, and who stands out."""
    known = judged.guess >= 0
    n = int(known.sum())
    if not n:
        return {"applicable": False, "reason": "the source does not say which label was guessed"}
    top = np.stack([prediction.top1[judged.rows[known]] for prediction in compared.predictions])
    hits = (top == judged.guess[known]).sum(axis=1)
    shares = compared.mixing @ (hits / n)
    flagged, z = stands_out(shares)
    limits = [wilson(round(float(share) * n), n) for share in shares]
    low, high = [limit.low for limit in limits], [limit.high for limit in limits]
    return {
        "applicable": True,
        "rows_with_a_guess": n,
        "median": float(np.median(shares)),
        "models": records(name=compared.names, agreement=shares, low=low, high=high, z=z, circular=flagged),
        "circular": [compared.models[m].name for m in np.flatnonzero(flagged)],
        "rule": f"robust z above {OUTLYING} and at least {100 * LEAST:.0f} points above the median",
    }


def audit_ranking(compared: ComparedModels, sets: Sets, judged: Judged, draws: int, seed: int) -> dict[str, Any]:
    """Corrected accuracies from the random audit stream alone, every draw weighted by its probability.

    Rows outside the frame of the draws count as they are known. For the frame, the sums of what correction and removal
    change are estimated by ``mean(weight x change)``; the accuracy on pruned rows is a ratio of two such sums.
    """
    audit = judged.audit
    if audit is None or not len(audit.position):
        return {"applicable": False, "reason": judged.why_no_audit}
    n = len(audit.frame)
    rows = judged.rows
    given = compared.mixing @ compared.given[:, rows].astype(np.float64)
    corrected = compared.mixing @ compared.corrected[:, rows].astype(np.float64)
    fixed = (sets.state[rows] == GUESSED).astype(np.float64)
    gone = (~sets.pruned[rows]).astype(np.float64)
    # What each judged row changes: right answers lost and won, with given and corrected labels; rows removed.
    before, after = -given * gone, (corrected - given) * fixed - given * gone
    exact = ~audit.frame[rows]
    inside = audit.position >= 0
    at, weight = np.where(inside, audit.position, 0), np.where(inside, audit.weight, 0.0)
    base = compared.mixing @ compared.given.sum(axis=1)

    def accuracies(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = weight[chosen] / len(chosen)
        size = n - gone[exact].sum() - (gone[at[chosen]] * w).sum()
        first = base + before[:, exact].sum(axis=1) + before[:, at[chosen]] @ w
        second = base + after[:, exact].sum(axis=1) + after[:, at[chosen]] @ w
        return first / size, second / size

    original, estimated = accuracies(np.arange(len(at)))
    rng = generator(seed, "audit")
    drawn = np.array([accuracies(rng.integers(0, len(at), len(at)))[1] for _ in range(min(draws, 2000))])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    everything = compared.mixing @ (compared.counts(compared.corrected, sets.pruned) / max(1, sets.n_pruned))
    return {
        "applicable": True,
        "draws": len(at),
        "corrections_drawn": int(np.unique(at[inside & (fixed[at] > 0)]).size),
        "kendall_tau_with_all_corrections": json_value(kendall_tau(pair_signs(estimated), pair_signs(everything))),
        "same_first": bool(np.argmax(estimated) == np.argmax(everything)),
        "models": records(
            name=compared.names, original=original, corrected=estimated, low=low, high=high, rank=min_ranks(estimated)
        ),
    }
