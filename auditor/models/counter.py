"""The one counter of parameters and multiply-accumulates (MACs), by forward hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

#: Layers whose multiply-accumulates are counted.
Counted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; afterwards every module is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@dataclass(frozen=True)
class Count:
    """Size and cost of one network.

    Attributes
    ----------
    parameters : int
        All parameters, frozen ones included, each shared tensor once. Buffers (running statistics) are not
        parameters, and what is in training only (a module with ``training_only``, as an auxiliary head) is not counted.
    trainable : int
        Those that receive a gradient.
    macs : int
        Multiply-accumulates of convolutions and linear layers for one image. Biases, normalisation, pooling and
        activations are not counted, the convention of ``FlopCounterMode`` / 2 and of the papers we compare with.
    layers : dict
        Layer name to its MACs, in order of first use.
    """

    parameters: int
    trainable: int
    macs: int
    layers: dict[str, int] = field(default_factory=dict)


def count(model: nn.Module, input_shape: Sequence[int] = (3, 32, 32)) -> Count:
    """Count parameters and MACs of `model` for one input of `input_shape` (without the batch axis).

    The model is run once in evaluation mode without gradients; its mode and statistics are left as they were.
    Products that are not a convolution or linear *module* (a matrix product written in ``forward``) are not
    seen by hooks; the tests hold every registered network against ``FlopCounterMode``.
    """
    layers: dict[str, int] = {}
    hooks = []

    def watch(name: str, layer: Counted) -> None:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            layers[name] = layers.get(name, 0) + output.numel() * layer.weight[0].numel()  # products per output

        hooks.append(layer.register_forward_hook(hook))

    for name, layer in model.named_modules():
        if isinstance(layer, Counted):
            watch(name, layer)
    example = next(model.parameters())
    try:
        with evaluating(model), torch.no_grad():
            model(torch.zeros(1, *input_shape, device=example.device, dtype=example.dtype))
    finally:
        for handle in hooks:
            handle.remove()
    dropped = {id(p) for m in model.modules() if getattr(m, "training_only", False) for p in m.parameters()}
    parameters = [p for p in model.parameters() if id(p) not in dropped]
    return Count(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        macs=sum(layers.values()),
        layers=layers,
    )


@dataclass(frozen=True)
class PrunedCount:
    """Cost of a network with zeroed weights, for one image.

    Attributes
    ----------
    weights, nonzero : int
        Of convolutions and linear layers.
    dense : int
        MACs with nothing left out.
    masked : int
        MACs whose weight is not zero: what the papers on unstructured pruning report as remaining. No ordinary kernel
        is faster by it.
    executable : int
        MACs of ordinary dense kernels that leave out filters, and input channels of a layer (of each of its groups),
        that are zero throughout.
    """

    weights: int
    nonzero: int
    dense: int
    masked: int
    executable: int


def count_pruned(model: nn.Module, input_shape: Sequence[int] = (3, 32, 32)) -> PrunedCount:
    """Count what is left of `model`; zeros are looked for in the weights themselves."""
    layers = dict(model.named_modules())
    weights = nonzero = dense = masked = executable = 0
    for name, macs in count(model, input_shape).layers.items():
        live: torch.Tensor = layers[name].weight != 0
        uses = macs // live.numel()  # output positions of one weight, over all calls
        flat = live.flatten(2).any(2) if live.ndim > 2 else live
        # Groups read channels of their own: filters x input channels, group by group.
        grouped = flat.unflatten(0, (getattr(layers[name], "groups", 1), -1))
        columns = int((grouped.any(2).sum(1) * grouped.any(1).sum(1)).sum())
        weights, nonzero = weights + live.numel(), nonzero + int(live.sum())
        dense, masked = dense + macs, masked + uses * int(live.sum())
        executable += uses * columns * (live[0, 0].numel() if live.ndim > 2 else 1)
    return PrunedCount(weights, nonzero, dense, masked, executable)
