"""MobileNet-v2 (Sandler et al. 2018) for small images: strides 1 in the stem and the first two stages."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["MobileNetV2", "mobilenet_v2"]

#: Expansion, output channels, blocks and first stride of each stage.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _unit(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if relu else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, project by a linear 1x1; added to the input where the stride is 1.

    Where the stride is 1 and the channels differ, the input passes a 1x1 convolution, the form the CIFAR versions
    have (2,296,922 parameters in all).
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.branch = nn.Sequential(
            _unit(inputs, wide, 1), _unit(wide, wide, 3, stride, wide), _unit(wide, outputs, 1, relu=False)
        )
        self.shortcut: nn.Module | None = None
        if stride == 1:
            self.shortcut = nn.Identity() if inputs == outputs else _unit(inputs, outputs, 1, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        return y if self.shortcut is None else y + self.shortcut(x)


class MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals, 1x1 to 1,280 channels, global mean, linear head.

    Parameters
    ----------
    n_classes : int
    """

    min_size = 8

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem = _unit(3, 32, 3)
        blocks: list[nn.Module] = []
        inputs = 32
        for expansion, outputs, depth, first in STAGES:
            for i in range(depth):
                blocks.append(InvertedResidual(inputs, outputs, expansion, first if i == 0 else 1))
                inputs = outputs
        self.body = nn.Sequential(*blocks)
        self.last = _unit(inputs, 1280, 1)
        self.head = nn.Linear(1280, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # fan_in: torch counts the fan_out of a depthwise convolution over all groups, far too many.
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def chain(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """Steps whose composition is `forward`."""
        return [self.stem, *self.body, self.last, self._end]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        return self._end(self.last(self.body(self.stem(images))))


def mobilenet_v2(n_classes: int, image_size: int = 32) -> MobileNetV2:
    """MobileNet-v2: 2,296,922 parameters, 91,154,944 MACs at 10 classes and 32 px."""
    return MobileNetV2(n_classes)
