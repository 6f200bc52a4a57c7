"""GoogLeNet (Szegedy et al. 2015) with BatchNorm for small images: a 3x3 stem of stride 1 in place of the 7x7 one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["GoogLeNet", "googlenet"]

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


def _unit(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Inception(nn.Module):
    """Four branches side by side, joined by channel. The 5x5 is two 3x3 in a row, as in the versions with BatchNorm."""

    def __init__(self, inputs: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _unit(inputs, one, 1),
                nn.Sequential(_unit(inputs, reduce3, 1), _unit(reduce3, three, 3)),
                nn.Sequential(_unit(inputs, reduce5, 1), _unit(reduce5, five, 3), _unit(five, five, 3)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), _unit(inputs, pooled, 1)),
            ]
        )
        self.outputs = one + three + five + pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """Stem of 192 channels, nine inception modules, global mean, linear head. No auxiliary heads.

    Parameters
    ----------
    n_classes : int
    """

    min_size = 8

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem = _unit(3, 192, 3)
        layers: list[nn.Module] = []
        inputs = 192
        for channels in MODULES:
            if channels is None:
                layers.append(nn.MaxPool2d(3, 2, 1))
                continue
            module = Inception(inputs, *channels)
            layers.append(module)
            inputs = module.outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, n_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def chain(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """Steps whose composition is `forward`."""
        return [self.stem, *self.body, self._end]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        return self._end(self.body(self.stem(images)))


def googlenet(n_classes: int, image_size: int = 32) -> GoogLeNet:
    """GoogLeNet for small images: 6,158,346 parameters at 10 classes."""
    return GoogLeNet(n_classes)
