"""A trainer whose tasks are topologies: one queue of fits over the cores, through the one training loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.core.progress import Progress
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.image_network import ImageNetwork
from auditor.train.recipe import Recipe, Stage, recipe_for


def plain_recipe(epochs: int, batch: int) -> Recipe:
    """Adam at 1e-3 falling linearly to 0, binary cross-entropy, no augmentation: REAL and FAKE are treated alike."""
    plain = recipe_for("smoke", "cifake_cnn")
    return replace(plain, stages=(Stage(1.0, epochs),), batch=batch, heldout_from=1.0)


@dataclass(frozen=True)
class TopologyTrainer(ImageNetwork):
    """Fits the topology a task is named after (up to ``@``, behind which a seed may stand): a variant of `network`."""

    network: str = "cifake_cnn"
    name = "grid"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result; the topology is the task's name."""
        return {**super().recipe(), "network": f"{self.network}:<task>"}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """See `auditor.train.base.Trainer`."""
        topology = f"{self.network}:{task.name.partition('@')[0]}"
        return ImageNetwork(**{**vars(self), "network": topology}).fit(data, task, progress, checkpoint_dir)
