"""Masks of pruned weights: monotone, and zero stays zero."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.lab.prune.layers import prunable_layers


def magnitude_order(weight: torch.Tensor) -> torch.Tensor:
    """Flat positions of `weight` by ascending absolute value, ties by position: int64 (numel,)."""
    return weight.detach().abs().flatten().argsort(stable=True)


def smallest_removed(weight: torch.Tensor, kept: int, order: torch.Tensor | None = None) -> torch.Tensor:
    """Mask, bool of the shape of `weight`, that keeps the `kept` largest absolute values."""
    order = magnitude_order(weight) if order is None else order
    mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[order[: weight.numel() - kept]] = False
    return mask.reshape(weight.shape)


class Masks:
    """Which weights of a network are left.

    Parameters
    ----------
    model : nn.Module
        Starts with everything kept.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = prunable_layers(model)
        self.masks = {name: torch.ones_like(layer.weight, dtype=torch.bool) for name, layer in self._layers.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """Weights of each layer."""
        return {name: mask.numel() for name, mask in self.masks.items()}

    @property
    def kept(self) -> dict[str, int]:
        """Weights left in each layer."""
        return {name: int(mask.sum()) for name, mask in self.masks.items()}

    @property
    def sparsity(self) -> float:
        """Share of the weights that are gone, counted."""
        return (sum(self.sizes.values()) - sum(self.kept.values())) / sum(self.sizes.values())

    def shrink(self, kept: Mapping[str, int]) -> None:
        """Remove the smallest weights of each layer until `kept[name]` are left.

        Weights that are gone already are the smallest (they are zero), so a mask only ever loses entries.

        Raises
        ------
        UsageError
            If a layer would have more weights than it has now.
        """
        now = self.kept
        for name, layer in self._layers.items():
            if not 0 <= kept[name] <= now[name]:
                raise UsageError(f"layer {name!r} has {now[name]} weights left; {kept[name]} cannot be kept.")
            # The mask goes into the order, so that a live weight that happens to be 0 never takes the place of a
            # removed one.
            weight = torch.where(self.masks[name], layer.weight.detach().abs(), -1.0)
            order = weight.flatten().argsort(stable=True)
            self.masks[name] = smallest_removed(layer.weight, kept[name], order)
        self.apply()

    def restore(self, masks: Mapping[str, torch.Tensor]) -> None:
        """Take `masks` over, and set what they remove to zero."""
        self.masks = {name: masks[name].to(mask.device) for name, mask in self.masks.items()}
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Set removed weights to zero; called after every update of the weights."""
        for name, layer in self._layers.items():
            layer.weight.mul_(self.masks[name])

    def zeros(self) -> int:
        """Weights that are exactly zero in the network: what the sparsity is checked against."""
        return sum(int((layer.weight == 0).sum()) for layer in self._layers.values())
