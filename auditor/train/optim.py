"""Optimisers of the training loop: orthogonalised momentum beside Nesterov SGD, Adam, and the schedules."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from auditor.train.recipe import Recipe

#: Momentum of the filters' buffers.
FILTER_MOMENTUM = 0.6


def orthogonalise(gradient: torch.Tensor) -> torch.Tensor:
    """Nearest semi-orthogonal matrix, roughly: three Newton-Schulz steps of degree five.

    Singular values end near 1, not at 1; that is enough for an update direction. Runs in bf16 on CUDA and in
    the input's precision on a CPU, where bf16 matrix products may be ten times slower.

    Parameters
    ----------
    gradient : float tensor (rows, columns)
    """
    x = gradient.bfloat16() if gradient.is_cuda else gradient
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(3):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).to(gradient.dtype)


class Steps:
    """Optimisers of the parts of one network, by name, stepped together; a subclass sets their rates in `step`.

    The usual `auditor.train.hooks.Stepper`.
    """

    def __init__(self, **parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    def step(self, done: int) -> None:
        """Update; `done` steps lie behind."""
        for part in self.parts.values():
            part.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self.parts.values():
            part.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


class Optimiser(Steps):
    """All parameters of one network with their rates over the whole training.

    Parameters
    ----------
    model : nn.Module
    recipe : Recipe
    batch : int
        Images per step. The loss is summed over the batch, and the rates below assume that.
    steps, steps_per_epoch : int
    """

    def __init__(self, model: nn.Module, recipe: Recipe, batch: int, steps: int, steps_per_epoch: int) -> None:
        self.steps = max(1, steps)
        self.warmup = recipe.warmup * steps
        self.input_steps = max(1.0, min(recipe.input_bias_epochs * steps_per_epoch, steps))
        self.filters: list[nn.Parameter] = []
        self.filter_rate = recipe.filter_rate
        groups = [
            {"params": params, "lr": rate, "peak": rate, "weight_decay": decay, "first": first}
            for params, rate, decay, first in self._groups(model, recipe, batch)
            if params
        ]
        if recipe.optimiser == "adam":
            # Its step does not change with the scale of the loss, except through eps: with eps times the batch, the sum
            # over a batch takes the very steps its mean would take.
            super().__init__(sgd=torch.optim.Adam(groups, eps=1e-8 * batch, fused=True))
        else:
            super().__init__(sgd=torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=True))
        self.buffers = [torch.zeros_like(p) for p in self.filters]

    def _groups(
        self, model: nn.Module, recipe: Recipe, batch: int
    ) -> list[tuple[list[nn.Parameter], float, float, bool]]:
        """Parameters with their peak rate, weight decay, and whether they are trained over the first epochs only."""
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        rate, decay = recipe.filter_rate, recipe.weight_decay * batch
        if recipe.optimiser == "adam":
            return [([p for _, p in named], rate, decay, False)]
        if recipe.optimiser == "sgd":
            # Weights with decay, biases and BatchNorm without. Rates are for a mean loss, so divided by the batch; SGD
            # multiplies the decay by the rate, which takes the batch out of it again.
            matrices, vectors = ([p for _, p in named if (p.ndim > 1) == matrix] for matrix in (True, False))
            return [(matrices, rate / batch, decay, False), (vectors, rate / batch, 0.0, False)]
        # Convolution filters get the orthogonalised update; input bias, biases and head SGD.
        self.filters = [p for _, p in named if p.ndim == 4]
        first_bias = [p for name, p in named if name == "whiten.bias"]
        biases = [p for name, p in named if p.ndim == 1 and name != "whiten.bias"]
        head = [p for _, p in named if p.ndim not in (1, 4)]
        rates = (
            (first_bias, recipe.bias_rate, True),
            (biases, recipe.bias_rate, False),
            (head, recipe.head_rate, False),
        )
        return [(params, rate, decay / rate, first) for params, rate, first in rates]

    def step(self, done: int) -> None:
        """Update all parameters; `done` steps lie behind."""
        rise = min(1.0, (done + 1) / self.warmup) if self.warmup else 1.0
        fall = rise * (1 - done / self.steps)
        for group in self.parts["sgd"].param_groups:
            group["lr"] = group["peak"] * (max(0.0, 1 - done / self.input_steps) if group["first"] else fall)
        super().step(done)
        with torch.no_grad():
            for weight, buffer in zip(self.filters, self.buffers, strict=True):
                gradient = weight.grad
                if gradient is None:
                    continue
                buffer.mul_(FILTER_MOMENTUM).add_(gradient)
                update = gradient + FILTER_MOMENTUM * buffer
                weight.mul_(math.sqrt(len(weight)) / weight.norm())
                direction = orthogonalise(update.reshape(len(update), -1))
                weight.add_(direction.reshape(weight.shape), alpha=-self.filter_rate * fall)

    def zero_grad(self) -> None:
        super().zero_grad()
        for weight in self.filters:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "buffers": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        with torch.no_grad():
            for buffer, saved in zip(self.buffers, state["buffers"], strict=True):
                buffer.copy_(saved)


class CosineSgd(Steps):
    """SGD falling to 0 along half a cosine, as the search papers train, for gradients summed over a batch.

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
        Nesterov's.
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
        present = [g for g in groups if g["params"]]
        super().__init__(sgd=torch.optim.SGD(present, rate / batch, momentum=momentum, nesterov=True))

    def step(self, done: int) -> None:
        rate = self.rate / self.batch * 0.5 * (1 + math.cos(math.pi * done / self.steps))
        for group in self.parts["sgd"].param_groups:
            group["lr"] = rate
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for p in self.parameters if p.grad is not None], self.clip * self.batch)
        super().step(done)


def usual_optimiser(model: nn.Module, recipe: Recipe, batch: int, steps: int, steps_per_epoch: int) -> Steps:
    """What trains a network where no hook brings its own, by the recipe."""
    if recipe.schedule == "linear":
        return Optimiser(model, recipe, batch, steps, steps_per_epoch)
    parameters = [p for p in model.parameters() if p.requires_grad]
    rates = (recipe.filter_rate, recipe.weight_decay)
    return CosineSgd(parameters, *rates, batch, steps, recipe.clip or None, recipe.momentum)
