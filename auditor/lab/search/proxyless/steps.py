"""Architecture steps of ProxylessNAS, on validation images: by gradients of the gates, or by REINFORCE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional as F

from auditor.lab.search.baseline import Baseline
from auditor.lab.search.proxyless.cost import PathCost
from auditor.lab.search.proxyless.gates import GateMode, keep_mass
from auditor.lab.search.proxyless.latency import LatencyTable, expected_latency, latency_loss
from auditor.lab.search.proxyless.supernet import Supernet, untouched_statistics

if TYPE_CHECKING:
    from auditor.lab.search.proxyless.settings import ProxylessSettings

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


class ArchitectureStepper:
    """Updates the architecture parameters of a supernet by its settings; Adam with betas (0, 0.999).

    Attributes
    ----------
    supernet : Supernet
    table : LatencyTable
    cost : PathCost
    settings : ProxylessSettings
    target : float
        Latency aimed at, in milliseconds.
    baseline : Baseline
        Of REINFORCE.
    spent : float
        MACs of all steps so far.
    """

    def __init__(self, supernet: Supernet, table: LatencyTable, cost: PathCost, settings: ProxylessSettings) -> None:
        self.supernet, self.table, self.cost, self.settings = supernet, table, cost, settings
        alphas = [edge.alpha for edge in supernet.edges]
        self.adam = torch.optim.Adam(alphas, settings.architecture_rate, betas=(0.0, 0.999))
        self.rows, self.spent = table.rows(supernet), 0.0
        self.baseline = Baseline(0.99 if settings.baseline == "official" else 0.95, settings.baseline)
        # Set here and not after a checkpoint: it is a share of what the untouched parameters expect.
        self.target = settings.target * float(self.expected())

    def expected(self) -> torch.Tensor:
        """Expected latency now."""
        return expected_latency(self.rows, [e.alpha for e in self.supernet.edges], self.table.base)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """One step on a validation batch; the loss or, for REINFORCE, the mean reward.

        Weights and running statistics stay as they are: validation images leave a trace in alpha only.
        """
        self.supernet.train()
        with untouched_statistics(self.supernet):
            if self.settings.kind == "reinforce":
                return self._reinforce(images, labels)
            return self._gradient(images, labels, self.settings.kind)

    def _gradient(self, images: torch.Tensor, labels: torch.Tensor, mode: GateMode) -> float:
        gates = self.supernet.open_gates(mode)
        self.spent += len(labels) * self.cost.gate_step(self.supernet.edges)
        ce = F.cross_entropy(self.supernet(images), labels)
        gradients = torch.autograd.grad(ce, gates)
        values = float(ce.detach()), float(self.expected()), self.target, self.settings.weight
        loss, by_ce, by_latency = latency_loss(self.settings.loss, *values)
        before = [edge.alpha.detach().clone() for edge in self.supernet.edges]
        for edge, gradient, row in zip(self.supernet.edges, gradients, self.rows, strict=True):
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
            for _ in range(self.settings.samples):
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
