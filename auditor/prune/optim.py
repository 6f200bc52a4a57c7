"""Optimisers of the pruning papers, for gradients summed over a batch as the training loop makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["ConstantAdamW", "GatedSGD"]


class ConstantAdamW:
    """AdamW at a constant rate: RD's dense training and fine-tuning.

    Adam's step does not depend on the scale of the loss except through eps; with eps times the batch, the sum over a
    batch takes the steps of its mean.
    """

    def __init__(self, model: nn.Module, rate: float, batch: int) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        self._inner = torch.optim.AdamW(parameters, lr=rate, eps=1e-8 * batch)

    def step(self, done: int) -> None:
        """Update; `done` is not needed at a constant rate."""
        self._inner.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self._inner.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"adamw": self._inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._inner.load_state_dict(state["adamw"])


class GatedSGD:
    """FTWT: SGD with momentum for the backbone, falling at milestones, and one of its own for the predictors, without
    decay and schedule. Predictors that receive no gradient stay exactly as they are.

    Parameters
    ----------
    backbone, predictors : iterables of parameters
    steps, batch : int
    rate, predictor_rate : float
        For mean losses.
    decay : float
        Of the backbone.
    milestones : iterable of float
        Shares of the training after which the backbone's rate falls to a tenth.
    """

    def __init__(
        self,
        backbone: Iterable[nn.Parameter],
        predictors: Iterable[nn.Parameter],
        steps: int,
        batch: int,
        rate: float,
        predictor_rate: float,
        decay: float,
        milestones: Iterable[float],
    ) -> None:
        self._steps, self._rate = max(1, steps), rate / batch
        self._milestones = tuple(milestones)
        # The gradient is batch times that of the mean: the rate is divided, the decay multiplied by the batch.
        self._backbone = torch.optim.SGD(list(backbone), lr=self._rate, momentum=0.9, weight_decay=decay * batch)
        own = list(predictors)
        self._predictors = torch.optim.SGD(own, lr=predictor_rate / batch, momentum=0.9) if own else None

    def step(self, done: int) -> None:
        """Update; `done` steps lie behind."""
        passed = sum(done >= share * self._steps for share in self._milestones)
        for group in self._backbone.param_groups:
            group["lr"] = self._rate * 0.1**passed
        self._backbone.step()
        if self._predictors is not None:
            self._predictors.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        self._backbone.zero_grad()
        if self._predictors is not None:
            self._predictors.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        own = self._predictors.state_dict() if self._predictors is not None else None
        return {"backbone": self._backbone.state_dict(), "predictors": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._backbone.load_state_dict(state["backbone"])
        if self._predictors is not None:
            self._predictors.load_state_dict(state["predictors"])
