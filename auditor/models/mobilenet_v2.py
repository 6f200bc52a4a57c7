"""MobileNet-v2 (Sandler et al. 2018) for small images: strides 1 in the stem and the first two stages."""

from __future__ import annotations

import torch
from torch import nn

from auditor.models.base import Classifier, conv_unit

#: Expansion, output channels, blocks and first stride of each stage.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, project by a linear 1x1; added to the input where the stride is 1.

    Where the stride is 1 and the channels differ, the input passes a 1x1 convolution, the form the CIFAR versions
    have (2,296,922 parameters in all).
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.branch = nn.Sequential(
            conv_unit(inputs, wide, 1, activation=nn.ReLU6),
            conv_unit(wide, wide, 3, stride, wide, activation=nn.ReLU6),
            conv_unit(wide, outputs, 1, activation=None),
        )
        self.shortcut: nn.Module | None = None
        if stride == 1:
            same = inputs == outputs
            self.shortcut = nn.Identity() if same else conv_unit(inputs, outputs, 1, activation=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        return y if self.shortcut is None else y + self.shortcut(x)


def mobilenet_v2(n_classes: int, image_size: int = 32) -> Classifier:
    """MobileNet-v2: 2,296,922 parameters, 91,154,944 MACs at 10 classes and 32 px.

    Stem, seventeen inverted residuals, 1x1 to 1,280 channels, global mean, linear head.
    """
    stem, inputs = conv_unit(3, 32, 3, activation=nn.ReLU6), 32
    blocks: list[nn.Module] = []
    for expansion, outputs, depth, first in STAGES:
        for i in range(depth):
            blocks.append(InvertedResidual(inputs, outputs, expansion, first if i == 0 else 1))
            inputs = outputs
    return Classifier(n_classes, 1280, blocks, stem, conv_unit(inputs, 1280, 1, activation=nn.ReLU6), fan="in")
