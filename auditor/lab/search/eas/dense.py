"""Net2Wider and Net2Deeper for DenseNets: every later layer of a block reads what a miniblock makes, so all of them
follow; the leading BatchNorm of each reader is indexed too."""

from __future__ import annotations

import torch

from auditor.core.errors import UsageError
from auditor.lab.search.eas.space import joints
from auditor.lab.search.eas.widen import NORM, State, noisy, read_inputs, rebuild, replicate, shifted, take_filters
from auditor.models.eas import DenseNetwork
from auditor.models.genotype import DenseGenotype


def _state(network: DenseNetwork) -> State:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _readers(genotype: DenseGenotype, block: int, first: int) -> list[tuple[str, str]]:
    """``(BatchNorm, weight)`` of all layers that read block `block` from its miniblock `first` on."""
    readers = [
        (f"blocks.{block}.{k}.norm", f"blocks.{block}.{k}.squeeze") for k in range(first, len(genotype.blocks[block]))
    ]
    if block < len(genotype.transitions):
        return [*readers, (f"transitions.{block}.norm", f"transitions.{block}.squeeze")]
    return [*readers, ("norm", "head")]


def _inputs(genotype: DenseGenotype, block: int) -> int:
    """Channels that enter a block."""
    return genotype.stem if block == 0 else genotype.transitions[block - 1]


def _spread(state: State, readers: list[tuple[str, str]], offset: int, old: int, idx: torch.Tensor) -> None:
    """Let readers take channels ``offset + idx`` where they took ``offset .. offset + old``."""
    for norm, weight in readers:
        total = len(state[f"{norm}.weight"])
        whole = torch.cat([torch.arange(offset), offset + idx, torch.arange(offset + old, total)])
        for name in NORM:
            state[f"{norm}.{name}"] = state[f"{norm}.{name}"][whole]
        state[f"{weight}.weight"] = read_inputs(state[f"{weight}.weight"], whole, total)


def wider_dense(
    network: DenseNetwork, block: int, position: int, growth: int, random: torch.Generator, noise: float = 0.0
) -> DenseNetwork:
    """A new network in which one miniblock grows by `growth` channels: first its bottleneck, then its 3x3.

    Raises
    ------
    UsageError
        If it does not grow.
    """
    genotype = network.genotype
    old = genotype.blocks[block][position]
    state, name = _state(network), f"blocks.{block}.{position}"
    idx = replicate(4 * old, 4 * growth, random)
    state[f"{name}.squeeze.weight"] = take_filters(state[f"{name}.squeeze.weight"], idx, noise, random)
    for part in NORM:
        state[f"{name}.inner_norm.{part}"] = state[f"{name}.inner_norm.{part}"][idx]
    state[f"{name}.grow.weight"] = read_inputs(state[f"{name}.grow.weight"], idx, 4 * old)
    idx = replicate(old, growth, random)
    state[f"{name}.grow.weight"] = take_filters(state[f"{name}.grow.weight"], idx, noise, random)
    offset = _inputs(genotype, block) + sum(genotype.blocks[block][:position])
    _spread(state, _readers(genotype, block, position + 1), offset, old, idx)
    growths = list(genotype.blocks[block])
    growths[position] = growth
    return rebuild(network, state, blocks=_with_block(genotype, block, growths))


def _with_block(genotype: DenseGenotype, block: int, growths: list[int]) -> tuple[tuple[int, ...], ...]:
    return (*genotype.blocks[:block], tuple(growths), *genotype.blocks[block + 1 :])


def deeper_dense(
    network: DenseNetwork, block: int, position: int, random: torch.Generator, noise: float = 0.0
) -> DenseNetwork:
    """A new network with a copy of one miniblock behind it, whose output channels are drawn from the original's.

    The copy ignores the original's output (zero columns); later layers see every channel several times and divide.
    """
    genotype = network.genotype
    if not 0 <= position < len(genotype.blocks[block]):
        raise UsageError(f"block {block} has no miniblock {position}.")
    growth, growths = genotype.blocks[block][position], list(genotype.blocks[block])
    offset = _inputs(genotype, block) + sum(growths[:position])
    state = _state(network)
    remap = torch.randint(growth, (growth,), generator=random)
    source = f"blocks.{block}.{position}"
    copy = {k.removeprefix(f"{source}."): v.clone() for k, v in state.items() if k.startswith(f"{source}.")}
    for part, neutral in zip(NORM, (1.0, 0.0, 0.0, 1.0), strict=True):
        old = copy[f"norm.{part}"]
        copy[f"norm.{part}"] = torch.cat([old, torch.full((growth,), neutral, dtype=old.dtype)])
    squeeze = copy["squeeze.weight"]
    copy["squeeze.weight"] = torch.cat([squeeze, squeeze.new_zeros(len(squeeze), growth, 1, 1)], 1)
    copy["grow.weight"] = noisy(copy["grow.weight"][remap], noise, random)
    idx = torch.cat([torch.arange(growth), remap])
    _spread(state, _readers(genotype, block, position + 1), offset, growth, idx)
    moved = shifted(state, f"blocks.{block}", position)
    moved.update({f"blocks.{block}.{position + 1}.{name}": value for name, value in copy.items()})
    growths.insert(position + 1, growth)
    return rebuild(network, moved, blocks=_with_block(genotype, block, growths))


def widen_joints(network: DenseNetwork, random: torch.Generator, noise: float = 0.0) -> DenseNetwork:
    """After the growths: the stem and the transitions at the widths of `auditor.lab.search.eas.space.joints`."""
    target = joints(network.genotype)
    for block, width in enumerate((target.stem, *target.transitions)):
        if width > _inputs(network.genotype, block):
            network = _widen_source(network, block, width, random, noise)
    return network


def _widen_source(network: DenseNetwork, block: int, width: int, random: torch.Generator, noise: float) -> DenseNetwork:
    """Widen what a block starts from: the stem, or the transition before it."""
    genotype, state = network.genotype, _state(network)
    old = _inputs(genotype, block)
    name = "stem.weight" if block == 0 else f"transitions.{block - 1}.squeeze.weight"
    idx = replicate(old, width, random)
    state[name] = take_filters(state[name], idx, noise, random)
    _spread(state, _readers(genotype, block, 0), 0, old, idx)
    if block == 0:
        return rebuild(network, state, stem=width)
    transitions = (*genotype.transitions[: block - 1], width, *genotype.transitions[block:])
    return rebuild(network, state, transitions=transitions)
