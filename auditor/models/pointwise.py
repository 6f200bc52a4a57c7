"""Strided 1x1 convolutions without the strided kernel.

oneDNN's strided 1x1 convolution writes beyond its workspace in the backward pass when there are fewer input channels
than its block holds (8 with AVX2) and the images lie in channels_last: the process dies some steps later, or goes on
with other numbers. Known as uxlfoundation/oneDNN issue 6035. Reading every second pixel first gives the same sums.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def pointwise(x: torch.Tensor, weight: torch.Tensor, stride: tuple[int, ...], groups: int = 1) -> torch.Tensor:
    """Unpadded 1x1 convolution without bias, of images (n, channels, H, W) and stride ``(down, right)``."""
    return F.conv2d(x[:, :, :: stride[0], :: stride[1]], weight, groups=groups)


class PointwiseConv(nn.Conv2d):
    """1x1 convolution without padding and bias, its parameters those of ``nn.Conv2d``."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 1, stride, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return pointwise(input, self.weight, self.stride)
