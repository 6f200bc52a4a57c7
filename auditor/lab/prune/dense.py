"""The network a method starts from: that of every benchmark, or, at budget ``paper``, one trained as its paper does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.core.progress import Progress
from auditor.lab.prune.settings import DenseSchedule, paper_schedule
from auditor.train.base import FitTask, TrainingData
from auditor.train.final import AMOUNTS, FinalNetwork, slug, without_test
from auditor.train.image_network import Fitted
from auditor.train.recipe import Stage

__all__ = ["PaperDense", "dense_for"]


@dataclass(frozen=True)
class PaperDense(FinalNetwork):
    """`FinalNetwork` trained by the schedule of a pruning paper.

    Attributes
    ----------
    schedule : DenseSchedule
    """

    schedule: DenseSchedule = field(default_factory=DenseSchedule)

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {**super().recipe(), "schedule": self.schedule.model_dump(mode="json")}

    def train(
        self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None
    ) -> tuple[Fitted, TrainingData, FitTask]:
        """As `FinalNetwork.train`."""
        from auditor.lab.prune.optim import dense_optimiser
        from auditor.train.hooks import Hooks

        schedule = self.schedule
        inner, inner_task = without_test(data, task, AMOUNTS[self.budget])
        if self.store is not None:
            inner_task = replace(inner_task, name=f"{slug(self.name)}__seed{task.seed}")
            checkpoint_dir = self.store / f"dense-{schedule.optimiser}"
        hooks = Hooks(
            optimiser=lambda model, recipe, batch, steps, per_epoch: dense_optimiser(model, schedule, batch, steps)
        )
        method = {"dense": schedule.model_dump(mode="json")}
        fitted = self.network.fit_network(inner, inner_task, progress, checkpoint_dir, hooks=hooks, method=method)
        return fitted, inner, inner_task


def dense_for(dense: FinalNetwork, dynamic: bool) -> FinalNetwork:
    """What RD (FTWT, if `dynamic`) starts from at the budget of `dense`."""
    if dense.budget != "paper" or isinstance(dense, PaperDense):
        return dense
    schedule = paper_schedule(dense.name, dynamic)
    # No label smoothing and no warm-up in either paper; whatever is trained on from it inherits that.
    training = replace(
        dense.network.training, stages=(Stage(1.0, schedule.epochs),), batch=schedule.batch, label_smoothing=0.0
    )
    return PaperDense(replace(dense.network, training=training), dense.budget, dense.store, schedule)
