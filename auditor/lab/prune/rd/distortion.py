"""How much the network's output moves when one layer is pruned: measured on fixed images, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import nn

from auditor.core.hashing import hash_array, hash_json
from auditor.lab.prune.layers import prunable_layers, steps_of
from auditor.lab.prune.masks import magnitude_order, smallest_removed
from auditor.models.counter import evaluating
from auditor.train.checkpoint import load_checkpoint, save_checkpoint
from auditor.train.image_network import weights_hash

Measure = Literal["mean", "worst"]
MEASURES: Final[tuple[Measure, ...]] = ("mean", "worst")
#: Calibration images per pass; bounds the memory of the cached inputs of all steps.
CHUNK = 256


def noise_images(n: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    """The data-free calibration set: independent normal pixels, float32 (n, 3, *size)."""
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class LayerOptions:
    """What one layer can be pruned to.

    Attributes
    ----------
    kept : int array (s,)
        Weights left.
    distortion : float array (s,)
        What that costs; finite, not assumed monotone or convex.
    """

    kept: np.ndarray
    distortion: np.ndarray


@torch.no_grad()
def measure_curves(
    model: nn.Module, images: torch.Tensor, rates: np.ndarray, left: Mapping[str, int] | None = None
) -> dict[Measure, dict[str, LayerOptions]]:
    """Distortion of the logits, ``E_x (1/K) |f(x; W) - f(x; W with layer i pruned)|^2``, or its largest value.

    Evaluation mode, fixed images. The smallest ``int(rate x weights)`` weights of a layer are set to zero, all others
    stay as they are; weights that are zero already are among the smallest, so measuring continues from a pruned
    network. The inputs of each step of the network are computed once; a layer's curve runs the steps from its own on.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    images : float tensor (n, 3, H, W)
        Normalised, not augmented.
    rates : float array (s,)
        Shares of a layer's weights.
    left : dict of str to int, optional
        Weights each layer has left. With it, rates are shares of those in place of all: as many points of a curve lie
        where a network that is pruned already can still go.

    Returns
    -------
    dict of str to dict of str to LayerOptions
        ``mean`` over the images and ``worst`` image -> the curve of each layer: 0 at every rate that removes nothing
        that is not gone already.
    """
    layers = prunable_layers(model)
    chain, owner = steps_of(model)
    sizes = {name: layer.weight.numel() for name, layer in layers.items()} if left is None else left
    kept = {name: sizes[name] - (rates * sizes[name]).astype(np.int64) for name in layers}
    total, worst = ({name: np.zeros(len(rates)) for name in layers} for _ in range(2))
    with evaluating(model):
        for chunk in images.split(CHUNK):
            inputs = [chunk]
            for step in chain:
                inputs.append(step(inputs[-1]))
            for name, layer in layers.items():
                moved = _one_layer(layer, kept[name], chain[owner[name] :], inputs[owner[name]], inputs[-1])
                total[name] += moved.sum(1)
                np.maximum(worst[name], moved.max(1), out=worst[name])
    return {
        "mean": {name: LayerOptions(kept[name], values / len(images)) for name, values in total.items()},
        "worst": {name: LayerOptions(kept[name], values) for name, values in worst.items()},
    }


def stored_curves(
    model: nn.Module, images: torch.Tensor, rates: np.ndarray, left: Mapping[str, int] | None, folder: Path | None
) -> dict[Measure, dict[str, LayerOptions]]:
    """`measure_curves`, read from `folder` if they were measured before: of these weights, images and rates."""
    if folder is None:
        return measure_curves(model, images, rates, left)
    asked = [weights_hash(model), hash_array(images.cpu().numpy()), rates.tolist(), left, torch.get_num_threads()]
    key = hash_json(asked)
    file = folder / f"{key.removeprefix('sha256:')[:16]}.pt"
    state, _ = load_checkpoint(file, key, "cpu")
    if state is not None:
        kept, moved = state["kept"], state["moved"]
        return {m: {n: LayerOptions(kept[n].numpy(), v.numpy()) for n, v in moved[m].items()} for m in MEASURES}
    curves = measure_curves(model, images, rates, left)
    kept = {n: torch.from_numpy(curve.kept) for n, curve in curves["mean"].items()}
    moved = {m: {n: torch.from_numpy(curve.distortion) for n, curve in curves[m].items()} for m in MEASURES}
    save_checkpoint(file, key, {"kept": kept, "moved": moved})
    return curves


def _one_layer(
    layer: nn.Conv2d | nn.Linear, kept: np.ndarray, suffix: Sequence, x: torch.Tensor, reference: torch.Tensor
) -> np.ndarray:
    """Distortion per rate and image, float64 (s, n)."""
    whole = layer.weight.detach().clone()
    order = magnitude_order(whole)
    distortion = np.zeros((len(kept), len(x)))
    before = whole
    for i, left in enumerate(kept):
        pruned = whole.masked_fill(~smallest_removed(whole, int(left), order), 0)
        if torch.equal(pruned, whole):
            continue  # nothing that counts is removed: exactly zero
        if i and torch.equal(pruned, before):
            distortion[i] = distortion[i - 1]
            continue
        before = pruned
        layer.weight.copy_(pruned)
        y = x
        for step in suffix:
            y = step(y)
        distortion[i] = (y - reference).double().square().mean(1).cpu().numpy()
    layer.weight.copy_(whole)
    return distortion


@torch.no_grad()
def additivity(
    model: nn.Module, images: torch.Tensor, kept: Mapping[str, int], measure: Measure = "mean"
) -> dict[str, float]:
    """Distortion of pruning all layers at once beside the sum of pruning each alone.

    Returns
    -------
    dict
        ``joint``, ``sum``, ``ratio`` (NaN-free: 1 where both are 0).
    """
    layers = prunable_layers(model)
    whole = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    pruned = {n: weight.masked_fill(~smallest_removed(weight, kept[n]), 0) for n, weight in whole.items()}

    def moved(names: Sequence[str]) -> float:
        for name in names:
            layers[name].weight.copy_(pruned[name])
        each = [(model(part) - ref).double().square().mean(1) for part, ref in zip(parts, reference, strict=True)]
        for name in names:
            layers[name].weight.copy_(whole[name])
        values = torch.cat(each)
        return float(values.mean() if measure == "mean" else values.max())

    with evaluating(model):
        parts = images.split(CHUNK)
        reference = [model(part) for part in parts]
        joint = moved(list(layers))
        alone = sum(moved([name]) for name in layers)
    return {"joint": joint, "sum": alone, "ratio": joint / alone if alone else 1.0}
