"""The figures of one contestant on one set, and the resamples that intervals are made of.

This is the only place where scores meet the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from auditor.core.hashing import hash_array
from auditor.core.seeds import generator
from auditor.detect.metrics import Ranked, flag_counts
from auditor.detection_benchmark.contestants import Outcome

__all__ = ["DRAWN", "RANKING", "figures", "resampled"]

#: Figures of a ranking and of a flag mask; all are shares except ``flagged`` and ``seconds``.
RANKING = ("AP", "AUROC", "P@N", "P@100", "best F1")
FLAGS = ("F1", "flagged", "precision", "recall")
#: Figures that get intervals.
DRAWN = ("AP", "P@N", "F1")


def figures(outcome: Outcome, wrong: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
    """One row of results.

    Parameters
    ----------
    outcome : Outcome
    wrong : bool array (n,)
        True where the given label is wrong.
    ids : array (n,)
        Order equal scores.

    Returns
    -------
    dict
        ``tool, what, seconds, reason, scores`` (hash of what the contestant said) and the figures of `RANKING`
        and `FLAGS`; None where there is none.
    """
    row: dict[str, Any] = {"tool": outcome.tool, "what": outcome.what, "reason": outcome.reason}
    row["seconds"] = None if outcome.reason else round(outcome.seconds, 4)
    row["scores"] = _identity(outcome)
    row |= dict.fromkeys((*RANKING, *FLAGS))
    if outcome.score is not None:
        ranked = Ranked.of(wrong, outcome.score, ids)
        row |= {
            "AP": ranked.average_precision(), "AUROC": ranked.auroc(), "P@N": ranked.precision_at(),
            "P@100": ranked.precision_at(100), "best F1": ranked.best_f1(),
        }  # fmt: skip
    if outcome.flagged is not None:
        counts = flag_counts(wrong, outcome.flagged)
        row |= {
            "F1": counts.f1, "flagged": int(counts.flagged), "precision": counts.precision, "recall": counts.recall,
        }  # fmt: skip
    return {key: _plain(value) for key, value in row.items()}


def _identity(outcome: Outcome) -> str | None:
    parts = [hash_array(part) for part in (outcome.score, outcome.flagged) if part is not None]
    return "+".join(part.removeprefix("sha256:")[:16] for part in parts) or None


def _plain(value: Any) -> Any:
    """NaN (no flag at all has no precision) becomes None."""
    return None if isinstance(value, float) and math.isnan(value) else value


def resampled(outcomes: Sequence[Outcome], wrong: np.ndarray, ids: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """Figures on resampled items, the same resamples for all contestants and for all seeds of a set.

    Returns
    -------
    dict
        Figure of `DRAWN` to float64 (contestants, draws); NaN where a contestant has no such figure.
    """
    ranked = [None if o.score is None else Ranked.of(wrong, o.score, ids) for o in outcomes]
    drawn = {name: np.full((len(outcomes), draws), np.nan) for name in DRAWN}
    for draw, weights in enumerate(_resamples(len(wrong), draws)):
        for row, (outcome, ranking) in enumerate(zip(outcomes, ranked, strict=True)):
            if ranking is not None:
                drawn["AP"][row, draw] = ranking.average_precision(weights)
                drawn["P@N"][row, draw] = ranking.precision_at(weights=weights)
            if outcome.flagged is not None:
                drawn["F1"][row, draw] = flag_counts(wrong, outcome.flagged, weights).f1
    return drawn


def _resamples(n_items: int, draws: int) -> Iterator[np.ndarray]:
    """Multiplicities of the items, float64 (n,), by the number of items alone."""
    rng = generator(0, "detection-benchmark", n_items)
    for _ in range(draws):
        yield np.bincount(rng.integers(0, n_items, n_items), minlength=n_items).astype(np.float64)
