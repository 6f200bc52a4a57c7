"""VGG-11/13/16/19 with BatchNorm (Simonyan & Zisserman 2015) for small images: one linear layer as head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["VGG", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]

#: Convolutions per stage; the stages have 64, 128, 256, 512 and 512 channels and end in a 2x2 max pooling.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of 3x3 convolutions, global mean, linear head.

    Parameters
    ----------
    depths : five ints
        Convolutions per stage.
    n_classes : int
    """

    min_size = 32

    def __init__(self, depths: Sequence[int], n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for depth, width in zip(depths, WIDTHS, strict=True):
            for _ in range(depth):
                # No bias: the BatchNorm that follows would cancel it.
                layers += [
                    nn.Conv2d(inputs, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W), H and W at least 32."""
        return self.head(self.body(images).mean((2, 3)))


def vgg11_bn(n_classes: int, image_size: int = 32) -> VGG:
    """VGG-11 with BatchNorm."""
    return VGG(DEPTHS[11], n_classes)


def vgg13_bn(n_classes: int, image_size: int = 32) -> VGG:
    """VGG-13 with BatchNorm."""
    return VGG(DEPTHS[13], n_classes)


def vgg16_bn(n_classes: int, image_size: int = 32) -> VGG:
    """VGG-16 with BatchNorm: 14,715,584 weights in convolutions and head at 10 classes."""
    return VGG(DEPTHS[16], n_classes)


def vgg19_bn(n_classes: int, image_size: int = 32) -> VGG:
    """VGG-19 with BatchNorm."""
    return VGG(DEPTHS[19], n_classes)
