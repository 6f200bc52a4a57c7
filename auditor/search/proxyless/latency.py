"""Latency of operations on this machine, and the expected latency of a supernet as a function of its parameters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import torch
from torch import nn

from auditor.core.errors import UsageError
from auditor.models.genotype import MobileGenotype, TreeGenotype
from auditor.models.proxyless import MbBlock, MobileNetwork, TreeNetwork, tree_op
from auditor.search.proxyless.gates import Zero
from auditor.search.proxyless.supernet import Supernet
from auditor.train.device import torch_threads

__all__ = ["LatencyTable", "expected_latency", "latency_gradient", "latency_loss_parts", "measure_table", "time_module"]

LossKind = Literal["add", "mul#log"]


def time_module(module: nn.Module, shape: Sequence[int], repeats: int, device: str, warmup: int = 5) -> float:
    """Median time of a forward pass in evaluation mode, in milliseconds; one CPU thread."""
    module = module.to(device).eval()
    x = torch.zeros(tuple(shape), device=device).to(memory_format=torch.channels_last)
    times = []
    with torch.no_grad(), torch_threads(1):
        for number in range(warmup + repeats):
            if device == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            module(x)
            if device == "cuda":
                torch.cuda.synchronize()
            if number >= warmup:
                times.append(time.perf_counter() - started)
    return 1e3 * median(times)


def _operation(key: str) -> tuple[nn.Module, tuple[int, int]]:
    """The operation of a table key, and its input's channels and side."""
    parts = key.split("/")
    if parts[0] == "tree":
        _, letter, width, side = parts
        return tree_op(letter, int(width)), (int(width), int(side))
    if parts[0] == "mbconv":
        _, name, channels, stride, side = parts
        inputs, outputs = map(int, channels.split("-"))
        if name == "zero":
            return Zero(), (inputs, int(side))
        return MbBlock(inputs, outputs, int(name[1]), int(name[3]), int(stride)), (inputs, int(side))
    raise UsageError(f"no latency is measured for {key!r}.")


@dataclass(frozen=True)
class LatencyTable:
    """Measured latencies.

    Attributes
    ----------
    entries : dict
        Key (type, operation, shape) to milliseconds. Identity and Zero cost nothing.
    base : float
        Milliseconds of everything that is not searched.
    images : int
        Images of a pass.
    repeats : int
        Passes a median is taken over.
    device : str
    """

    entries: dict[str, float]
    base: float
    images: int
    repeats: int
    device: str

    def of_path(self, supernet: Supernet, path: Sequence[int]) -> float:
        """Predicted latency of one network, in milliseconds."""
        keys = (keys[k] for keys, k in zip(supernet.latency_keys, path, strict=True))
        return self.base + sum(self.entries[key] for key in keys)

    def rows(self, supernet: Supernet) -> list[torch.Tensor]:
        """Latency of every operation of every edge."""
        return [
            torch.tensor([self.entries[key] for key in keys], dtype=edge.alpha.dtype, device=edge.alpha.device)
            for edge, keys in zip(supernet.edges, supernet.latency_keys, strict=True)
        ]


def _is_free(key: str) -> bool:
    return key.startswith(("tree/i/", "mbconv/zero/"))


def measure_table(
    supernet: Supernet, n_classes: int, side: int, images: int, repeats: int, device: str
) -> LatencyTable:
    """Measure every operation once per shape, and the network without them.

    The base is the median of three whole networks minus the predicted share of their operations: what is between
    the operations (sums, copies) is in no operation's own time.
    """
    entries = {}
    for key in sorted({key for keys in supernet.latency_keys for key in keys}):
        if _is_free(key):
            entries[key] = 0.0
            continue
        module, (channels, at) = _operation(key)
        entries[key] = time_module(module, (images, channels, at, at), repeats, device)
    bare = LatencyTable(entries, 0.0, images, repeats, device)
    random = torch.Generator().manual_seed(0)
    rest = []
    for _ in range(3):
        path = _random_path(supernet, random)
        whole = _time_network(supernet.genotype(path), n_classes, side, images, repeats, device)
        rest.append(whole - bare.of_path(supernet, path))
    return LatencyTable(entries, max(0.0, median(rest)), images, repeats, device)


def _random_path(supernet: Supernet, random: torch.Generator) -> tuple[int, ...]:
    return tuple(int(torch.randint(len(edge.ops), (1,), generator=random)) for edge in supernet.edges)


def _time_network(
    genotype: TreeGenotype | MobileGenotype, n_classes: int, side: int, images: int, repeats: int, device: str
) -> float:
    tree = isinstance(genotype, TreeGenotype)
    network = TreeNetwork(genotype, n_classes) if tree else MobileNetwork(genotype, n_classes)  # type: ignore[arg-type]
    return time_module(network, (images, 3, side, side), repeats, device)


def validate(
    table: LatencyTable, supernet: Supernet, n_classes: int, side: int, nets: int, seed: int
) -> dict[str, Any]:
    """Predicted beside measured latency of random networks, with the root mean square error, in milliseconds."""
    random = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(nets):
        path = _random_path(supernet, random)
        measured = _time_network(supernet.genotype(path), n_classes, side, table.images, table.repeats, table.device)
        pairs.append((table.of_path(supernet, path), measured))
    error = (sum((a - b) ** 2 for a, b in pairs) / nets) ** 0.5
    return {"networks": nets, "rmse_ms": error, "mean_measured_ms": sum(b for _, b in pairs) / nets, "pairs": pairs}


def expected_latency(rows: Sequence[torch.Tensor], alphas: Sequence[torch.Tensor], base: float) -> torch.Tensor:
    """E[lat] = base + sum over edges of sum_j p_j F_j, in milliseconds."""
    total = torch.tensor(base, dtype=rows[0].dtype, device=rows[0].device)
    for row, alpha in zip(rows, alphas, strict=True):
        total = total + (alpha.softmax(0) * row).sum()
    return total


def latency_gradient(row: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """dE/dalpha_i = p_i (F_i - sum_j p_j F_j)."""
    return p * (row - (p * row).sum())


def latency_loss_parts(kind: LossKind, ce: float, latency: float, target: float, weight: float) -> tuple[float, float]:
    """Derivatives of the whole loss with respect to cross-entropy and expected latency.

    ``add``: CE + weight (E/T - 1). ``mul#log``: weight CE (log E / log T)^0.3, where E and T must be above 1 ms.

    Raises
    ------
    UsageError
        For another kind, or a latency the logarithm cannot take.
    """
    if kind == "add":
        return 1.0, weight / target
    if kind != "mul#log":
        raise UsageError(f"unknown latency loss {kind!r}.", "Known: add, mul#log.")
    if latency <= 1 or target <= 1:
        raise UsageError("the loss mul#log needs latencies above 1 ms; measure with more images at a time.")
    log_e, log_t = torch.tensor([latency, target], dtype=torch.float64).log().tolist()
    share = log_e / log_t
    return weight * share**0.3, weight * ce * 0.3 * share ** (0.3 - 1) / (latency * log_t)
