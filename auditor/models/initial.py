"""Initial weights shared by the searched networks."""

from __future__ import annotations

import math

from torch import nn

__all__ = ["fan_out_normal"]


def fan_out_normal(network: nn.Module) -> None:
    """He's normal weights with the fan-out of one group: kernel area x outputs / groups.

    Torch's own fan-out ignores groups, which makes depthwise filters too small by the root of the channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan))
