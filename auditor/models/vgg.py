"""VGG-11/13/16/19 with BatchNorm (Simonyan & Zisserman 2015) for small images: one linear layer as head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from torch import nn

from auditor.core.errors import UsageError
from auditor.models.base import Classifier, scaled

#: Convolutions per stage; the stages have 64, 128, 256, 512 and 512 channels and end in a 2x2 max pooling.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(Classifier):
    """Five stages of 3x3 convolutions, global mean, linear head.

    Parameters
    ----------
    depths : five ints
        Convolutions per stage.
    n_classes : int
    width : float
        Multiplies all channels.
    """

    def __init__(self, depths: Sequence[int], n_classes: int, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        inputs = 3
        for depth, channels in zip(depths, WIDTHS, strict=True):
            outputs = scaled(channels, width)
            for _ in range(depth):
                # The BatchNorm that follows cancels the bias; it is there because the published nets and their
                # parameter counts have it.
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            # ceil_mode changes nothing from 32 px on; it lets a 16 px image, which is one pixel here, pass.
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        super().__init__(n_classes, inputs, layers, min_size=16)


def _vgg(depth: int, n_classes: int, image_size: int = 32, variant: str = "") -> VGG:
    """`variant` is a width, e.g. ``w0.25`` for a quarter of the channels."""
    match = re.fullmatch(r"w(\d*\.?\d+)", variant or "w1")
    if match is None or not 0 < float(match[1]) <= 8:
        raise UsageError(f"'vgg{depth}_bn' has no variant {variant!r}.", f"Write a width, e.g. vgg{depth}_bn:w0.25.")
    return VGG(DEPTHS[depth], n_classes, float(match[1]))


#: With BatchNorm. VGG-16 has 14,728,266 parameters and 313,201,664 MACs at 10 classes and 32 px.
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (partial(_vgg, depth) for depth in DEPTHS)
