"""Initial weights shared by the searched networks."""

from __future__ import annotations

import math

from torch import nn

__all__ = ["fan_out_normal"]


def fan_out_normal(network: nn.Module, per_group: bool = True) -> None:
    """He's normal weights by fan-out: kernel area x outputs, divided by the groups with `per_group`.

    Without the division depthwise filters start small, by the root of their number. That suits a deep sum of branches,
    whose maps would otherwise grow from block to block until the running statistics have followed.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = math.prod(module.kernel_size) * module.out_channels // (module.groups if per_group else 1)
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan))
