"""ResNets (He et al. 2016) for small images: 3x3 stem of stride 1 and no max pooling.

ResNet-18/34/50 have four stages, the first of 64 channels; ResNet-20/32/56 for CIFAR (section 4.2) have three, the
first of 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.models.base import Classifier, conv_unit

Shortcut = Literal["conv", "pad"]


class _Residual(nn.Module):
    """Shared shape of both blocks: branch + shortcut, then ReLU."""

    expansion = 1

    def __init__(self, branch: nn.Sequential, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = branch
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else conv_unit(inputs, outputs, 1, stride, activation=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class BasicBlock(_Residual):
    """Two 3x3 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        first = conv_unit(inputs, width, 3, stride, activation=None)
        branch = nn.Sequential(first, nn.ReLU(), conv_unit(width, width, 3, activation=None))
        super().__init__(branch, inputs, width, stride)


class Bottleneck(_Residual):
    """1x1, 3x3 (strided), 1x1 with four times the width."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        narrow = conv_unit(inputs, width, 1, activation=None)
        middle = conv_unit(width, width, 3, stride, activation=None)
        branch = nn.Sequential(narrow, nn.ReLU(), middle, nn.ReLU(), conv_unit(width, 4 * width, 1, activation=None))
        super().__init__(branch, inputs, 4 * width, stride)


class PaddedShortcut(nn.Module):
    """Option A: halve by averaging, fill the new channels with zeros. No parameters, no MACs."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # ceil_mode: an odd side is halved upwards, as the strided convolution beside it does.
        halved = F.avg_pool2d(x, 2, ceil_mode=True)
        return F.pad(halved, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class ResNet(Classifier):
    """Stem, and stages that each double the channels and halve the image.

    Parameters
    ----------
    block : type
        `BasicBlock` or `Bottleneck`.
    depths : ints
        Blocks per stage.
    n_classes : int
    width : int
        Channels of the first stage.
    shortcut : "conv" or "pad"
        Where a stage begins: a 1x1 convolution with BatchNorm, or averaging with zero channels (option A).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        n_classes: int,
        width: int = 64,
        shortcut: Shortcut = "conv",
    ) -> None:
        stem = nn.Sequential(conv_unit(3, width, 3, activation=None), nn.ReLU())
        blocks: list[nn.Module] = []
        inputs = width
        for stage, depth in enumerate(depths):
            outputs = (width << stage) * block.expansion
            for i in range(depth):
                blocks.append(residual := block(inputs, width << stage, 2 if stage and i == 0 else 1))
                if inputs != outputs and shortcut == "pad":
                    residual.shortcut = PaddedShortcut(outputs - inputs)
                inputs = outputs
        super().__init__(n_classes, inputs, blocks, stem)


class CifarResNet(ResNet):
    """The ResNet of `depth` 6n + 2 for CIFAR: three stages of n basic blocks."""

    def __init__(self, depth: int, n_classes: int, width: int, shortcut: Shortcut) -> None:
        if (depth - 2) % 6 or shortcut not in ("conv", "pad") or width < 1:
            raise UsageError(f"no CIFAR ResNet of depth {depth!r}, width {width!r} and shortcut {shortcut!r}.")
        super().__init__(BasicBlock, [(depth - 2) // 6] * 3, n_classes, width, shortcut)


def resnet18(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-18 for small images: 11,173,962 parameters at 10 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), n_classes)


def resnet34(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-34 for small images: 21,282,122 parameters at 10 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), n_classes)


def resnet50(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-50 for small images: 23,520,842 parameters at 10 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), n_classes)


def resnet20(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "conv") -> CifarResNet:
    """ResNet-20, by default with 1x1 shortcuts as in RD pruning."""
    return CifarResNet(20, n_classes, width, shortcut)


def resnet32(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "conv") -> CifarResNet:
    """ResNet-32, by default with 1x1 shortcuts as in RD pruning: 464,432 prunable weights at 10 classes."""
    return CifarResNet(32, n_classes, width, shortcut)


def resnet56(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "pad") -> CifarResNet:
    """ResNet-56, by default with option A as in FTWT: 853,018 parameters, 125,485,696 MACs at 10 classes."""
    return CifarResNet(56, n_classes, width, shortcut)
