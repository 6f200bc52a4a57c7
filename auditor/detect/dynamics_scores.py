"""Scores from training dynamics: what the network said about an item while it learned.

None of them flags: the published threshold of AUM collapses when the noise depends on the class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.margins import LOG_FLOOR, log_odds, preferred_class


def mean_visited(values: np.ndarray) -> np.ndarray:
    """Mean over models and epochs (axes 0, 1) of the finite entries; NaN where there is none."""
    seen = np.isfinite(values)
    count = seen.sum(axis=(0, 1))
    total = np.where(seen, values, 0.0).sum(axis=(0, 1), dtype=np.float64)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _last_third(array: np.ndarray) -> np.ndarray:
    """Axis 1 restricted to its last third, at least one epoch; float32."""
    epochs = array.shape[1]
    return array[:, epochs - max(1, epochs // 3) :].astype(np.float32)


def area_under_margin(dynamics: ItemDynamics) -> np.ndarray:
    """Mean over epochs and models of (logit of the given class - largest other logit), in sample.

    float64 (n,), high = clean, NaN where never visited. Pleiss et al. 2020 (arXiv 2001.10528).
    """
    return mean_visited(dynamics.train_given.astype(np.float32) - dynamics.train_other.astype(np.float32))


def heldout_margin(dynamics: ItemDynamics) -> np.ndarray:
    """Mean over the last third of the epochs of the logit margin, out of sample; high = clean."""
    return mean_visited(_last_third(dynamics.heldout_given) - _last_third(dynamics.heldout_other))


def heldout_log_odds(dynamics: ItemDynamics) -> np.ndarray:
    """Mean over the last third of the epochs of the held-out log-odds margin; high = suspicious."""
    lse = _last_third(dynamics.heldout_logsumexp)
    # float16 log-sum-exp may lie below the largest logit by one rounding step.
    given = np.minimum(np.exp(_last_third(dynamics.heldout_given) - lse), 1.0)
    other = np.minimum(np.exp(_last_third(dynamics.heldout_other) - lse), 1.0)
    return mean_visited(log_odds(other, given))


def data_map(dynamics: ItemDynamics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Data maps (Swayamdipta et al. 2020), in sample.

    Returns
    -------
    confidence : float64 (n,)
        Mean probability of the given class.
    variability : float64 (n,)
        Standard deviation of that probability over all visits.
    correctness : float64 (n,)
        Share of the visits with the given class ahead.
    """
    given = dynamics.train_given.astype(np.float32)
    p = np.minimum(np.exp(given - dynamics.train_logsumexp.astype(np.float32)), 1.0)
    confidence = mean_visited(p)
    variability = np.sqrt(mean_visited((p - confidence) ** 2))
    ahead = np.where(np.isfinite(given), given > dynamics.train_other, np.nan)
    return confidence, variability, mean_visited(ahead)


def forgetting_events(dynamics: ItemDynamics) -> tuple[np.ndarray, np.ndarray]:
    """Forgetting (Toneva et al. 2019), in sample, mean over the models that trained on the item.

    Returns
    -------
    events : float64 (n,)
        Times the item went from right to wrong between two visits; the number of epochs where it was never
        right, as such an item is forgotten throughout. NaN where never visited.
    first : float64 (n,)
        First epoch (0-based) in which it was right; the number of epochs where never.
    """
    models, epochs, n = dynamics.train_given.shape
    events = np.full((models, 1, n), np.nan)
    first = np.full((models, 1, n), np.nan)
    for model in range(models):
        seen_before, right_before = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        forgotten, learned = np.zeros(n), np.full(n, float(epochs))
        for epoch in range(epochs):
            given, other = dynamics.train_given[model, epoch], dynamics.train_other[model, epoch]
            seen = np.isfinite(given)
            right = seen & (given > other)
            forgotten += seen & right_before & ~right
            learned = np.where(right & (learned == epochs), epoch, learned)
            right_before = np.where(seen, right, right_before)
            seen_before |= seen
        forgotten[learned == epochs] = epochs
        events[model, 0] = np.where(seen_before, forgotten, np.nan)
        first[model, 0] = np.where(seen_before, learned, np.nan)
    return mean_visited(events), mean_visited(first)


def dynamics_detection(
    name: str, evidence: Evidence, compute: Callable[[ItemDynamics], np.ndarray], in_sample: bool = True
) -> Detection | NotApplicable:
    """Score from `compute`; items never visited get the median of the others, which says nothing of them."""
    dynamics = evidence.dynamics
    if dynamics is None or (in_sample and not dynamics.has_train):
        return NotApplicable(name, "needs logits of items in training; no audited item was trained on")
    if not in_sample and not dynamics.has_heldout:
        return NotApplicable(name, "needs logits of held-out items per epoch")
    score = compute(dynamics).astype(np.float64)
    visited = np.isfinite(score)
    if not visited.any():
        return NotApplicable(name, "no item was both trained on and held out")
    score[~visited] = np.median(score[visited])
    suggested = evidence.labels
    if evidence.probabilities is not None:
        suggested = preferred_class(evidence.mean_probabilities, evidence.labels)[0]
    return Detection(score, None, suggested, {"not_visited": int((~visited).sum())})


@dataclass(frozen=True)
class _Ranking(ABC):
    """A detector that ranks by one score of the dynamics."""

    needs: ClassVar[tuple[str, ...]] = ("dynamics",)
    name: ClassVar[str]
    in_sample: ClassVar[bool] = True

    @abstractmethod
    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        """Higher is more suspicious, (n,); NaN for items never visited."""

    def detect(self, evidence: Evidence) -> Detection | NotApplicable:
        return dynamics_detection(self.name, evidence, self.score, self.in_sample)


class Aum(_Ranking):
    """``-area_under_margin``: the network resists the given label while it trains on it."""

    name = "aum"

    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        return -area_under_margin(dynamics)


class OofAum(_Ranking):
    """Held-out log-odds margin averaged over the last third of the epochs (temporal ensembling)."""

    name = "oof_aum"
    in_sample = False

    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        return heldout_log_odds(dynamics)


class Gap(_Ranking):
    """In-sample minus held-out margin: a wrong label that was memorised fits only where it was seen."""

    name = "gap"

    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        return area_under_margin(dynamics) - heldout_margin(dynamics)


class DataMaps(_Ranking):
    """``-log(mean in-sample probability of the given class + 1e-4)``."""

    name = "data_maps"

    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        return -np.log(data_map(dynamics)[0] + LOG_FLOOR)


class Forgetting(_Ranking):
    """Forgetting events, and among equals the later learned first."""

    name = "forgetting"

    def score(self, dynamics: ItemDynamics) -> np.ndarray:
        events, first = forgetting_events(dynamics)
        return events + first / (dynamics.train_given.shape[1] + 1)
