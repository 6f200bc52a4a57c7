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
        if recipe.optimiser == "adam":
            super().__init__(sgd=_adam(model, recipe, batch))
        else:
            sgd = recipe.optimiser == "sgd"
            groups = _sgd_groups(model, recipe, batch) if sgd else self._split(model, recipe, batch)
            super().__init__(sgd=torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=True))
        self.buffers = [torch.zeros_like(p) for p in self.filters]

    def _split(self, model: nn.Module, recipe: Recipe, batch: int) -> list[dict[str, Any]]:
        """Convolution filters to the orthogonalised update; input bias, biases and head to SGD."""
        first_bias, biases, head = [], [], []
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if parameter.ndim == 4:
                self.filters.append(parameter)
            elif name == "whiten.bias":
                first_bias.append(parameter)
            elif parameter.ndim == 1:
                biases.append(parameter)
            else:
                head.append(parameter)
        decay = recipe.weight_decay * batch
        return [
            {"params": params, "lr": rate, "peak": rate, "weight_decay": decay / rate, "first": first}
            for params, rate, first in (
                (first_bias, recipe.bias_rate, True),
                (biases, recipe.bias_rate, False),
                (head, recipe.head_rate, False),
            )
            if params
        ]

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


def _adam(model: nn.Module, recipe: Recipe, batch: int) -> torch.optim.Adam:
    """Adam for everything. Its step does not change with the scale of the loss, except through eps: with eps times
    the batch, the sum over a batch takes the very steps its mean would take."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    group = {
        "params": parameters,
        "lr": recipe.filter_rate,
        "peak": recipe.filter_rate,
        "weight_decay": recipe.weight_decay * batch,
        "first": False,
    }
    return torch.optim.Adam([group], eps=1e-8 * batch, fused=True)


def _sgd_groups(model: nn.Module, recipe: Recipe, batch: int) -> list[dict[str, Any]]:
    """Weights with decay, biases and BatchNorm without. Rates for a mean loss, divided by the batch."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim == 1]
    rate = recipe.filter_rate / batch
    return [
        # Decay x batch: SGD multiplies the decay by the rate, which holds the 1 / batch already.
        {"params": matrices, "lr": rate, "peak": rate, "weight_decay": recipe.weight_decay * batch, "first": False},
        {"params": vectors, "lr": rate, "peak": rate, "weight_decay": 0.0, "first": False},
    ]
