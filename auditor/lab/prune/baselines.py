"""Five other ways to share a budget of weights among layers: uniform, Unif+, ERK, LAMP, global magnitude.

Each gives the weights kept per layer; within a layer the smallest go, as in RD. All spend the same budget.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from auditor.lab.prune.layers import prunable_layers
from auditor.lab.prune.masks import Masks

#: ``(model, masks, budget) -> weights kept per layer``, never more than the masks have now.
Baseline = Callable[[nn.Module, Masks, int], dict[str, int]]

#: Least density of the last layer in Unif+.
LAST_LAYER_LEFT = 0.2


def _by_density(masks: Masks, budget: int, density: Callable[[float], np.ndarray]) -> dict[str, int]:
    """Kept counts of the densest member of a family that stays within the budget, then filled up to it.

    `density(scale)` is non-decreasing in the scale, per layer in [0, 1]; the scale is bisected.
    """
    sizes, now = (np.array(list(counts.values())) for counts in (masks.sizes, masks.kept))

    def kept(scale: float) -> np.ndarray:
        return np.minimum(np.floor(density(scale) * sizes).astype(np.int64), now)

    low, high = 0.0, 1.0
    while kept(high).sum() <= budget and high < 1e12:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle).sum() <= budget else (low, middle)
    filled = _filled(kept(low), density(high) * sizes, now, budget)
    return dict(zip(masks.sizes, filled.tolist(), strict=True))


def _filled(kept: np.ndarray, wanted: np.ndarray, now: np.ndarray, budget: int) -> np.ndarray:
    """Give what rounding left of the budget to the layers furthest below what they want, one weight at a time."""
    kept = kept.copy()
    for _ in range(min(len(kept), max(0, budget - int(kept.sum())))):
        room = np.where(kept < now, wanted - kept, -np.inf)
        best = int(room.argmax())
        if room[best] <= 0:
            break
        kept[best] += 1
    return kept


def uniform(model: nn.Module, masks: Masks, budget: int) -> dict[str, int]:
    """The same density in every layer."""
    return _by_density(masks, budget, lambda scale: np.full(len(masks.masks), min(scale, 1.0)))


def uniform_plus(model: nn.Module, masks: Masks, budget: int) -> dict[str, int]:
    """The first convolution stays dense, the last layer keeps at least 20 %, the rest is uniform (Gale et al. 2019)."""
    sizes = list(masks.sizes.values())

    def density(scale: float) -> np.ndarray:
        densities = np.full(len(sizes), min(scale, 1.0))
        densities[-1] = max(densities[-1], LAST_LAYER_LEFT)
        densities[0] = 1.0
        return densities

    # At sparsities where even these two layers are too much, nothing else is left to give: plain uniform.
    fixed = sizes[0] + int(LAST_LAYER_LEFT * sizes[-1])
    if fixed > budget:
        return uniform(model, masks, budget)
    return _by_density(masks, budget, density)


def erk(model: nn.Module, masks: Masks, budget: int) -> dict[str, int]:
    """Erdos-Renyi-Kernel (Evci et al. 2020): density in proportion to the sum of a kernel's sides over their product,
    at most 1."""
    shapes = [layer.weight.shape for layer in prunable_layers(model).values()]
    raw = np.array([sum(shape) / float(np.prod(shape)) for shape in shapes])
    raw /= raw.max()
    return _by_density(masks, budget, lambda scale: np.minimum(scale * raw, 1))


def lamp_scores(weight: torch.Tensor) -> torch.Tensor:
    """LAMP (Lee et al. 2021): w^2 over the sum of all w'^2 with |w'| >= |w|, ties after it by position; the shape of
    `weight`, float64. The largest weight of a layer scores 1."""
    flat = weight.detach().double().flatten().square()
    order = flat.argsort(stable=True)
    tail = flat[order].flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(flat)
    scores[order] = torch.where(tail > 0, flat[order] / tail, 0.0)
    return scores.reshape(weight.shape)


def _by_score(
    model: nn.Module, masks: Masks, budget: int, score: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, int]:
    """Keep the `budget` best of all layers' scores; removed weights never come back."""
    layers = prunable_layers(model)
    scores = [torch.where(masks.masks[n], score(layer.weight).double(), -1.0).flatten() for n, layer in layers.items()]
    joined = torch.cat(scores)
    keep = torch.zeros(len(joined), dtype=torch.bool, device=joined.device)
    live = min(budget, int((joined >= 0).sum()))
    keep[joined.argsort(descending=True, stable=True)[:live]] = True
    counts = [int(part.sum()) for part in keep.split([len(s) for s in scores])]
    return dict(zip(layers, counts, strict=True))


def lamp(model: nn.Module, masks: Masks, budget: int) -> dict[str, int]:
    """The largest LAMP scores over all layers."""
    return _by_score(model, masks, budget, lamp_scores)


def global_magnitude(model: nn.Module, masks: Masks, budget: int) -> dict[str, int]:
    """The largest absolute weights over all layers."""
    return _by_score(model, masks, budget, torch.abs)


BASELINES: dict[str, Baseline] = {
    "uniform": uniform,
    "uniform_plus": uniform_plus,
    "erk": erk,
    "lamp": lamp,
    "global": global_magnitude,
}
