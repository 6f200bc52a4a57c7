"""The over-parameterised network of each space, and the networks that come out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn

from auditor.lab.search.proxyless.gates import GateMode, MixedEdge, Zero
from auditor.models.genotype import TREE_OPS, MobileGenotype, TreeGenotype
from auditor.models.proxyless import MbBlock, MobileNetwork, TreeNetwork, tree_op

#: The blocks of the MBConv space; ``zero`` is added where a block can be left out.
MB_BLOCKS = tuple(f"e{e}k{k}" for k in (3, 5, 7) for e in (3, 6))
#: Standard deviation of the architecture parameters at the start.
ALPHA_NOISE = 1e-3


class Supernet(nn.Module):
    """A network whose searched places are `MixedEdge`s.

    Parameters
    ----------
    network : nn.Module
    template : TreeGenotype or MobileGenotype
        Size of the network; its choices do not count.
    edges : sequence of MixedEdge
        In the order of the template's choices.
    latency_keys : sequence of tuples of str
        Of every edge's operations, into a `LatencyTable`.
    snapshots : int
        How many states of the architecture parameters can be kept.
    """

    def __init__(
        self,
        network: nn.Module,
        template: TreeGenotype | MobileGenotype,
        edges: Sequence[MixedEdge],
        latency_keys: Sequence[tuple[str, ...]],
        snapshots: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.template = network, template
        self.edges, self.latency_keys = list(edges), list(latency_keys)
        self.min_size = getattr(network, "min_size", 1)
        for edge in self.edges:
            nn.init.normal_(edge.alpha, 0.0, ALPHA_NOISE)
        most = max(len(edge.ops) for edge in self.edges)
        # In the state, so that a continued search has those of before its interruption.
        self.register_buffer("snapshots", torch.full((snapshots, len(self.edges), most), -torch.inf))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the drawn path, or of the most probable one in evaluation mode."""
        return self.network(images)

    def weights(self) -> list[nn.Parameter]:
        """Everything but the architecture parameters."""
        return [p for name, p in self.named_parameters() if not name.endswith(".alpha")]

    def draw(self) -> None:
        """Draw a path."""
        for edge in self.edges:
            edge.draw()

    def path(self) -> tuple[int, ...]:
        """The drawn path."""
        return tuple(edge.active for edge in self.edges)

    def take(self, path: Sequence[int]) -> None:
        """Set the path."""
        for edge, active in zip(self.edges, path, strict=True):
            edge.active = int(active)

    def open_gates(self, mode: GateMode) -> list[torch.Tensor]:
        """Draw for an architecture step; the gates to ask gradients of."""
        for edge in self.edges:
            edge.open_gates(mode)
        return [edge.gates for edge in self.edges if edge.gates is not None]

    def close_gates(self) -> None:
        """After an architecture step."""
        for edge in self.edges:
            edge.close_gates()

    def keep_snapshot(self, number: int) -> None:
        """Keep the architecture parameters as they are now."""
        snapshots: torch.Tensor = self.snapshots  # type: ignore[assignment]
        for k, edge in enumerate(self.edges):
            snapshots[number, k, : len(edge.ops)] = edge.alpha.detach()

    def snapshot_path(self, number: int) -> tuple[int, ...]:
        """The most probable operations of a snapshot."""
        snapshots: torch.Tensor = self.snapshots  # type: ignore[assignment]
        return tuple(int(row.argmax()) for row in snapshots[number])

    def genotype(self, path: Sequence[int]) -> TreeGenotype | MobileGenotype:
        """The architecture of a path."""
        names = [edge.names[k] for edge, k in zip(self.edges, path, strict=True)]
        if isinstance(self.template, TreeGenotype):
            cells = tuple("".join(names[12 * c : 12 * c + 12]) for c in range(len(self.template.cells)))
            return self.template.model_copy(update={"cells": cells})
        rest = iter(names)
        stages = [s.model_copy(update={"blocks": tuple(islice(rest, len(s.blocks)))}) for s in self.template.stages]
        return self.template.model_copy(update={"stages": tuple(stages)})

    def entropy(self) -> float:
        """Mean entropy of the edges, in nats."""
        return float(sum(-(e.p * e.p.clamp_min(1e-12).log()).sum() for e in self.edges) / len(self.edges))


def random_path(supernet: Supernet, random: torch.Generator) -> tuple[int, ...]:
    """Every edge's operation drawn uniformly."""
    return tuple(int(torch.randint(len(edge.ops), (1,), generator=random)) for edge in supernet.edges)


@contextmanager
def untouched_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm in training mode normalises by its batch as ever, but remembers nothing of it."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def tree_supernet(template: TreeGenotype, n_classes: int, image_size: int, snapshots: int = 0) -> Supernet:
    """Every edge of every cell holds all seven operations."""
    edges: list[MixedEdge] = []
    keys: list[tuple[str, ...]] = []
    stage = len(template.cells) // 3

    def edge(block: int, _: int, width: int) -> nn.Module:
        edges.append(MixedEdge([tree_op(letter, width) for letter in TREE_OPS], TREE_OPS))
        side = image_size
        for _halving in range(block // stage):
            side = -(-side // 2)
        keys.append(tuple(f"tree/{letter}/{width}/{side}" for letter in TREE_OPS))
        return edges[-1]

    return Supernet(TreeNetwork(template, n_classes, edge), template, edges, keys, snapshots)


def mobile_supernet(template: MobileGenotype, n_classes: int, image_size: int, snapshots: int = 0) -> Supernet:
    """Every position holds kernels 3, 5, 7 at expansions 3 and 6, and Zero where input and output agree."""
    edges: list[MixedEdge] = []
    keys: list[tuple[str, ...]] = []
    side = -(-image_size // template.stem_stride)

    def make(_: int, inputs: int, outputs: int, stride: int) -> nn.Module:
        nonlocal side
        ops: list[nn.Module] = [MbBlock(inputs, outputs, int(b[1]), int(b[3]), stride) for b in MB_BLOCKS]
        names = list(MB_BLOCKS)
        if stride == 1 and inputs == outputs:
            ops.append(Zero())
            names.append("zero")
        edges.append(MixedEdge(ops, names))
        keys.append(tuple(f"mbconv/{name}/{inputs}-{outputs}/{stride}/{side}" for name in names))
        side = -(-side // stride)
        return edges[-1]

    return Supernet(MobileNetwork(template, n_classes, make), template, edges, keys, snapshots)
