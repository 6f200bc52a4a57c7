"""Optimisers of the pruning papers, for gradients summed over a batch as the training loop makes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

from auditor.train.optim import Steps

if TYPE_CHECKING:
    from auditor.lab.prune.settings import DenseSchedule


class MeanAdamW(Steps):
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
        super().__init__(adamw=torch.optim.AdamW(parameters, lr=rate, eps=1e-8 * batch, weight_decay=decay))

    def step(self, done: int) -> None:
        if self._steps is not None:
            for group in self.parts["adamw"].param_groups:
                group["lr"] = self._rate * (1 + math.cos(math.pi * done / max(1, self._steps))) / 2
        super().step(done)


class GatedSteps(Steps):
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
        parts: dict[str, torch.optim.Optimizer] = {
            "backbone": torch.optim.SGD(list(backbone), lr=self._rate, momentum=0.9, weight_decay=decay * batch)
        }
        own = list(predictors)
        if own and predictors_by == "adam":
            parts["predictors"] = torch.optim.Adam(own, lr=predictor_rate, eps=1e-8 * batch)
        elif own:
            parts["predictors"] = torch.optim.SGD(own, lr=predictor_rate / batch, momentum=0.9)
        super().__init__(**parts)

    def step(self, done: int) -> None:
        passed = sum(done >= share * self._steps for share in self._milestones)
        for group in self.parts["backbone"].param_groups:
            group["lr"] = self._rate * 0.1**passed
        super().step(done)


def dense_optimiser(model: nn.Module, schedule: DenseSchedule, batch: int, steps: int) -> MeanAdamW | GatedSteps:
    """The optimiser of a paper's dense training."""
    if schedule.optimiser == "adamw":
        return MeanAdamW(model, schedule.rate, batch, steps, schedule.decay)
    own = [p for p in model.parameters() if p.requires_grad]
    return GatedSteps(own, (), steps, batch, schedule.rate, schedule.rate, schedule.decay, schedule.milestones)
