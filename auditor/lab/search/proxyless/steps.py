"""Architecture steps of ProxylessNAS, on validation images: by gradients of the gates, or by REINFORCE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.seeds import derive_seed
from auditor.lab.search.baseline import Baseline
from auditor.lab.search.proxyless.cost import PathCost
from auditor.lab.search.proxyless.gates import GateMode, MixedEdge, keep_mass
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
    signal : Signal
        How large what the validation images said has been so far.
    """

    def __init__(self, supernet: Supernet, table: LatencyTable, cost: PathCost, settings: ProxylessSettings) -> None:
        self.supernet, self.table, self.cost, self.settings = supernet, table, cost, settings
        alphas = [edge.alpha for edge in supernet.edges]
        self.adam = torch.optim.Adam(alphas, settings.architecture_rate, betas=(0.0, 0.999))
        self.rows, self.spent = table.rows(supernet), 0.0
        self.baseline = Baseline(0.99 if settings.baseline == "official" else 0.95, settings.baseline)
        self.signal = Signal.of(supernet)
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
        self.signal.add_gradients(float(ce.detach()), gradients, self.supernet.edges)
        return self._follow(float(ce.detach()), gradients)

    def _follow(self, ce: float, gradients: Sequence[torch.Tensor]) -> float:
        """Update by the gradients of the open gates and by the latency; the loss."""
        edges = self.supernet.edges
        expected = self.table.base + sum(
            float((e.drawn_p.detach() * row).sum()) for e, row in zip(edges, self.rows, strict=True)
        )
        loss, by_ce, by_latency = latency_loss(self.settings.loss, ce, expected, self.target, self.settings.weight)
        before = [edge.alpha.detach().clone() for edge in edges]
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
        paths, accuracies = [], []
        with torch.no_grad():
            for _ in range(self.settings.samples):
                self.supernet.draw()
                path = self.supernet.path()
                accuracies.append(float((self.supernet(images).argmax(1) == labels).float().mean()))
                paths.append(path)
                self.spent += len(labels) * self.cost.of_path(path)
        self.signal.add_accuracies(accuracies)
        return self._reward(paths, accuracies)

    def _reward(self, paths: Sequence[Sequence[int]], accuracies: Sequence[float]) -> float:
        """Update by the rewards of some networks; their mean."""
        rewards = [
            reinforce_reward(right, self.table.of_path(self.supernet, path), self.target)
            for path, right in zip(paths, accuracies, strict=True)
        ]
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
        kept = {"adam": self.adam.state_dict(), "baseline": self.baseline.value, "spent": self.spent}
        return {**kept, "signal": vars(self.signal)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.adam.load_state_dict(state["adam"])
        self.baseline.value, self.spent = state["baseline"], state["spent"]
        self.signal = Signal(**state["signal"])


#: How often noise searches beside one search.
NOISE_RUNS = 5


@dataclass
class Signal:
    """How large what the validation images said was, over a search: what the noise in its place is drawn by.

    Attributes
    ----------
    squares, times : lists of float tensor (operations,)
        Of every edge: sum of a gate's squared gradients, and in how many steps it took part.
    ce : float
        Sum of the cross-entropies.
    steps : int
    accuracy, spread : float
        REINFORCE: sums over the steps of the mean accuracy, and of the variance within the step.
    """

    squares: list[torch.Tensor]
    times: list[torch.Tensor]
    ce: float = 0.0
    steps: int = 0
    accuracy: float = 0.0
    spread: float = 0.0

    @classmethod
    def of(cls, supernet: Supernet) -> Signal:
        """Nothing yet."""
        first, second = ([torch.zeros_like(edge.alpha.detach()) for edge in supernet.edges] for _ in range(2))
        return cls(first, second)

    def add_gradients(self, ce: float, gradients: Sequence[torch.Tensor], edges: Sequence[MixedEdge]) -> None:
        """One step by gradients."""
        self.steps += 1
        self.ce += ce
        for k, (gradient, edge) in enumerate(zip(gradients, edges, strict=True)):
            self.squares[k] += gradient.square()
            self.times[k] += edge.drawn_p.detach() > 0

    def add_accuracies(self, accuracies: Sequence[float]) -> None:
        """One step by REINFORCE."""
        values = torch.tensor(accuracies, dtype=torch.float64)
        self.steps += 1
        self.accuracy += float(values.mean())
        self.spread += float(values.var()) if len(values) > 1 else 0.0


class NoiseSteps(ArchitectureStepper):
    """The null of a search: its architecture steps with noise in place of what the validation images say.

    Nothing is passed through a network. The rule of the updates, the latency and its target, the number of networks
    in a step and the size of what is replaced are those of `real`: a gate's gradient is normal with mean 0 and with the
    mean square it had there, an accuracy is normal with the mean and the spread within a step it had there.
    """

    def __init__(self, real: ArchitectureStepper, seed: int) -> None:
        self.random = torch.Generator().manual_seed(derive_seed(seed, "noise"))
        edges = [MixedEdge([nn.Identity() for _ in edge.ops], edge.names) for edge in real.supernet.edges]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "noise", "alphas"))
            like = Supernet(nn.Identity(), real.supernet.template, edges, real.supernet.latency_keys)
        super().__init__(like, real.table, real.cost, real.settings)
        self.target, self.given = real.target, real.signal

    @property
    def path(self) -> tuple[int, ...]:
        """The most probable operations now."""
        return tuple(int(edge.alpha.argmax()) for edge in self.supernet.edges)

    def run(self) -> None:
        """As many steps as the real search made."""
        kind, given = self.settings.kind, self.given
        for _ in range(given.steps):
            if kind == "reinforce":
                paths = [self._drawn() for _ in range(self.settings.samples)]
                mean, deviation = given.accuracy / given.steps, (given.spread / given.steps) ** 0.5
                noise = mean + deviation * torch.randn(len(paths), generator=self.random)
                self._reward(paths, noise.clamp(0, 1).tolist())
            else:
                self.supernet.open_gates(kind)
                self._follow(given.ce / given.steps, [self._gradient_of(k) for k in range(len(self.rows))])

    def _drawn(self) -> tuple[int, ...]:
        self.supernet.draw()
        return self.supernet.path()

    def _gradient_of(self, k: int) -> torch.Tensor:
        size = (self.given.squares[k] / self.given.times[k].clamp_min(1)).sqrt().to(self.rows[k])
        return size * torch.randn(size.shape, generator=self.random, dtype=size.dtype)


def noise_null(real: ArchitectureStepper, seed: int) -> list[NoiseSteps]:
    """`NOISE_RUNS` searches as long as the real one in which noise decides; the caller's random state stays."""
    runs = []
    with torch.random.fork_rng(devices=[]):
        for k in range(NOISE_RUNS):
            torch.manual_seed(derive_seed(seed, "noise null", k))
            runs.append(NoiseSteps(real, derive_seed(seed, "noise null", k)))
            runs[-1].run()
    return runs
