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
        ``official``: ``b += decay * (mean - b)`` as in the code of EAS and ProxylessNAS-R, which has almost no memory,
        and moves by a batch before that batch is compared with it.
    value : float, optional
        Before the first batch; None: that batch's own mean (ProxylessNAS-R). Official EAS begins at 0.
    """

    decay: float = 0.95
    kind: BaselineKind = "average"
    value: float | None = None

    def advantages(self, rewards: list[float]) -> list[float]:
        """Reward minus baseline of one batch. ``average``: then the batch moves the baseline; ``official``: it has
        moved it before."""
        mean = sum(rewards) / len(rewards)
        before = mean if self.value is None else self.value
        if self.kind == "official":
            self.value = before + self.decay * (mean - before)
            return [r - self.value for r in rewards]
        self.value = self.decay * before + (1 - self.decay) * mean
        return [r - before for r in rewards]
