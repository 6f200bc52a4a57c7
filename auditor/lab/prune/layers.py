"""What is pruned: the weights of all convolutions and linear layers, first and last included."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from auditor.core.errors import UsageError

PrunableLayer = nn.Conv2d | nn.Linear
Step = Callable[[torch.Tensor], torch.Tensor]


def prunable_layers(model: nn.Module) -> dict[str, PrunableLayer]:
    """Name to layer, in the order of the modules.

    Raises
    ------
    UsageError
        If there is none.
    """
    layers: dict[str, PrunableLayer] = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    if not layers:
        raise UsageError(f"{type(model).__name__} has no convolution and no linear layer to prune.")
    return layers


def steps_of(model: nn.Module) -> tuple[list[Step], dict[str, int]]:
    """The network as a chain of steps, and the step each prunable layer works in.

    Uses the network's own ``chain()``; a network without one is a single step. Layers that are in no step that is a
    module belong to the last step, which is a function there.
    """
    layers = prunable_layers(model)
    chain: list[Step] = list(model.chain()) if hasattr(model, "chain") else [model]  # type: ignore[operator]
    owner: dict[int, int] = {}
    for number, step in enumerate(chain):
        if isinstance(step, nn.Module):
            owner.update((id(module), number) for module in step.modules())
    return chain, {name: owner.get(id(layer), len(chain) - 1) for name, layer in layers.items()}
