"""Rates per layer for the least total distortion within a budget of weights: an exact dynamic programme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.lab.prune.masks import Masks
from auditor.lab.prune.rd.distortion import LayerOptions, stored_curves
from auditor.lab.prune.settings import RdSettings

#: Budget states above which kept counts are rounded up to a common unit. ResNet-32 (464,432 weights) stays exact.
MOST_STATES = 500_000


@dataclass(frozen=True)
class Allocation:
    """One option per layer.

    Attributes
    ----------
    choice : int64 array (layers,)
        Position in each layer's options.
    kept : int64 array (layers,)
    distortion : float
        Sum over the layers.
    unit : int
        Kept counts were rounded up to multiples of this; 1: the solution is exact.
    """

    choice: np.ndarray
    kept: np.ndarray
    distortion: float
    unit: int


def allocate(layers: Sequence[LayerOptions], budget: int, most_states: int = MOST_STATES) -> Allocation:
    """Minimise the sum of distortions subject to sum of kept weights <= budget.

    ``F_i(b) = min over options with kept <= b of F_{i-1}(b - kept) + d``, ``F_0 = 0``, with back-pointers; one
    vectorised minimum per layer and option over all b. Time and memory are linear in layers x states.

    With more than `most_states` budget states, kept counts are rounded **up** and the budget **down** to units of
    ``ceil(budget / most_states)``: the solution stays within the budget, and is at least as good as the exact one for
    a budget smaller by as many units u as there are layers L: there the kept counts k sum to at most B - L u, so that
    ``sum ceil(k / u) <= (sum k + L (u - 1)) / u <= (B - L) / u``, a whole number below B / u and thus a solution here.

    Raises
    ------
    UsageError
        If no choice fits, or a distortion is not finite.
    """
    for number, layer in enumerate(layers):
        if not len(layer.kept) or not np.isfinite(layer.distortion).all() or layer.kept.min() < 0:
            raise UsageError(f"layer {number}: an option's distortion is not finite, or there is no option.")
    unit = max(1, -(-int(budget) // most_states))
    states = budget // unit
    if budget < 0 or sum(int((-(-layer.kept // unit)).min()) for layer in layers) > states:
        raise UsageError(f"no choice of rates keeps at most {budget} weights.", "Ask for a lower sparsity.")
    best = np.zeros(states + 1)
    choices = []
    for layer in layers:
        cost = np.full(states + 1, np.inf)
        choice = np.zeros(states + 1, dtype=np.uint16)
        for option, (kept, distortion) in enumerate(zip(-(-layer.kept // unit), layer.distortion, strict=True)):
            if kept > states:
                continue
            candidate = best[: states + 1 - kept] + distortion
            better = candidate < cost[kept:]
            cost[kept:][better] = candidate[better]
            choice[kept:][better] = option
        best = cost
        choices.append(choice)
    return _backtrack(layers, choices, states, unit)


def _backtrack(layers: Sequence[LayerOptions], choices: list[np.ndarray], states: int, unit: int) -> Allocation:
    left = states
    picked = np.zeros(len(layers), dtype=np.int64)
    for number in range(len(layers) - 1, -1, -1):
        picked[number] = choices[number][left]
        left -= -(-int(layers[number].kept[picked[number]]) // unit)
    kept = np.array([layer.kept[p] for layer, p in zip(layers, picked, strict=True)], dtype=np.int64)
    total = 0.0
    for layer, p in zip(layers, picked, strict=True):
        total += float(layer.distortion[p])  # in the order of the programme, so that equal sums are equal bits
    return Allocation(picked, kept, total, unit)


def choose_rates(
    model: nn.Module,
    masks: Masks,
    calibration: torch.Tensor,
    budget: int,
    settings: RdSettings,
    curves_of_dense: Path | None = None,
) -> tuple[dict[str, int], Allocation]:
    """Weights to keep per layer, at most `budget` in all, and the allocation they come from.

    A layer may stay as it is or be pruned further along the grid of rates; it never gets weights back. With
    ``settings.grid == "left"`` the grid is laid over the weights a layer has left. Over all its weights, as officially,
    21 rates leave a network at 87.5 % three choices per layer on the way to 95 %. Curves of a network that nothing was
    removed from yet are kept in the folder `curves_of_dense`: every fit of it starts with them.
    """
    now = masks.kept
    left = now if settings.grid == "left" else None
    dense = now == masks.sizes
    rates = np.linspace(0, 1, settings.rates)
    curves = stored_curves(model, calibration, rates, left, curves_of_dense if dense else None)[settings.measure]
    options = []
    for name, curve in curves.items():
        further = curve.kept < now[name]
        # "As it is" is an option at no cost: grid points rarely fall on the present rate.
        options.append(
            LayerOptions(np.append(now[name], curve.kept[further]), np.append(0.0, curve.distortion[further]))
        )
    allocation = allocate(options, budget)
    return dict(zip(curves, allocation.kept.tolist(), strict=True)), allocation
