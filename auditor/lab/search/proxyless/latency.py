"""Latency of networks as a sum over a table of operations, and its expected value as a function of the architecture
parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from auditor.core.errors import UsageError
from auditor.lab.search.proxyless.supernet import Supernet

LossKind = Literal["add", "mul#log"]


@dataclass(frozen=True)
class LatencyTable:
    """Measured latencies.

    Attributes
    ----------
    entries : dict
        Key (type, operation, channels, stride, side) to milliseconds. Identity and Zero cost nothing.
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


def expected_latency(rows: Sequence[torch.Tensor], alphas: Sequence[torch.Tensor], base: float) -> torch.Tensor:
    """E[lat] = base + sum over edges of sum_j p_j F_j, in milliseconds."""
    total = torch.tensor(base, dtype=rows[0].dtype, device=rows[0].device)
    for row, alpha in zip(rows, alphas, strict=True):
        total = total + (alpha.softmax(0) * row).sum()
    return total


def latency_loss(kind: LossKind, ce: float, latency: float, target: float, weight: float) -> tuple[float, float, float]:
    """The loss, and its derivatives with respect to cross-entropy and expected latency.

    ``add``: CE + weight (E/T - 1). ``mul#log``: weight CE (log E / log T)^0.3, where E and T must be above 1 ms.

    Raises
    ------
    UsageError
        For another kind, or a latency the logarithm cannot take.
    """
    if kind == "add":
        return ce + weight * (latency / target - 1), 1.0, weight / target
    if kind != "mul#log":
        raise UsageError(f"unknown latency loss {kind!r}.", "Known: add, mul#log.")
    if latency <= 1 or target <= 1:
        raise UsageError("the loss mul#log needs latencies above 1 ms; measure with more images at a time.")
    log_e, log_t = torch.tensor([latency, target], dtype=torch.float64).log().tolist()
    share = log_e / log_t
    by_ce = weight * share**0.3
    return ce * by_ce, by_ce, weight * ce * 0.3 * share ** (0.3 - 1) / (latency * log_t)
