"""MobileNet (Howard et al. 2017) for small images: 3x3 stem of stride 1, thirteen depthwise-separable pairs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["MobileNetV1", "mobilenet_v1"]

#: Output channels and stride of each pair.
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def _unit(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class MobileNetV1(nn.Module):
    """Stem, pairs of a depthwise 3x3 and a pointwise 1x1 convolution, global mean, linear head.

    Parameters
    ----------
    n_classes : int
    width : float
        Multiplies all channels.
    """

    min_size = 16

    def __init__(self, n_classes: int, width: float = 1.0) -> None:
        super().__init__()
        inputs = max(1, round(32 * width))
        units = [_unit(3, inputs, 3)]
        for channels, stride in PAIRS:
            outputs = max(1, round(channels * width))
            units += [_unit(inputs, inputs, 3, stride, groups=inputs), _unit(inputs, outputs, 1)]
            inputs = outputs
        self.body = nn.Sequential(*units)
        self.head = nn.Linear(inputs, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # fan_in: torch counts the fan_out of a depthwise convolution over all groups, far too many.
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def chain(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """Steps whose composition is `forward`."""
        return [*self.body, self._end]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        return self._end(self.body(images))


def mobilenet_v1(n_classes: int, image_size: int = 32, width: float = 1.0) -> MobileNetV1:
    """MobileNet: 3,217,226 parameters, 46,354,432 MACs at 10 classes and 32 px."""
    return MobileNetV1(n_classes, width)
