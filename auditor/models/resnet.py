"""ResNets (He et al. 2016) for small images: 3x3 stem of stride 1 and no max pooling.

ResNet-18/34/50 have four stages, the first of 64 channels; ResNet-20/32/44/56 for CIFAR (section 4.2) have three, the
first of 16.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Literal, cast, get_args

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.models.base import Classifier, conv_unit

#: Where a stage begins. ``a``: option A of the paper, every second pixel with zero channels around. ``average``: means
#: of 2 x 2 pixels with zero channels around, as in the official code of FTWT. ``conv``: a 1x1 convolution with
#: BatchNorm (option B), as in the official code of RD pruning and in ResNet-18/34/50.
Shortcut = Literal["a", "average", "conv"]


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
    """Halve the image, and put zero channels in front of and behind its own. No parameters, no MACs.

    Parameters
    ----------
    added : int
        Channels that are zero; half of them, rounded down, in front.
    average : bool
        Halve by the mean of 2 x 2 pixels instead of taking every second one (option A).
    """

    def __init__(self, added: int, average: bool) -> None:
        super().__init__()
        self.added, self.average = added, average

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # ceil_mode: an odd side is halved upwards, as the strided convolution beside it does.
        halved = F.avg_pool2d(x, 2, ceil_mode=True) if self.average else x[:, :, ::2, ::2]
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
    shortcut : `Shortcut`
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
                if inputs != outputs and shortcut != "conv":
                    residual.shortcut = PaddedShortcut(outputs - inputs, shortcut == "average")
                inputs = outputs
        super().__init__(n_classes, inputs, blocks, stem)


class CifarResNet(ResNet):
    """The ResNet of `depth` 6n + 2 for CIFAR: three stages of n basic blocks."""

    def __init__(self, depth: int, n_classes: int, width: int, shortcut: Shortcut) -> None:
        if (depth - 2) % 6 or shortcut not in get_args(Shortcut) or width < 1:
            raise UsageError(f"no CIFAR ResNet of depth {depth!r}, width {width!r} and shortcut {shortcut!r}.")
        super().__init__(BasicBlock, [(depth - 2) // 6] * 3, n_classes, width, shortcut)
        self.blocks = (depth - 2) // 6

    def own_name(self, name: str) -> str:
        """The name here of a tensor that the usual implementations for CIFAR call ``layer2.0.conv1.weight``,
        ``bn1.bias``, ``linear.weight``; other names as they are."""
        if match := re.fullmatch(r"(conv|bn)1\.(\w+)", name):
            return f"stem.0.{int(match[1] == 'bn')}.{match[2]}"
        if match := re.fullmatch(r"layer([123])\.(\d+)\.(conv|bn)([12])\.(\w+)", name):
            block = (int(match[1]) - 1) * self.blocks + int(match[2])
            return f"body.{block}.branch.{2 * int(match[4]) - 2}.{int(match[3] == 'bn')}.{match[5]}"
        if match := re.fullmatch(r"layer([123])\.(\d+)\.(?:shortcut|downsample)\.([01])\.(\w+)", name):
            return f"body.{(int(match[1]) - 1) * self.blocks + int(match[2])}.shortcut.{match[3]}.{match[4]}"
        return re.sub(r"^(linear|fc)\.", "head.", name)


def resnet18(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-18 for small images: 11,173,962 parameters at 10 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), n_classes)


def resnet34(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-34 for small images: 21,282,122 parameters at 10 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), n_classes)


def resnet50(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-50 for small images: 23,520,842 parameters at 10 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), n_classes)


def _cifar(depth: int, n_classes: int, image_size: int = 32, variant: str = "a", width: int = 16) -> CifarResNet:
    """`variant` is the shortcut."""
    if variant not in get_args(Shortcut):
        known = ", ".join(f"resnet{depth}:{shortcut}" for shortcut in get_args(Shortcut))
        raise UsageError(f"'resnet{depth}' has no variant {variant!r}.", f"Its shortcuts: {known}; a without one.")
    return CifarResNet(depth, n_classes, width, cast(Shortcut, variant))


#: ResNets for CIFAR, with option A unless a variant says otherwise. Parameters at 10 classes: 269,722, 464,154, 658,586
#: and 853,018; ResNet-56 has 125,485,696 MACs. With 1x1 shortcuts ResNet-32 has 464,432 prunable weights.
resnet20, resnet32, resnet44, resnet56 = (partial(_cifar, depth) for depth in (20, 32, 44, 56))
