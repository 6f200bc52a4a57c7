"""A guarded second cleaning round: refit without the suspected items, and keep the result only if it is better.

Training on fewer wrong labels helps on human noise and harms where the model is systematically wrong, because it
then removes what contradicts it. So a round is proposed, never taken on trust. Specification: 5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from auditor.core.errors import ConfigError, ProbabilityError
from auditor.detect.base import Verdicts
from auditor.detect.ensemble import LOSS_FLOOR
from auditor.detect.margins import given_probability, log_odds_margin

#: Kept items, bool (n,), to new out-of-sample probabilities of all items, float (n, K).
Refit = Callable[[np.ndarray], np.ndarray]
MAX_ROUNDS = 2
#: A class may lose this share of its items to a round, not more.
LARGEST_LOSS = 0.5


@dataclass(frozen=True)
class Round:
    """One proposed round.

    Attributes
    ----------
    number : int
        From 1.
    dropped : int
        Items whose most probable class was not the given one.
    accepted : bool
    criterion : str or None
        What was compared: ``"average precision on verdicts"`` (higher is better), ``"log-loss weighted by P(clean)"``
        (lower is better), or None where nothing was fitted.
    before, after : float or None
    reason : str
        One sentence.
    """

    number: int
    dropped: int
    accepted: bool
    criterion: str | None
    before: float | None
    after: float | None
    reason: str


@dataclass(frozen=True, eq=False)
class SecondRound:
    """The probabilities to go on with, and what was tried.

    Attributes
    ----------
    probabilities : float64 array (n, K)
        Of the last accepted round; those given where none was.
    rounds : tuple of Round
    """

    probabilities: np.ndarray
    rounds: tuple[Round, ...]

    @property
    def accepted(self) -> int:
        """Number of accepted rounds."""
        return sum(r.accepted for r in self.rounds)

    def facts(self) -> dict[str, Any]:
        """What was tried, as JSON values."""
        return {"accepted": self.accepted, "rounds": [asdict(r) for r in self.rounds]}


def weighted_loss(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """``-sum_i w_i log(p_i(y_i) + 1e-6) / sum_i w_i``."""
    loss = -np.log(given_probability(probabilities, labels).astype(np.float64) + LOSS_FLOOR)
    return float((weights * loss).sum() / weights.sum())


def second_round(
    probabilities: np.ndarray,
    labels: np.ndarray,
    refit: Refit,
    *,
    verdicts: Verdicts | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> SecondRound:
    """Drop the suspects from the training parts, refit, score everything again; keep it only if the guard agrees.

    The guard: (a) with verdicts of both kinds, the average precision of the log-odds margin on the reviewed items
    must rise; (b) without, the out-of-sample log-loss against the given labels, weighted by the probability the
    round before gave to each given label, must fall; (c) no class may lose more than half its items, which is
    looked at before anything is fitted. The first refused round ends it.

    Parameters
    ----------
    probabilities : float array (n, K)
        Out of sample.
    labels : int array (n,)
    refit : callable
        Fits the same folds without the items whose entry is False and predicts all items out of sample.
    verdicts : Verdicts, optional
    max_rounds : int
        1 or 2.

    Raises
    ------
    ConfigError
        For another number of rounds.
    ProbabilityError
        If `refit` gives no probabilities of the same shape.
    """
    if not 1 <= max_rounds <= MAX_ROUNDS:
        raise ConfigError(f"{max_rounds} cleaning rounds.", f"Use 1 to {MAX_ROUNDS}: more were never better.")
    labels = np.asarray(labels)
    now = np.asarray(probabilities, dtype=np.float64)
    rounds: list[Round] = []
    for number in range(1, max_rounds + 1):
        trusted = now.argmax(axis=1) == labels
        dropped = int((~trusted).sum())
        if (refusal := _refusal(trusted, labels, now.shape[1])) is not None:
            rounds.append(Round(number, dropped, False, None, None, None, refusal))
            break
        proposed = np.asarray(refit(trusted), dtype=np.float64)
        if proposed.shape != now.shape or not np.isfinite(proposed).all():
            raise ProbabilityError(f"the refit gave probabilities of shape {proposed.shape} for {now.shape}.")
        tried = _compare(number, dropped, now, proposed, labels, verdicts)
        rounds.append(tried)
        if not tried.accepted:
            break
        now = proposed
    return SecondRound(now, tuple(rounds))


def _refusal(kept: np.ndarray, labels: np.ndarray, n_classes: int) -> str | None:
    """Why this round must not even be fitted."""
    if kept.all():
        return "no item is suspected: there is nothing to drop"
    sizes = np.bincount(labels, minlength=n_classes)
    lost = np.bincount(labels[~kept], minlength=n_classes)
    worst = int(np.argmax(lost / np.maximum(sizes, 1)))
    if lost[worst] > LARGEST_LOSS * sizes[worst]:
        return f"class {worst} would lose {lost[worst]} of its {sizes[worst]} items, more than half"
    return None


def _compare(
    number: int, dropped: int, before: np.ndarray, after: np.ndarray, labels: np.ndarray, verdicts: Verdicts | None
) -> Round:
    if verdicts is not None and 0 < verdicts.wrong.sum() < len(verdicts):
        criterion = "average precision on verdicts"
        old, new = (_precision_on(verdicts, p, labels) for p in (before, after))
        accepted = new > old
    else:
        criterion = "log-loss weighted by P(clean)"
        weights = given_probability(before, labels)
        old, new = (weighted_loss(p, labels, weights) for p in (before, after))
        accepted = new < old
    word = "better: the new scores are kept" if accepted else "not better: the scores before are kept"
    return Round(number, dropped, bool(accepted), criterion, old, new, f"{criterion} {old:.4f} -> {new:.4f}, {word}")


def _precision_on(verdicts: Verdicts, probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    score = log_odds_margin(probabilities, labels)[verdicts.positions]
    return float(average_precision_score(verdicts.wrong, score, sample_weight=verdicts.weights))
