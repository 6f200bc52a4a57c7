"""SGD with a cosine schedule, as the search papers train: a stepper of the one training loop."""

from __future__ import annotations

import math

import torch
from torch import nn

from auditor.train.optim import Steps


class CosineSgd(Steps):
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
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        rate: float,
        decay: float,
        batch: int,
        steps: int,
        clip: float | None = None,
    ) -> None:
        self.parameters, self.rate, self.batch, self.steps, self.clip = parameters, rate, batch, max(1, steps), clip
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
        # The rate holds 1 / batch, so the decay is multiplied by the batch.
        groups = [{"params": matrices, "weight_decay": decay * batch}, {"params": vectors, "weight_decay": 0.0}]
        present = [g for g in groups if g["params"]]
        super().__init__(sgd=torch.optim.SGD(present, rate / batch, momentum=0.9, nesterov=True))

    def step(self, done: int) -> None:
        rate = self.rate / self.batch * 0.5 * (1 + math.cos(math.pi * done / self.steps))
        for group in self.parts["sgd"].param_groups:
            group["lr"] = rate
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for p in self.parameters if p.grad is not None], self.clip * self.batch)
        super().step(done)
