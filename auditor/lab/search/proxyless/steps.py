"""Architecture steps of ProxylessNAS, on validation images: by gradients of the gates, or by REINFORCE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch.nn import functional as F

from auditor.lab.search.baseline import Baseline
from auditor.lab.search.proxyless.cost import PathCost
from auditor.lab.search.proxyless.gates import GateMode, keep_mass
from auditor.lab.search.proxyless.latency import LatencyTable, LossKind, expected_latency, latency_loss
from auditor.lab.search.proxyless.supernet import Supernet, untouched_statistics

StepKind = Literal["two", "full", "reinforce"]


def reinforce_reward(accuracy: float, latency: float, target: float) -> float:
    """acc (T / lat)^0.1."""
    return accuracy * (target / latency) ** 0.1


def reinforce_gradients(
    probabilities: Sequence[torch.Tensor], paths: Sequence[Sequence[int]], advantages: Sequence[float]
) -> list[torch.Tensor]:
    """Mean over networks of advantage times the gradient of -log p, for every edge: p minus one-hot."""
    total = [torch.zeros_like(p) for p in probabilities]
    for path, advantage in zip(paths, advantages, strict=True):
        for k, (p, active) in enumerate(zip(probabilities, path, strict=True)):
            step = p.clone()
            step[active] -= 1
            total[k] += advantage * step / len(paths)
    return total


@dataclass
class ArchitectureStepper:
    """Updates the architecture parameters of a supernet; Adam with betas (0, 0.999).

    Attributes
    ----------
    supernet : Supernet
    table : LatencyTable
    cost : PathCost
    kind : "two", "full" or "reinforce"
    rate : float
    loss : "add" or "mul#log"
    weight : float
        Of the latency.
    target : float
        Latency aimed at, in milliseconds.
    samples : int
        Networks of one REINFORCE step.
    baseline : Baseline
    """

    supernet: Supernet
    table: LatencyTable
    cost: PathCost
    kind: StepKind
    rate: float
    loss: LossKind
    weight: float
    target: float
    samples: int = 10
    baseline: Baseline = field(default_factory=lambda: Baseline(decay=0.95))

    def __post_init__(self) -> None:
        alphas = [edge.alpha for edge in self.supernet.edges]
        self.adam = torch.optim.Adam(alphas, self.rate, betas=(0.0, 0.999))
        self.rows = self.table.rows(self.supernet)
        #: MACs of all steps so far.
        self.spent = 0.0

    def expected(self) -> torch.Tensor:
        """Expected latency now."""
        return expected_latency(self.rows, [e.alpha for e in self.supernet.edges], self.table.base)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """One step on a validation batch; the loss or, for REINFORCE, the mean reward.

        Weights and running statistics stay as they are: validation images leave a trace in alpha only.
        """
        self.supernet.train()
        with untouched_statistics(self.supernet):
            if self.kind == "reinforce":
                return self._reinforce(images, labels)
            return self._gradient(images, labels, self.kind)

    def _gradient(self, images: torch.Tensor, labels: torch.Tensor, mode: GateMode) -> float:
        gates = self.supernet.open_gates(mode)
        self.spent += len(labels) * self.cost.gate_step(self.supernet.edges)
        ce = F.cross_entropy(self.supernet(images), labels)
        found = torch.autograd.grad(ce, gates)
        latency = float(self.expected())
        loss, by_ce, by_latency = latency_loss(self.loss, float(ce.detach()), latency, self.target, self.weight)
        before = [edge.alpha.detach().clone() for edge in self.supernet.edges]
        for edge, gradient, row in zip(self.supernet.edges, found, self.rows, strict=True):
            edge.alpha.grad = edge.alpha_gradient(by_ce * gradient, by_latency * row)
        self._update()
        for edge, old in zip(self.supernet.edges, before, strict=True):
            if edge.pair is not None:
                where = list(edge.pair)
                with torch.no_grad():
                    edge.alpha[where] = keep_mass(edge.alpha[where], old[where])
        self.supernet.close_gates()
        return loss

    def _reinforce(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        paths, rewards = [], []
        with torch.no_grad():
            for _ in range(self.samples):
                self.supernet.draw()
                path = self.supernet.path()
                right = float((self.supernet(images).argmax(1) == labels).float().mean())
                rewards.append(reinforce_reward(right, self.table.of_path(self.supernet, path), self.target))
                paths.append(path)
                self.spent += len(labels) * self.cost.of_path(path)
        advantages = self.baseline.advantages(rewards)
        gradients = reinforce_gradients([e.p.detach() for e in self.supernet.edges], paths, advantages)
        for edge, gradient in zip(self.supernet.edges, gradients, strict=True):
            edge.alpha.grad = gradient
        self._update()
        return sum(rewards) / len(rewards)

    def _update(self) -> None:
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint; the parameters themselves are the supernet's."""
        return {"adam": self.adam.state_dict(), "baseline": self.baseline.value, "spent": self.spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.adam.load_state_dict(state["adam"])
        self.baseline.value, self.spent = state["baseline"], state["spent"]
