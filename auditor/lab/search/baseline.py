"""Reward baselines of REINFORCE and PPO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BaselineKind = Literal["average", "official"]


@dataclass
class Baseline:
    """What a reward is compared with.

    Attributes
    ----------
    decay : float
    kind : "average" or "official"
        ``average`` (default): ``b = decay * b + (1 - decay) * mean`` over the batches before this one.
        ``official``: ``b += decay * (mean - b)`` as in the code of EAS and ProxylessNAS-R, which has almost no memory.
    include_batch : bool
        Official EAS moves the baseline by a batch before it is compared with it.
    """

    decay: float = 0.95
    kind: BaselineKind = "average"
    include_batch: bool = False
    value: float | None = None

    def advantages(self, rewards: list[float]) -> list[float]:
        """Reward minus baseline of one batch; then the batch moves the baseline. The first batch is compared with its
        own mean: there is nothing before it."""
        mean = sum(rewards) / len(rewards)
        if self.value is None:
            self.value = mean
            return [r - mean for r in rewards]
        before = self.value
        if self.kind == "official":
            self.value = before + self.decay * (mean - before)
        else:
            self.value = self.decay * before + (1 - self.decay) * mean
        used = self.value if self.include_batch else before
        return [r - used for r in rewards]
