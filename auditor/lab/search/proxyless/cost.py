"""What training a supernet costs, in MACs per image of the path that was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from auditor.lab.search.proxyless.gates import MixedEdge
from auditor.lab.search.proxyless.measure import operation_of
from auditor.lab.search.proxyless.supernet import Supernet
from auditor.models.counter import count
from auditor.models.proxyless import network_of


@dataclass(frozen=True)
class PathCost:
    """MACs of one image.

    Attributes
    ----------
    fixed : int
        Of everything that is not searched.
    operations : lists of int
        Of every operation of every edge.
    """

    fixed: int
    operations: list[list[int]]

    def of_path(self, path: Sequence[int]) -> int:
        """One forward pass of a path."""
        return self.fixed + sum(row[k] for row, k in zip(self.operations, path, strict=True))

    def weight_step(self, path: Sequence[int]) -> int:
        """Forward and backward, counted as three forward passes, as for every other training."""
        return 3 * self.of_path(path)

    def gate_step(self, edges: Sequence[MixedEdge]) -> int:
        """An architecture step with open gates: the path forward and backward to its inputs, and the other operations
        that take part forward."""
        idle = 0
        for edge, row in zip(edges, self.operations, strict=True):
            others = range(len(row)) if edge.pair is None else edge.pair
            idle += sum(row[k] for k in others if k != edge.active)
        return 2 * self.of_path([edge.active for edge in edges]) + idle


def path_cost(supernet: Supernet, n_classes: int, side: int) -> PathCost:
    """Count every operation once per shape, and one whole network at `side` pixels."""
    known = {}
    with torch.random.fork_rng(devices=[]):  # the weights of what is counted are drawn, too
        for key in {key for keys in supernet.latency_keys for key in keys}:
            module, shape = operation_of(key)
            known[key] = count(module, shape).macs if any(True for _ in module.parameters()) else 0
        rows = [[known[key] for key in keys] for keys in supernet.latency_keys]
        whole = count(network_of(supernet.genotype([0] * len(rows)), n_classes), (3, side, side)).macs
    return PathCost(whole - sum(row[0] for row in rows), rows)
