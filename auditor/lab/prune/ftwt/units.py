"""What is gated in each family of networks, and which channels of a layer's input can be missing.

A unit is a convolution with its BatchNorm and activation. Its mask is taken at its end: after the ReLU, or, for the
second convolution of a residual block, after the BatchNorm and before the addition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import cast

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.models.mobilenet_v1 import MobileNetV1
from auditor.models.resnet import CifarResNet, PaddedShortcut
from auditor.models.vgg import VGG

#: Masks of all units, bool (b, channels).
Masks = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Unit:
    """One gated convolution.

    Attributes
    ----------
    name : str
        Of the convolution in the network.
    conv : nn.Conv2d
    norm : nn.Module
    end : nn.Module
        Module whose output is masked.
    """

    name: str
    conv: nn.Conv2d
    norm: nn.Module
    end: nn.Module


@dataclass(frozen=True)
class Flow:
    """Where masks lead.

    Attributes
    ----------
    inputs : dict of str to (bool tensor (b, channels) or None)
        Channels of a layer's input that are not zero by a mask; None: all. For gated convolutions, and for the layers
        that are not gated (shortcuts, the head).
    paper : dict of str to (bool tensor or None)
        What the paper's count takes for the same: the mask of the gated convolution before.
    """

    inputs: dict[str, torch.Tensor | None]
    paper: dict[str, torch.Tensor | None]


@dataclass(frozen=True)
class Plan:
    """Units of a network in order, and how masks travel."""

    units: tuple[Unit, ...]
    flow: Callable[[Masks], Flow]


@singledispatch
def plan_of(model: nn.Module) -> Plan:
    """Units of a network.

    Raises
    ------
    UsageError
        For a family that FTWT is not described for here.
    """
    raise UsageError(
        f"FTWT is not described for {type(model).__name__}.",
        "Known: vgg11_bn to vgg19_bn, resnet20 to resnet56, mobilenet_v1.",
    )


def _in_line(units: list[Unit]) -> Plan:
    """Each unit reads what the one before writes; pooling keeps channels apart."""

    def flow(masks: Masks) -> Flow:
        inputs: dict[str, torch.Tensor | None] = {}
        before: torch.Tensor | None = None
        for unit in units:
            inputs[unit.name] = before
            before = masks[unit.name]
        return Flow({**inputs, "head": before}, {**inputs, "head": before})

    return Plan(tuple(units), flow)


@plan_of.register
def _vgg(model: VGG) -> Plan:
    layers = list(model.body)
    units = [
        Unit(f"body.{i}", layer, layers[i + 1], layers[i + 2])
        for i, layer in enumerate(layers)
        if isinstance(layer, nn.Conv2d)
    ]
    return _in_line(units)


@plan_of.register
def _mobilenet(model: MobileNetV1) -> Plan:
    units = []
    for i, block in enumerate(model.body):
        conv, norm, relu = block.children()
        units.append(Unit(f"body.{i}.0", cast(nn.Conv2d, conv), norm, relu))
    return _in_line(units)


@plan_of.register
def _resnet(model: CifarResNet) -> Plan:
    opening, relu = cast(nn.Sequential, model.stem)
    conv, norm = cast(nn.Sequential, opening)
    stem = Unit("stem.0.0", cast(nn.Conv2d, conv), norm, relu)
    units = [stem]
    for i, block in enumerate(model.body):
        first, relu, second = (cast(nn.Sequential, part) for part in cast(nn.Sequential, block.branch))
        units.append(Unit(f"body.{i}.branch.0.0", cast(nn.Conv2d, first[0]), first[1], relu))
        units.append(Unit(f"body.{i}.branch.2.0", cast(nn.Conv2d, second[0]), second[1], second))

    def flow(masks: Masks) -> Flow:
        inputs: dict[str, torch.Tensor | None] = {stem.name: None}
        paper: dict[str, torch.Tensor | None] = {stem.name: None}
        state: torch.Tensor | None = masks[stem.name]
        before = masks[stem.name]
        for i, block in enumerate(model.body):
            first, second = f"body.{i}.branch.0.0", f"body.{i}.branch.2.0"
            inputs[first], paper[first] = state, before
            inputs[second] = paper[second] = masks[first]
            before = masks[second]
            shortcut = block.shortcut
            if isinstance(shortcut, nn.Identity):
                state = None if state is None else state | before
            elif isinstance(shortcut, PaddedShortcut):
                if state is not None:
                    left, right = shortcut.added // 2, shortcut.added - shortcut.added // 2
                    state = nn.functional.pad(state, (left, right)) | before
            else:
                # A 1x1 convolution mixes channels: behind it, none is zero by a mask.
                inputs[f"body.{i}.shortcut.0"] = paper[f"body.{i}.shortcut.0"] = state
                state = None
        return Flow({**inputs, "head": state}, {**paper, "head": before})

    return Plan(tuple(units), flow)
