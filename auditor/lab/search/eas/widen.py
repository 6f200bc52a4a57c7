"""Net2Wider and Net2Deeper for plain networks: the grown network computes the same function in evaluation mode.

Widening repeats filters, with their BatchNorm, and divides what reads them by how often each was repeated. Deepening
puts an identity convolution behind a ReLU, whose BatchNorm undoes the statistics it will measure.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.models.counter import evaluating
from auditor.models.eas import DenseNetwork, PlainNetwork, PlainUnit, build
from auditor.models.genotype import PlainLayer

#: Noise of new filters and of identity kernels, as shares of the weights' standard deviation, in a search.
REPLICA_NOISE, IDENTITY_NOISE = 1e-2, 1e-3
NORM = ("weight", "bias", "running_mean", "running_var")

State = dict[str, torch.Tensor]
N = TypeVar("N", PlainNetwork, DenseNetwork)


def replicate(old: int, new: int, random: torch.Generator) -> torch.Tensor:
    """All `old` channels once, then uniform draws with replacement: int64 (new,).

    Raises
    ------
    UsageError
        If `new` is not above `old`.
    """
    if new <= old:
        raise UsageError(f"a layer of width {old} cannot be widened to {new}.")
    return torch.cat([torch.arange(old), torch.randint(old, (new - old,), generator=random)])


def counts(idx: torch.Tensor, old: int) -> torch.Tensor:
    """How often each original channel occurs, for every new one: r[idx]."""
    return torch.bincount(idx, minlength=old)[idx]


def noisy(
    weight: torch.Tensor, noise: float, random: torch.Generator, deviation: torch.Tensor | None = None
) -> torch.Tensor:
    """A weight with noise, a share of `deviation`: by default the weight's own."""
    if not noise:
        return weight
    extra = torch.randn(weight.shape, generator=random, dtype=torch.float64).to(weight)
    return weight + extra * noise * (weight.std() if deviation is None else deviation)


def take_filters(weight: torch.Tensor, idx: torch.Tensor, noise: float, random: torch.Generator) -> torch.Tensor:
    """Filters `idx` of a weight; the repeated ones with noise."""
    out = weight[idx]
    out[len(weight) :] = noisy(out[len(weight) :], noise, random, weight.std())
    return out


def read_inputs(weight: torch.Tensor, idx: torch.Tensor, old: int, cells: int = 1) -> torch.Tensor:
    """Input columns `idx` of a weight, divided by how often each occurs; `cells` columns belong to one channel."""
    share = counts(idx, old).to(weight)
    if cells > 1:
        idx = (idx[:, None] * cells + torch.arange(cells)).flatten()
        share = share.repeat_interleave(cells)
    return weight[:, idx] / share.reshape(1, -1, *([1] * (weight.ndim - 2)))


def rebuild(old: N, state: State, **genotype: object) -> N:
    """A network like `old` but for these fields of its genotype, with the given weights."""
    changed = old.genotype.model_copy(update=genotype)
    network = build(changed, old.head.out_features, old.image_size if isinstance(old, PlainNetwork) else 32)
    assert isinstance(network, type(old))
    network = network.to(old.head.weight.dtype)
    network.load_state_dict(state)
    return network.train(old.training)


def _unit(network: PlainNetwork, layer: int) -> PlainUnit:
    """Layer `layer`, where the network is a chain: every channel has one reader, which reads all of them."""
    for number, module in enumerate(network.layers):
        if isinstance(module, PlainUnit):
            if isinstance(module.weight, nn.Conv2d) and module.weight.groups != 1:
                raise UsageError(f"layer {number}: around a convolution in groups nothing can be widened or deepened.")
        elif network.genotype.layers[number].kind not in ("pool", "mean") or list(module.parameters()):
            raise UsageError(f"layer {number}: a {type(module).__name__} may add its input to its output; refused.")
    unit = network.layers[layer] if 0 <= layer < len(network.layers) else None
    if not isinstance(unit, PlainUnit):
        raise UsageError(f"layer {layer} has no width.")
    return unit


