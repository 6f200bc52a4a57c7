"""DenseNet-121/161/169 (Huang et al. 2017) for small images: 3x3 stem of stride 1 and no pooling before block 1."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.models.base import Classifier


def _unit(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Pre-activation: BatchNorm, ReLU, convolution."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv)


class DenseLayer(nn.Module):
    """1x1 bottleneck to four times the growth, 3x3 to the growth, joined to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_unit(inputs, 4 * growth, 1), _unit(4 * growth, growth, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.branch(x)], 1)


def _densenet(growth: int, depths: Sequence[int], n_classes: int) -> Classifier:
    """Stem of 2 x `growth` channels, a dense block of each of `depths` layers, halving transitions between them."""
    channels = 2 * growth
    stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
    layers: list[nn.Module] = []
    for number, depth in enumerate(depths):
        if number:
            layers.append(nn.Sequential(_unit(channels, channels // 2, 1), nn.AvgPool2d(2)))
            channels //= 2
        for _ in range(depth):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    layers.append(nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()))
    return Classifier(n_classes, channels, layers, stem, fan="in")


def densenet121(n_classes: int, image_size: int = 32, variant: str = "g32") -> Classifier:
    """DenseNet-121: 6,956,298 parameters at 10 classes. `variant` is the growth, e.g. ``g12``: channels that a layer
    adds.

    Raises
    ------
    UsageError
        For a variant of another form.
    """
    growth = re.fullmatch(r"g([1-9]\d{0,2})", variant)
    if growth is None:
        raise UsageError(f"'densenet121' has no variant {variant!r}.", "Write a growth, e.g. densenet121:g12.")
    return _densenet(int(growth[1]), (6, 12, 24, 16), n_classes)


def densenet161(n_classes: int, image_size: int = 32) -> Classifier:
    """DenseNet-161 (growth 48): 26,482,378 parameters at 10 classes."""
    return _densenet(48, (6, 12, 36, 24), n_classes)


def densenet169(n_classes: int, image_size: int = 32) -> Classifier:
    """DenseNet-169: 12,493,322 parameters at 10 classes."""
    return _densenet(32, (6, 12, 32, 32), n_classes)
