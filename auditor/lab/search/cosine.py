"""SGD with a cosine schedule, as the search papers train: a stepper of the one training loop."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


class CosineSgd:
    """SGD falling to 0 along half a cosine, for gradients summed over a batch.

    Parameters
    ----------
    parameters : list of nn.Parameter
        Those without a gradient in a step stay exactly as they are: no decay, no momentum.
    rate, decay : float
        For a mean loss.
    batch, steps : int
    clip : float, optional
        Largest norm of the whole gradient of the mean loss.
    momentum : float
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        rate: float,
        decay: float,
        batch: int,
        steps: int,
        clip: float | None = None,
        momentum: float = 0.9,
    ) -> None:
        self.parameters, self.rate, self.batch, self.steps, self.clip = parameters, rate, batch, max(1, steps), clip
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
        # The rate holds 1 / batch, so the decay is multiplied by the batch.
        groups = [{"params": matrices, "weight_decay": decay * batch}, {"params": vectors, "weight_decay": 0.0}]
        self.inner = torch.optim.SGD([g for g in groups if g["params"]], rate / batch, momentum, nesterov=True)

    def step(self, done: int) -> None:
        """See `auditor.train.hooks.Stepper`."""
        rate = self.rate / self.batch * 0.5 * (1 + math.cos(math.pi * done / self.steps))
        for group in self.inner.param_groups:
            group["lr"] = rate
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for p in self.parameters if p.grad is not None], self.clip * self.batch)
        self.inner.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self.inner.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"sgd": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.inner.load_state_dict(state["sgd"])
