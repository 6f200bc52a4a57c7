"""One iteration of RD: curves on the network as it is now, then the best rates within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from auditor.lab.prune.rd.allocate import Allocation, LayerOptions, allocate
from auditor.lab.prune.rd.distortion import measure_curves, rate_grid

if TYPE_CHECKING:
    from auditor.lab.prune.masks import Masks
    from auditor.lab.prune.settings import RdSettings


def choose_rates(
    model: nn.Module, masks: Masks, calibration: torch.Tensor, budget: int, settings: RdSettings
) -> tuple[dict[str, int], Allocation]:
    """Weights to keep per layer, at most `budget` in all, and the allocation they come from.

    A layer may stay as it is or be pruned further along the grid of rates; it never gets weights back. With
    ``settings.grid == "left"`` the grid is laid over the weights a layer has left. Over all its weights, as officially,
    21 rates leave a network at 87.5 % three choices per layer on the way to 95 %.
    """
    now = masks.kept
    left = now if settings.grid == "left" else None
    curves = measure_curves(model, calibration, rate_grid(settings.rates), settings.measure, left)
    options = []
    for name, kept in curves.kept.items():
        further = kept < now[name]
        # "As it is" is an option at no cost: grid points rarely fall on the present rate.
        options.append(
            LayerOptions(np.append(now[name], kept[further]), np.append(0.0, curves.distortion[name][further]))
        )
    found = allocate(options, budget)
    return {name: int(kept) for name, kept in zip(curves.kept, found.kept, strict=True)}, found
