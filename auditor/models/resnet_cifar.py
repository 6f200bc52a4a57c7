"""ResNet-20/32/56 for CIFAR (He et al. 2016, section 4.2): three stages of 16, 32 and 64 channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.models.resnet import BasicBlock

__all__ = ["CifarResNet", "PaddedShortcut", "resnet20", "resnet32", "resnet56"]

Shortcut = Literal["conv", "pad"]


class PaddedShortcut(nn.Module):
    """Option A: halve by averaging, fill the new channels with zeros. No parameters, no MACs."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # ceil_mode: an odd side is halved upwards, as the strided convolution beside it does.
        halved = F.avg_pool2d(x, 2, ceil_mode=True)
        return F.pad(halved, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class CifarResNet(nn.Module):
    """Stem, three stages of (depth - 2) / 6 basic blocks, global mean, linear head.

    Parameters
    ----------
    depth : int
        6n + 2.
    n_classes : int
    width : int
        Channels of the first stage; 16 as published.
    shortcut : "conv" or "pad"
        Where a stage begins: a 1x1 convolution with BatchNorm, or averaging with zero channels (option A).
    """

    min_size = 8

    def __init__(self, depth: int, n_classes: int, width: int = 16, shortcut: Shortcut = "conv") -> None:
        super().__init__()
        if (depth - 2) % 6 or shortcut not in ("conv", "pad") or width < 1:
            raise UsageError(f"no CIFAR ResNet of depth {depth!r}, width {width!r} and shortcut {shortcut!r}.")
        self.stem = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)), nn.ReLU()
        )
        blocks: list[BasicBlock] = []
        inputs = width
        for stage in range(3):
            outputs = width << stage
            for i in range((depth - 2) // 6):
                block = BasicBlock(inputs, outputs, 2 if stage and i == 0 else 1)
                if inputs != outputs and shortcut == "pad":
                    block.shortcut = PaddedShortcut(outputs - inputs)
                blocks.append(block)
                inputs = outputs
        self.body = nn.Sequential(*blocks)
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


def resnet20(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "conv") -> CifarResNet:
    """ResNet-20, by default with 1x1 shortcuts as in RD pruning."""
    return CifarResNet(20, n_classes, width, shortcut)


def resnet32(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "conv") -> CifarResNet:
    """ResNet-32, by default with 1x1 shortcuts as in RD pruning: 464,432 prunable weights at 10 classes."""
    return CifarResNet(32, n_classes, width, shortcut)


def resnet56(n_classes: int, image_size: int = 32, width: int = 16, shortcut: Shortcut = "pad") -> CifarResNet:
    """ResNet-56, by default with option A as in FTWT: 853,018 parameters, 125,485,696 MACs at 10 classes."""
    return CifarResNet(56, n_classes, width, shortcut)
