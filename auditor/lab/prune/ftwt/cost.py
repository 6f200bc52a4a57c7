"""MACs of a gated network: as the paper counts them, and as something could execute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from auditor.lab.prune.ftwt.gated import GatedNetwork
from auditor.models.counter import count, evaluating


@dataclass(frozen=True)
class Cost:
    """Averages over images.

    Attributes
    ----------
    dense : int
        MACs of convolutions and linear layers of the backbone.
    flops_paper : float
        ``sum_l k_l H W (k_before // groups) kernel^2`` over the gated convolutions, k the active filters of this and of
        the convolution before; the other layers (head, shortcuts) at full cost. A depthwise convolution counts 0 as
        soon as one input channel is off, and behind an addition only the added branch counts: optimistic.
    macs_executable : float
        Every layer with the input channels that are not zero by a mask, the head, shortcuts and predictors included.
    predictors : int
        MACs of the predictors, part of `macs_executable`.
    active : dict of str to float
        Share of the filters that are on.
    """

    dense: int
    flops_paper: float
    macs_executable: float
    predictors: int
    active: dict[str, float]

    @property
    def reduction_paper(self) -> float:
        """Share of the dense MACs saved by the paper's count."""
        return 1 - self.flops_paper / self.dense

    @property
    def reduction(self) -> float:
        """Share of the dense MACs saved by the executable count."""
        return 1 - self.macs_executable / self.dense


@torch.no_grad()
def measure_cost(gated: GatedNetwork, images: torch.Tensor, batch: int = 256) -> Cost:
    """Cost on some images in the network's present mode, in evaluation mode; the network is left as it was."""
    mode = gated.mode
    gated.mode = "dense"  # a count of the layers, not of masks; predictors are not run in it
    per_layer = count(gated.backbone, images.shape[1:]).layers
    gated.mode = mode
    paper = executable = 0.0
    active = {unit.name: 0.0 for unit in gated.plan.units}
    with evaluating(gated):
        for part in images.split(batch):
            gated(part)
            masks = {name: mask.cpu() for name, mask in gated.record.masks.items()}
            for name, mask in masks.items():
                active[name] += float(mask.float().mean(1).sum())
            one_paper, one_executable = _of_batch(gated, masks, per_layer, len(part))
            paper, executable = paper + one_paper, executable + one_executable
    own = sum(p.in_features * p.out_features for p in gated.predictors) if mode == "predict" else 0  # type: ignore[operator, misc]
    n = len(images)
    return Cost(
        sum(per_layer.values()), paper / n, executable / n + own, int(own), {k: v / n for k, v in active.items()}
    )


def _of_batch(
    gated: GatedNetwork, masks: dict[str, torch.Tensor], per_layer: dict[str, int], n: int
) -> tuple[float, float]:
    """MACs of one batch, summed over its images: paper's count and executable count."""
    flow = gated.plan.flow(masks)
    layers = dict(gated.backbone.named_modules())
    paper = executable = 0.0
    for name, macs in per_layer.items():
        layer = layers[name]
        out = masks.get(name)
        executable += float(_share(layer, out, flow.inputs.get(name), n).sum()) * macs
        if out is None:  # not gated: the paper's count leaves it as it is
            paper += n * macs
        else:
            paper += float(_paper_share(layer, out, flow.paper.get(name), n).sum()) * macs
    return paper, executable


def _share(layer: nn.Module, out: torch.Tensor | None, inputs: torch.Tensor | None, n: int) -> np.ndarray:
    """Share of a layer's MACs that remain per image: active filters times present input channels, float64 (n,)."""
    ones = np.ones(n)
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        # Depthwise: filter c reads channel c alone.
        both = out if inputs is None else (inputs if out is None else out & inputs)
        return ones if both is None else both.double().mean(1).numpy()
    rows = ones if out is None else out.double().mean(1).numpy()
    columns = ones if inputs is None else inputs.double().mean(1).numpy()
    return rows * columns


def _paper_share(layer: nn.Module, out: torch.Tensor, before: torch.Tensor | None, n: int) -> np.ndarray:
    # Gated layers are convolutions, all of them (`auditor.lab.prune.ftwt.units`).
    conv = cast(nn.Conv2d, layer)
    groups, channels = conv.groups, conv.in_channels
    k_before = np.full(n, channels) if before is None else before.sum(1).numpy()
    return out.double().mean(1).numpy() * (k_before // groups) / (channels // groups)


def bisect_share(
    gated: GatedNetwork, images: torch.Tensor, share: Literal["r", "ratio"], reduction: float, steps: int = 14
) -> Cost:
    """Set `gated.r` or `gated.ratio` so that the targets save `reduction` of the MACs by the paper's count on `images`,
    before any training; the cost at it.

    The network runs with the targets as masks; the saving falls as the share grows.
    """
    mode, gated.mode = gated.mode, "truth"
    low, high = 0.0, 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        setattr(gated, share, middle)
        low, high = (low, middle) if measure_cost(gated, images).reduction_paper < reduction else (middle, high)
    # The lower end saves at least what was asked for; 0 keeps nothing and is no share.
    setattr(gated, share, low or high)
    cost = measure_cost(gated, images)
    gated.mode = mode
    return cost
