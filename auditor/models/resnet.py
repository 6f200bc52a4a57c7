"""ResNet-18/34/50 (He et al. 2016) for small images: 3x3 stem of stride 1 and no max pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from auditor.models.pointwise import PointwiseConv

__all__ = ["ResNet", "resnet18", "resnet34", "resnet50"]


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    conv = (
        PointwiseConv(inputs, outputs, stride)
        if size == 1
        else nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    )
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class _Residual(nn.Module):
    """Shared shape of both blocks: branch + shortcut, then ReLU."""

    expansion = 1

    def __init__(self, branch: nn.Sequential, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = branch
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class BasicBlock(_Residual):
    """Two 3x3 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        branch = nn.Sequential(_conv(inputs, width, 3, stride), nn.ReLU(), _conv(width, width, 3))
        super().__init__(branch, inputs, width, stride)


class Bottleneck(_Residual):
    """1x1, 3x3 (strided), 1x1 with four times the width."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        branch = nn.Sequential(
            _conv(inputs, width, 1), nn.ReLU(), _conv(width, width, 3, stride), nn.ReLU(), _conv(width, 4 * width, 1)
        )
        super().__init__(branch, inputs, 4 * width, stride)


class ResNet(nn.Module):
    """Stem, four stages of 64, 128, 256 and 512 channels, global mean, linear head.

    Parameters
    ----------
    block : type
        `BasicBlock` or `Bottleneck`.
    depths : four ints
        Blocks per stage.
    n_classes : int
    """

    min_size = 8

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 64, 3), nn.ReLU())
        stages: list[nn.Module] = []
        inputs = 64
        for stage, depth in enumerate(depths):
            width = 64 << stage
            for i in range(depth):
                stages.append(block(inputs, width, 2 if stage and i == 0 else 1))
                inputs = width * block.expansion
        self.body = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def chain(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """Steps whose composition is `forward`."""
        return [self.stem, *self.body, self._end]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        return self._end(self.body(self.stem(images)))


def resnet18(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-18 for small images: 11,173,962 parameters at 10 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), n_classes)


def resnet34(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-34 for small images: 21,282,122 parameters at 10 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), n_classes)


def resnet50(n_classes: int, image_size: int = 32) -> ResNet:
    """ResNet-50 for small images: 23,520,842 parameters at 10 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), n_classes)