def wider(network: PlainNetwork, layer: int, width: int, random: torch.Generator, noise: float = 0.0) -> PlainNetwork:
    """A new network with layer `layer` of `width` filters or units.

    Parameters
    ----------
    network : PlainNetwork
        Stays as it is.
    layer : int
        Position among the genotype's layers.
    width : int
    random : torch.Generator
        Draws which filters are repeated.
    noise : float
        Share of the weights' standard deviation added to repeated filters; 0 keeps the function exactly.

    Raises
    ------
    UsageError
        If the layer has no width or is not narrower, or the network is not a chain (groups, residuals).
    """
    unit = _unit(network, layer)
    old = unit.weight.weight.shape[0]
    idx = replicate(old, width, random)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state[f"layers.{layer}.weight.weight"] = take_filters(unit.weight.weight.detach(), idx, noise, random)
    for name in NORM:
        state[f"layers.{layer}.norm.{name}"] = state[f"layers.{layer}.norm.{name}"][idx]
    later = (f"layers.{j}.weight" for j, m in enumerate(network.layers) if j > layer and isinstance(m, PlainUnit))
    reader = next(later, "head")
    weight = state[f"{reader}.weight"]
    cells = weight.shape[1] // old  # pixels of one channel, where the maps were flattened
    state[f"{reader}.weight"] = read_inputs(weight, idx, old, cells)
    layers = list(network.genotype.layers)
    layers[layer] = layers[layer].model_copy(update={"width": width})
    return rebuild(network, state, layers=tuple(layers))


def shifted(state: State, prefix: str, after: int) -> State:
    """Copies of the state, with the modules ``prefix.k`` behind number `after` one place further."""

    def moved(name: str) -> str:
        number, dot, rest = name.removeprefix(f"{prefix}.").partition(".")
        return (
            f"{prefix}.{int(number) + 1}{dot}{rest}" if name.startswith(f"{prefix}.") and int(number) > after else name
        )

    return {moved(name): value.clone() for name, value in state.items()}


def _output_statistics(network: PlainNetwork, layer: int, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance per channel of a layer's output in evaluation mode."""
    with evaluating(network), torch.no_grad():
        x = images
        for module in network.layers[: layer + 1]:
            if isinstance(module, PlainUnit) and isinstance(module.weight, nn.Linear):
                x = x.flatten(1)
            x = module(x)
    rest = [d for d in range(x.ndim) if d != 1]
    return x.mean(rest), x.var(rest, unbiased=False)


def deeper(
    network: PlainNetwork, layer: int, kernel: int, images: torch.Tensor, random: torch.Generator, noise: float = 0.0
) -> PlainNetwork:
    """A new network with one more layer behind layer `layer`, of its width, that changes nothing.

    Parameters
    ----------
    network : PlainNetwork
    layer : int
    kernel : int
        1, 3 or 5; not read for a fully connected layer.
    images : float tensor (n, 3, H, W)
        Normalised images the new BatchNorm's statistics are measured on. Any would keep the function in evaluation
        mode; measured ones keep it about in training mode too.
    random, noise
        As in `wider`, for the identity kernel.

    Raises
    ------
    UsageError
        If the activation, applied twice, is not itself (sigmoid, GELU), the layer has no width, or the network is not
        a chain.
    """
    if network.genotype.activation != "relu":
        raise UsageError(
            f"a network with {network.genotype.activation} cannot be deepened: applied twice it is another function."
        )
    unit = _unit(network, layer)
    width = unit.weight.weight.shape[0]
    wide = isinstance(unit.weight, nn.Conv2d)
    weight = torch.eye(width, dtype=unit.weight.weight.dtype)
    if wide:
        weight = F.pad(weight[:, :, None, None], [kernel // 2] * 4)
    mean, var = _output_statistics(network, layer, images)
    norm = unit.norm
    new = {
        "weight.weight": noisy(weight, noise, random),
        "norm.weight": (var + norm.eps).sqrt(),
        "norm.bias": mean,
        "norm.running_mean": mean,
        "norm.running_var": var,
        "norm.num_batches_tracked": torch.tensor(0),
    }
    state = shifted(network.state_dict(), "layers", layer)
    state.update({f"layers.{layer + 1}.{name}": value.clone() for name, value in new.items()})
    layers = list(network.genotype.layers)
    kind = PlainLayer(kind="conv", width=width, kernel=kernel) if wide else PlainLayer(kind="fc", width=width)
    layers.insert(layer + 1, kind)
    return rebuild(network, state, layers=tuple(layers))
