"""Decisions of the controller, carried out: on an architecture, and on a trained network that keeps its function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from auditor.lab.search.eas.controller import EasDecision
from auditor.lab.search.eas.dense import deeper_dense, widen_joints, wider_dense
from auditor.lab.search.eas.space import EasGenotype, deepened, new_widths, places, wide_mask, widened
from auditor.lab.search.eas.widen import deeper, wider
from auditor.models.eas import DenseNetwork, PlainNetwork
from auditor.models.genotype import EAS_KERNELS

#: Makes one decision of a kind on an architecture.
Policy = Callable[[Literal["wider", "deeper"], EasGenotype], EasDecision]


def grown(decision: EasDecision, sizes: str) -> EasGenotype:
    """The architecture after a decision."""
    if decision.kind == "wider":
        return widened(decision.genotype, decision.choice, sizes)
    return deepened(decision.genotype, decision.choice)


def walk(policy: Policy, start: EasGenotype, wider_steps: int, deeper_steps: int, sizes: str) -> list[EasDecision]:
    """Wider decisions, then deeper ones, each on what the one before made; those for which nothing is left are
    skipped."""
    genotype = start
    decisions: list[EasDecision] = []
    kinds: list[Literal["wider", "deeper"]] = ["wider"] * wider_steps
    kinds += ["deeper"] * deeper_steps
    for kind in kinds:
        possible = any(wide_mask(genotype, sizes)) if kind == "wider" else places(genotype).room
        if possible:
            decisions.append(policy(kind, genotype))
            genotype = grown(decisions[-1], sizes)
    return decisions


def grow(
    network: PlainNetwork | DenseNetwork,
    decisions: list[EasDecision],
    sizes: str,
    images: torch.Tensor,
    random: torch.Generator,
    replica_noise: float,
    identity_noise: float,
) -> PlainNetwork | DenseNetwork:
    """A trained network, transformed step by step.

    Parameters
    ----------
    network : of the first decision's architecture; stays as it is.
    decisions, sizes
        As `walk` made them.
    images : float tensor (n, 3, H, W)
        For the statistics of new BatchNorms.
    random : torch.Generator
    replica_noise, identity_noise : float
        Shares of a weight's standard deviation; with 0 the function stays exactly the same in evaluation mode.
    """
    for decision in decisions:
        if isinstance(network, DenseNetwork):
            network = _grow_dense(network, decision, sizes, random, replica_noise)
        elif decision.kind == "wider":
            for position, width in new_widths(network.genotype, decision.choice, sizes).items():
                network = wider(network, position, width, random, replica_noise)
        else:
            block, layer, kernel = decision.choice
            position = places(network.genotype).positions[block][layer]
            network = deeper(network, position, EAS_KERNELS[kernel], images, random, identity_noise)
    return network


def _grow_dense(
    network: DenseNetwork, decision: EasDecision, sizes: str, random: torch.Generator, noise: float
) -> DenseNetwork:
    if decision.kind == "deeper":
        block, position = decision.choice
        return deeper_dense(network, block, position, random, noise)
    widths = new_widths(network.genotype, decision.choice, sizes)
    for block, positions in enumerate(places(network.genotype).positions):
        for number, position in enumerate(positions):
            if position in widths:
                network = wider_dense(network, block, number, widths[position], random, noise)
    return widen_joints(network, random, noise) if widths else network
