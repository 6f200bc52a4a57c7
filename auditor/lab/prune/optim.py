"""Optimisers of the pruning papers, for gradients summed over a batch as the training loop makes them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from auditor.lab.prune.settings import DenseSchedule, FtwtSettings
from auditor.train.optim import Steps


class MeanAdamW(Steps):
    """AdamW at a constant rate (RD's fine-tuning, and most of its dense trainings), or falling to 0 by a cosine.

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
    """FTWT: SGD with momentum for the backbone, falling at milestones or linearly, and an optimiser of
    their own for the predictors, without decay and schedule. Predictors that receive no gradient stay exactly as they
    are.

    Parameters
    ----------
    backbone, predictors : iterables of parameters
    steps, batch : int
    settings : FtwtSettings or DenseSchedule
        Rates are for mean losses; the decay is the backbone's. Where there are predictors, `FtwtSettings`: SGD with
        momentum, or Adam, whose steps do not depend on how small a predictor's input is.
    """

    def __init__(
        self,
        backbone: Iterable[nn.Parameter],
        predictors: Iterable[nn.Parameter],
        steps: int,
        batch: int,
        settings: FtwtSettings | DenseSchedule,
    ) -> None:
        self._steps, self._rate, self._milestones = max(1, steps), settings.rate / batch, settings.milestones
        self._linear = isinstance(settings, FtwtSettings) and settings.schedule == "linear"
        # The gradient is batch times that of the mean: the rate is divided, the decay multiplied by the batch.
        decay = settings.decay * batch
        parts: dict[str, torch.optim.Optimizer] = {
            "backbone": torch.optim.SGD(list(backbone), lr=self._rate, momentum=0.9, weight_decay=decay)
        }
        own = list(predictors)
        if own and isinstance(settings, FtwtSettings):
            parts["predictors"] = _predictor_optimiser(own, batch, settings)
        super().__init__(**parts)

    def step(self, done: int) -> None:
        if self._linear:
            share = 1 - done / self._steps
        else:
            share = 0.1 ** sum(done >= share * self._steps for share in self._milestones)
        for group in self.parts["backbone"].param_groups:
            group["lr"] = self._rate * share
        super().step(done)


class PredictorSteps(Steps):
    """FTWT: the predictors alone, while the backbone stays as it is."""

    def __init__(self, predictors: Iterable[nn.Parameter], batch: int, settings: FtwtSettings) -> None:
        super().__init__(predictors=_predictor_optimiser(list(predictors), batch, settings))


def _predictor_optimiser(own: list[nn.Parameter], batch: int, settings: FtwtSettings) -> torch.optim.Optimizer:
    rate = settings.predictor_rate
    if settings.predictors_by == "adam":
        return torch.optim.Adam(own, lr=rate, eps=1e-8 * batch)
    return torch.optim.SGD(own, lr=rate / batch, momentum=0.9)


def dense_optimiser(model: nn.Module, schedule: DenseSchedule, batch: int, steps: int) -> MeanAdamW | GatedSteps:
    """The optimiser of a paper's dense training."""
    if schedule.optimiser != "sgd":
        falling = steps if schedule.optimiser == "adamw" else None
        return MeanAdamW(model, schedule.rate, batch, falling, schedule.decay)
    own = [p for p in model.parameters() if p.requires_grad]
    return GatedSteps(own, (), steps, batch, schedule)
