"""GoogLeNet (Szegedy et al. 2015) with BatchNorm for small images: a 3x3 stem of stride 1 in place of the 7x7 one."""

from __future__ import annotations

import torch
from torch import nn

from auditor.models.base import Classifier, conv_unit

#: Channels of a module: 1x1; 1x1 then 3x3; 1x1 then 5x5; 1x1 after pooling. ``None``: 3x3 max pooling of stride 2.
MODULES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


class Branches(nn.Module):
    """Branches side by side, joined by channel."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def _module(inputs: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int) -> Branches:
    """The 5x5 is two 3x3 in a row, as in the versions with BatchNorm."""
    return Branches(
        conv_unit(inputs, one, 1),
        nn.Sequential(conv_unit(inputs, reduce3, 1), conv_unit(reduce3, three, 3)),
        nn.Sequential(conv_unit(inputs, reduce5, 1), conv_unit(reduce5, five, 3), conv_unit(five, five, 3)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_unit(inputs, pooled, 1)),
    )


def googlenet(n_classes: int, image_size: int = 32) -> Classifier:
    """GoogLeNet for small images: 6,158,346 parameters at 10 classes.

    Stem of 192 channels, nine inception modules, global mean, linear head. No auxiliary heads.
    """
    stem, inputs = conv_unit(3, 192, 3), 192
    body: list[nn.Module] = []
    for channels in MODULES:
        if channels is None:
            body.append(nn.MaxPool2d(3, 2, 1))
        else:
            body.append(_module(inputs, *channels))
            one, _, three, _, five, pooled = channels
            inputs = one + three + five + pooled
    return Classifier(n_classes, inputs, body, stem)
