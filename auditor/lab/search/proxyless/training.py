"""Training of the supernet through the one loop: weight steps on the training part, architecture steps on the
validation part."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from auditor.core.progress import Progress, SilentProgress
from auditor.core.seeds import derive_seed
from auditor.lab.search.children import child_network
from auditor.lab.search.data import SearchData
from auditor.lab.search.proxyless.cost import PathCost
from auditor.lab.search.proxyless.latency import LatencyTable
from auditor.lab.search.proxyless.settings import ProxylessSettings
from auditor.lab.search.proxyless.steps import ArchitectureStepper
from auditor.lab.search.proxyless.supernet import Supernet
from auditor.train.base import FitTask
from auditor.train.batches import ImageTensor
from auditor.train.hooks import Hooks
from auditor.train.optim import CosineSgd
from auditor.train.recipe import Recipe


@dataclass(frozen=True)
class ValidationBatches:
    """Batches of validation images, not augmented; each is a function of the seed and its number.

    Attributes
    ----------
    images : ImageTensor
        Normalised by training images.
    labels : int64 tensor
        Of all of `images`.
    rows : int64 tensor
        The validation items.
    size : (height, width)
    batch, seed : int
    """

    images: ImageTensor
    labels: torch.Tensor
    rows: torch.Tensor
    size: tuple[int, int]
    batch: int
    seed: int

    def take(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and labels of batch `number`; all items pass before one comes again."""
        batch = min(self.batch, len(self.rows))
        turn, rank = divmod(number, len(self.rows) // batch)
        random = torch.Generator().manual_seed(derive_seed(self.seed, "validation batches", turn))
        order = torch.randperm(len(self.rows), generator=random)[rank * batch : (rank + 1) * batch]
        rows = self.rows[order.to(self.rows.device)]
        return self.images.plain(rows, self.size), self.labels[rows]


def snapshot_steps(first: int, steps: int, snapshots: int) -> list[int]:
    """Steps done when the snapshots are taken: before step `first`, then evenly until `steps`."""
    return [first + round(k * (steps - first) / snapshots) for k in range(snapshots + 1)]


@dataclass
class SupernetStepper:
    """Stepper of the one loop: a weight step, then an architecture step when it is due.

    Two optimisers: the search starts a cosine of its own, and with momentum of its own.

    Attributes
    ----------
    architecture : ArchitectureStepper
        The `snapshots` of its supernet have room for one more state than its settings say.
    batches : ValidationBatches
    batch, steps, per_epoch : int
        Images of a weight step, steps in all and in an epoch.
    progress : Progress
    """

    architecture: ArchitectureStepper
    batches: ValidationBatches
    batch: int
    steps: int
    per_epoch: int
    progress: Progress

    #: What a checkpoint holds.
    _parts: ClassVar = ("warming", "searching", "architecture")
    _values: ClassVar = ("architecture_steps", "weight_macs", "losses", "history")

    def __post_init__(self) -> None:
        self.supernet, settings = self.architecture.supernet, self.architecture.settings
        self.warm = settings.warmup * self.per_epoch
        self.first = self.warm + settings.quiet * self.per_epoch
        self.marks = snapshot_steps(self.first, self.steps, settings.snapshots)
        weights, own = self.supernet.weights(), (settings.decay, self.batch)
        self.warming = CosineSgd(weights, settings.warmup_rate, *own, self.warm, settings.clip)
        self.searching = CosineSgd(weights, settings.rate, *own, self.steps - self.warm, settings.clip)
        self.architecture_steps = 0
        self.weight_macs = 0.0
        self.losses: list[float] = []
        #: One row per snapshot.
        self.history: list[dict[str, Any]] = []

    @property
    def spent(self) -> float:
        """MACs so far."""
        return self.weight_macs + self.architecture.spent

    def step(self, done: int) -> None:
        """See `auditor.train.hooks.Stepper`."""
        if done == self.first:
            self._snapshot()
        if done < self.warm:
            self.warming.step(done)
        else:
            self.searching.step(done - self.warm)
        self.weight_macs += self.batch * self.architecture.cost.weight_step(self.supernet.path())
        if done >= self.first and (done - self.first) % self.architecture.settings.every == 0:
            self.losses.append(self.architecture.step(*self.batches.take(self.architecture_steps)))
            self.architecture_steps += 1
        while len(self.history) < len(self.marks) and self.history and done + 1 >= self.marks[len(self.history)]:
            self._snapshot()
        if (done + 1) % self.per_epoch == 0:
            note = f"expected latency {float(self.architecture.expected()):.3f} ms"
            self.progress.advance("supernet", (done + 1) // self.per_epoch, note)

    def _snapshot(self) -> None:
        self.supernet.keep_snapshot(len(self.history))
        self.history.append(
            {
                "snapshot": len(self.history),
                "architecture_steps": self.architecture_steps,
                "spent": self.spent,
                "mean_loss": sum(self.losses) / len(self.losses) if self.losses else None,
                "expected_ms": float(self.architecture.expected()),
                "entropy": self.supernet.entropy(),
                "baseline": self.architecture.baseline.value,
            }
        )
        self.losses = []

    def zero_grad(self) -> None:
        """Drop all gradients, so that operations off the next path have none."""
        self.searching.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        parts = {name: getattr(self, name).state_dict() for name in self._parts}
        return parts | {name: getattr(self, name) for name in self._values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for name in self._parts:
            getattr(self, name).load_state_dict(state[name])
        for name in self._values:
            setattr(self, name, state[name])


def train_supernet(
    split: SearchData,
    settings: ProxylessSettings,
    supernet: Supernet,
    table: LatencyTable,
    cost: PathCost,
    folder: Path,
    seed: int,
    device: str,
    progress: Progress,
) -> SupernetStepper:
    """Warm up, then search; a checkpoint after every epoch. The supernet holds the snapshots afterwards.

    The result is a function of the data, the settings, the seed and the table.
    """
    epochs = settings.warmup + settings.epochs
    recipe = replace(
        settings.child,
        epochs=epochs,
        batch=settings.batch,
        rate=settings.rate,
        decay=settings.decay,
        clip=settings.clip,
    )
    network = child_network(recipe, "supernet", device)
    made: list[SupernetStepper] = []

    def make(model: nn.Module, _: Recipe, batch: int, steps: int, per_epoch: int) -> SupernetStepper:
        images = ImageTensor(split.data.features, network.device, split.train)
        labels = torch.from_numpy(np.ascontiguousarray(split.data.labels, dtype=np.int64)).to(network.device)
        rows = torch.from_numpy(split.validation).to(network.device)
        size = images.size_at(settings.child.scale, supernet.min_size)
        many = settings.architecture_batch or settings.batch
        batches = ValidationBatches(images, labels, rows, size, many, derive_seed(seed, "supernet"))
        architecture = ArchitectureStepper(supernet, table, cost, settings)
        made.append(SupernetStepper(architecture, batches, batch, steps, per_epoch, progress))
        return made[-1]

    # Validation items are named as what is predicted only because a fit must name some: what the most probable path
    # says with the supernet's weights and statistics is not used.
    task = FitTask("supernet", split.train, split.validation, derive_seed(seed, "supernet"))
    hooks = Hooks(before_step=lambda _: supernet.draw(), optimiser=make)
    progress.start("supernet", epochs, "epoch")
    network.fit_network(
        split.data,
        task,
        SilentProgress(),
        folder,
        start=supernet,
        hooks=hooks,
        # The rule of the updates, which no setting names: 2 weighs the latency of two paths by their own probabilities.
        method={"settings": settings.as_dict(), "table": asdict(table), "updates": 2},
    )
    progress.finish("supernet")
    return made[-1]
