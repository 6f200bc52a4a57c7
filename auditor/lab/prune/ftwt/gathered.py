"""The saving made real: one image through a convolution with only the active filters and present channels."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.train.device import torch_threads


@torch.no_grad()
def gathered_unit(
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    x: torch.Tensor,
    out_mask: torch.Tensor,
    in_mask: torch.Tensor | None = None,
    relu: bool = True,
) -> torch.Tensor:
    """Convolution, BatchNorm in evaluation mode and ReLU of one image, computed for its active filters alone.

    Equal to the masked full computation up to rounding. Weights are gathered by `index_select`, so the arithmetic
    that is left out is really not done.

    Parameters
    ----------
    conv : nn.Conv2d
        Not grouped.
    norm : nn.BatchNorm2d
    x : float tensor (1, c_in, h, w)
        Zero in the channels that `in_mask` leaves out.
    out_mask, in_mask : bool tensors (c_out,), (c_in,)

    Returns
    -------
    float tensor (1, c_out, h', w')
        Zero in the filters that are off.
    """
    if conv.groups != 1:
        raise UsageError("gathered execution is for convolutions without groups.")
    on = out_mask.nonzero()[:, 0]
    weight = conv.weight.index_select(0, on)
    if in_mask is not None:
        present = in_mask.nonzero()[:, 0]
        weight, x = weight.index_select(1, present), x.index_select(1, present)
    bias = None if conv.bias is None else conv.bias.index_select(0, on)
    y = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation)
    statistics_of = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, scale, shift = (None if s is None else s.index_select(0, on) for s in statistics_of)
    y = F.batch_norm(y, mean, variance, scale, shift, False, 0.0, norm.eps)
    y = y.relu() if relu else y
    full = torch.zeros(1, conv.out_channels, *y.shape[2:], dtype=y.dtype, device=y.device)
    return full.index_copy(1, on, y)


@torch.no_grad()
def time_gathered(
    channels: int = 256, side: int = 16, active: float = 0.5, repeats: int = 30, seed: int = 0
) -> dict[str, float]:
    """Time of one 3x3 convolution on one image: whole, masked afterwards, and gathered.

    Median milliseconds on one thread, and the largest difference between masked and gathered output. Masking after
    the full convolution saves nothing; only the gathered path may be called faster, and only where it is.
    """
    random = torch.Generator().manual_seed(seed)
    conv, norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels).eval()
    conv.weight.copy_(torch.randn(conv.weight.shape, generator=random) / (3 * channels**0.5))
    on, present = (torch.rand(channels, generator=random) < active for _ in range(2))
    x = torch.randn(1, channels, side, side, generator=random) * present[None, :, None, None]

    def whole() -> torch.Tensor:
        return norm(conv(x)).relu()

    def masked() -> torch.Tensor:
        return whole() * on[None, :, None, None]

    def gathered() -> torch.Tensor:
        return gathered_unit(conv, norm, x, on, present)

    with torch_threads(1):
        ways = {"whole_ms": whole, "masked_ms": masked, "gathered_ms": gathered}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for run in ways.values():
            run()
        # In turn, so that another process that takes the core slows all three alike.
        for _ in range(repeats):
            for name, run in ways.items():
                started = time.perf_counter()
                run()
                taken[name].append(1000 * (time.perf_counter() - started))
        times = {name: statistics.median(values) for name, values in taken.items()}
        difference = float((masked() - gathered()).abs().max())
    return {
        "channels": channels,
        "side": side,
        "active_filters": int(on.sum()),
        "present_channels": int(present.sum()),
        **times,
        "difference": difference,
    }
