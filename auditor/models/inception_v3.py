"""Inception-v3 (Szegedy et al. 2016) for small images: one 3x3 convolution of stride 1 in place of the strided stem."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from auditor.models.base import Classifier, conv_unit
from auditor.models.googlenet import Branches

_unit = partial(conv_unit, eps=1e-3)


def _path(inputs: int, *units: tuple[int, int | tuple[int, int]], halve: bool = False) -> nn.Sequential:
    """Units one after the other, each ``(outputs, size)``; with `halve` the last one has stride 2 and no padding."""
    steps = []
    for number, (outputs, size) in enumerate(units, start=1):
        last = halve and number == len(units)
        steps.append(_unit(inputs, outputs, size, 2 if last else 1, pad=not last))
        inputs = outputs
    return nn.Sequential(*steps)


def _mean_pool(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(inputs, outputs, 1))


class Forked(nn.Module):
    """A common path whose end is read by two convolutions (1x3 and 3x1), joined by channel."""

    def __init__(self, common: nn.Module, channels: int) -> None:
        super().__init__()
        self.common = common
        self.fork = Branches(_unit(channels, 384, (1, 3)), _unit(channels, 384, (3, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fork(self.common(x))


def _module_a(inputs: int, pooled: int) -> Branches:
    """1x1, 5x5, double 3x3, pooled: 64 + 64 + 96 + `pooled` channels."""
    return Branches(
        _unit(inputs, 64, 1),
        _path(inputs, (48, 1), (64, 5)),
        _path(inputs, (64, 1), (96, 3), (96, 3)),
        _mean_pool(inputs, pooled),
    )


def _halve_b(inputs: int) -> Branches:
    return Branches(
        _unit(inputs, 384, 3, 2, pad=False), _path(inputs, (64, 1), (96, 3), (96, 3), halve=True), nn.MaxPool2d(3, 2)
    )


def _module_c(inputs: int, mid: int) -> Branches:
    """Factorised 7x7 convolutions: 4 x 192 channels."""
    across, down = (1, 7), (7, 1)
    return Branches(
        _unit(inputs, 192, 1),
        _path(inputs, (mid, 1), (mid, across), (192, down)),
        _path(inputs, (mid, 1), (mid, down), (mid, across), (mid, down), (192, across)),
        _mean_pool(inputs, 192),
    )


def _halve_d(inputs: int) -> Branches:
    return Branches(
        _path(inputs, (192, 1), (320, 3), halve=True),
        _path(inputs, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), halve=True),
        nn.MaxPool2d(3, 2),
    )


def _module_e(inputs: int) -> Branches:
    """320 + 768 + 768 + 192 channels."""
    return Branches(
        _unit(inputs, 320, 1),
        Forked(_unit(inputs, 384, 1), 384),
        Forked(_path(inputs, (448, 1), (384, 3)), 384),
        _mean_pool(inputs, 192),
    )


def inception_v3(n_classes: int, image_size: int = 32) -> Classifier:
    """Inception-v3 for small images: 21,638,954 parameters at 10 classes.

    Stem of 192 channels, modules A x 3, B, C x 4, D, E x 2, global mean, linear head. No auxiliary head.
    """
    body = [
        _unit(3, 192, 3),
        *(_module_a(inputs, pooled) for inputs, pooled in ((192, 32), (256, 64), (288, 64))),
        _halve_b(288),
        *(_module_c(768, mid) for mid in (128, 160, 160, 192)),
        _halve_d(768),
        *(_module_e(inputs) for inputs in (1280, 2048)),
    ]
    return Classifier(n_classes, 2048, body, min_size=16)
