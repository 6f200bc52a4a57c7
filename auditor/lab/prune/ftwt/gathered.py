"""The saving made real: one image through a convolution, or a network, with only the active filters and channels."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.lab.prune.ftwt.gated import GatedNetwork, switched_on
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
        Without groups, or depthwise, which reads the channels of its active filters and no others.
    norm : nn.BatchNorm2d
    x : float tensor (1, c_in, h, w)
        Zero in the channels that `in_mask` leaves out.
    out_mask, in_mask : bool tensors (c_out,), (c_in,)

    Returns
    -------
    float tensor (1, c_out, h', w')
        Zero in the filters that are off.
    """
    if conv.groups != 1 and not conv.groups == conv.in_channels == conv.out_channels:
        raise UsageError("gathered execution is for convolutions without groups, and for depthwise ones.")
    on = out_mask.nonzero()[:, 0]
    weight = conv.weight.index_select(0, on)
    if conv.groups > 1:
        x = x.index_select(1, on)
    elif in_mask is not None:
        present = in_mask.nonzero()[:, 0]
        weight, x = weight.index_select(1, present), x.index_select(1, present)
    bias = None if conv.bias is None else conv.bias.index_select(0, on)
    groups = 1 if conv.groups == 1 else len(on)
    y = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, groups)
    statistics_of = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, scale, shift = (None if s is None else s.index_select(0, on) for s in statistics_of)
    y = F.batch_norm(y, mean, variance, scale, shift, False, 0.0, norm.eps)
    y = y.relu() if relu else y
    full = torch.zeros(1, conv.out_channels, *y.shape[2:], dtype=y.dtype, device=y.device)
    return full.index_copy(1, on, y)


def _as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


@contextmanager
def gathering(gated: GatedNetwork) -> Iterator[GatedNetwork]:
    """Within the context, the network computes what it does not mask and nothing else, one image at a time.

    Equal to the masked network up to rounding. Channels that a ReLU left empty are skipped too: they are zero.

    Parameters
    ----------
    gated : GatedNetwork
        In evaluation mode; ``predict`` or ``static``.

    Raises
    ------
    UsageError
        In another mode: targets are known only when every filter has been computed.
    """
    if gated.mode not in ("predict", "static") or gated.training:
        raise UsageError(f"only predicted or fixed masks of a finished network can be gathered, not {gated.mode!r}.")

    def compute(i: int, x: torch.Tensor) -> torch.Tensor:
        unit = gated.plan.units[i]
        on = switched_on(gated.predict_logits(i, x))[0] if gated.mode == "predict" else gated.fixed_mask(i)
        # Behind the first layer, inputs have passed a ReLU: a channel whose largest value is 0 is 0 everywhere.
        present = x[0].amax((1, 2)) > 0 if i and unit.conv.groups == 1 else None
        if present is not None and not present.any():
            present[0] = True  # an image that has gone black: no convolution takes no channel at all
        return gathered_unit(unit.conv, unit.norm, x, on, present, relu=False)  # type: ignore[arg-type]

    gated.bare = True
    for i, unit in enumerate(gated.plan.units):
        unit.conv.forward = partial(compute, i)  # type: ignore[method-assign]
        unit.norm.forward = _as_it_is
    try:
        yield gated
    finally:
        gated.bare = False
        for unit in gated.plan.units:
            del unit.conv.forward, unit.norm.forward


@torch.no_grad()
def time_network(gated: GatedNetwork, images: torch.Tensor, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of one image through the whole network: dense without predictors, masked, and gathered.

    Medians over the images and `repeats` passes of each, in turn, on one thread of the CPU by its own time; and the
    largest difference between masked and gathered logits.
    """
    here = copy.deepcopy(gated).cpu().eval()
    taken: dict[str, list[float]] = {"dense_ms": [], "masked_ms": [], "gathered_ms": []}
    difference = 0.0

    def timed(name: str, x: torch.Tensor) -> torch.Tensor:
        started = time.thread_time()
        logits = here(x)
        taken[name].append(1000 * (time.thread_time() - started))
        return logits

    with torch_threads(1):
        for turn in range(repeats + 1):
            for x in images.cpu().split(1):
                here.bare = True
                timed("dense_ms", x)
                here.bare = False
                masked = timed("masked_ms", x)
                with gathering(here):
                    difference = max(difference, float((timed("gathered_ms", x) - masked).abs().max()))
            if not turn:  # the first pass of each image is slower
                for values in taken.values():
                    values.clear()
    return {**{name: statistics.median(values) for name, values in taken.items()}, "difference": difference}


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
