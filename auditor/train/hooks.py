"""What a method may add to the one training loop, without a loop of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from auditor.train.recipe import Recipe


class Stepper(Protocol):
    """Updates all parameters of one network; `auditor.train.optim.Optimiser` is the usual one."""

    def step(self, done: int) -> None:
        """Update; `done` steps lie behind. The gradients are those of a loss summed over the batch."""

    def zero_grad(self) -> None:
        """Drop all gradients."""

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""


@dataclass(frozen=True)
class Hooks:
    """Every part may be left out.

    Attributes
    ----------
    before_step : callable, optional
        Called before each forward pass with the share of the training that is done, in [0, 1), e.g. to draw
        a path through the network.
    loss : callable, optional
        Called after each forward pass with the share of the training that is done, in [0, 1); returns a scalar to add
        to the mean loss, or None for nothing.
    after_step : callable, optional
        Called after each update, e.g. to keep pruned weights at zero.
    optimiser : callable, optional
        ``(model, recipe, images per step, steps in all, steps per epoch) -> Stepper`` in place of the usual one.
    """

    before_step: Callable[[float], None] | None = None
    loss: Callable[[float], torch.Tensor | None] | None = None
    after_step: Callable[[], None] | None = None
    optimiser: Callable[[nn.Module, Recipe, int, int, int], Stepper] | None = None
