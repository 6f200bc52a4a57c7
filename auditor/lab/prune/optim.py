"""Optimisers of the pruning papers, for gradients summed over a batch as the training loop makes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from auditor.lab.prune.settings import DenseSchedule

__all__ = ["GatedSteps", "MeanAdamW", "dense_optimiser"]


class MeanAdamW:
    """AdamW at a constant rate (RD's fine-tuning), or falling to 0 by a cosine (its dense training).

    Adam's step does not depend on the scale of the loss except through eps; with eps times the batch, the sum over a
    batch takes the steps of its mean.

    Parameters
    ----------
    model : nn.Module
    rate : float
    batch : int
    cosine_steps : int, optional
        Steps until the rate is 0; None: constant.
    """

    def __init__(
        self, model: nn.Module, rate: float, batch: int, cosine_steps: int | None = None, decay: float = 0.01
    ) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        self._rate, self._steps = rate, cosine_steps
        self._inner = torch.optim.AdamW(parameters, lr=rate, eps=1e-8 * batch, weight_decay=decay)

    def step(self, done: int) -> None:
        """Update; `done` steps lie behind."""
        if self._steps is not None:
            for group in self._inner.param_groups:
                group["lr"] = self._rate * (1 + math.cos(math.pi * done / max(1, self._steps))) / 2
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


class GatedSteps:
    """FTWT: SGD with momentum for the backbone, falling at milestones, and an optimiser of their own for the
    predictors, without decay and schedule. Predictors that receive no gradient stay exactly as they are.

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
    predictors_by : "sgd" or "adam"
        SGD with momentum, or Adam, whose steps do not depend on how small a predictor's input is.
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
        predictors_by: str = "sgd",
    ) -> None:
        self._steps, self._rate = max(1, steps), rate / batch
        self._milestones = tuple(milestones)
        # The gradient is batch times that of the mean: the rate is divided, the decay multiplied by the batch.
        self._backbone = torch.optim.SGD(list(backbone), lr=self._rate, momentum=0.9, weight_decay=decay * batch)
        own = list(predictors)
        self._predictors: torch.optim.Optimizer | None = None
        if own and predictors_by == "adam":
            self._predictors = torch.optim.Adam(own, lr=predictor_rate, eps=1e-8 * batch)
        elif own:
            self._predictors = torch.optim.SGD(own, lr=predictor_rate / batch, momentum=0.9)

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


def dense_optimiser(model: nn.Module, schedule: DenseSchedule, batch: int, steps: int) -> MeanAdamW | GatedSteps:
    """The optimiser of a paper's dense training."""
    if schedule.optimiser == "adamw":
        return MeanAdamW(model, schedule.rate, batch, steps, schedule.decay)
    own = [p for p in model.parameters() if p.requires_grad]
    return GatedSteps(own, (), steps, batch, schedule.rate, schedule.rate, schedule.decay, schedule.milestones)
