"""What the networks share: the convolution unit, initial weights, and the shape stem, body, mean, linear head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import nn

from auditor.models.pointwise import PointwiseConv

Fan = Literal["in", "out", "out of a group"]


def conv_unit(
    inputs: int,
    outputs: int,
    size: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
    pad: bool = True,
    eps: float = 1e-5,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution without bias, BatchNorm, and `activation` where there is one.

    With `pad` a stride of 1 keeps the size of images; `eps` is BatchNorm's.
    """
    height, width = (size, size) if isinstance(size, int) else size
    conv: nn.Module
    if (height, width) == (1, 1) and stride > 1:
        conv = PointwiseConv(inputs, outputs, stride)
    else:
        padding = (height // 2, width // 2) if pad else 0
        conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps), *([] if activation is None else [activation()]))


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded, at least 1."""
    return max(1, round(channels * width))


def initialise(network: nn.Module, fan: Fan) -> None:
    """He's normal weights for every convolution: variance 2 / fan.

    "in" counts the products of one output. "out" is kernel area x outputs: depthwise filters start small by the root of
    their number, which suits a deep sum of branches, whose maps would otherwise grow from block to block until the
    running statistics have followed. "out of a group" divides that by the groups.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            out = math.prod(module.kernel_size) * module.out_channels
            n = {"in": module.weight[0].numel(), "out": out, "out of a group": out // module.groups}[fan]
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / n))


class Classifier(nn.Module):
    """Stem (where there is one), body, last unit (where there is one), mean over the pixels, linear head.

    Parameters
    ----------
    n_classes : int
    channels : int
        Of the maps that the head averages.
    body : modules
        Applied one after the other.
    stem, last : nn.Module, optional
    min_size : int
        Height and width below which the network is refused.
    fan : "in" or "out"
        See `initialise`. Networks with depthwise convolutions take "in".
    """

    def __init__(
        self,
        n_classes: int,
        channels: int,
        body: Iterable[nn.Module],
        stem: nn.Module | None = None,
        last: nn.Module | None = None,
        min_size: int = 8,
        fan: Fan = "out",
    ) -> None:
        super().__init__()
        self.min_size = min_size
        self.stem = stem
        self.body = nn.Sequential(*body)
        self.last = last
        self.head = nn.Linear(channels, n_classes)
        initialise(self, fan)

    def chain(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """Steps whose composition is `forward`."""
        return [step for step in (self.stem, *self.body, self.last, self._end) if step is not None]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes) of normalised images (n, 3, H, W)."""
        x = self.body(images if self.stem is None else self.stem(images))
        return self._end(x if self.last is None else self.last(x))
