"""What a method starts from, and what both kinds of pruning share: a dense network, and a network made from it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed, generator
from auditor.lab.prune.settings import FTWT_PAPER, PAPER_STEPS, DenseSchedule, FtwtSettings, RdSettings, paper_schedule
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.budget import reproduction_label
from auditor.train.final import FinalNetwork, accuracy, benchmark_recipe, predict_test_once
from auditor.train.image_network import Fitted, ImageNetwork
from auditor.train.published import PublishedFinal
from auditor.train.recipe import Stage

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.train.hooks import Hooks


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

    @property
    def papers(self) -> bool:
        """Whether it is a network of the paper, trained by its schedule."""
        dynamic = self.schedule.optimiser == "sgd"
        own = dense_for(FinalNetwork.of(self.name, "paper"), dynamic).network.training
        known = self.name in (FTWT_PAPER if dynamic else PAPER_STEPS)
        return known and (self.network.training, self.schedule) == (own, paper_schedule(self.name, dynamic))

    @property
    def folder(self) -> str:
        """Where in a store its networks are kept."""
        return f"dense-{self.schedule.optimiser}"

    def schedule_options(self) -> dict[str, Any]:
        """Its optimiser."""
        from auditor.lab.prune.optim import dense_optimiser
        from auditor.train.hooks import Hooks

        hooks = Hooks(
            optimiser=lambda model, recipe, batch, steps, per_epoch: dense_optimiser(model, self.schedule, batch, steps)
        )
        return {"hooks": hooks, "method": {"dense": self.schedule.model_dump(mode="json")}}


def dense_for(dense: FinalNetwork, dynamic: bool) -> FinalNetwork:
    """What RD (FTWT, if `dynamic`) starts from at the budget of `dense`: the network of every benchmark, or, at budget
    ``paper``, one trained as its paper does."""
    if dense.budget != "paper" or isinstance(dense, PaperDense):
        return dense
    schedule = paper_schedule(dense.name, dynamic)
    # No label smoothing and no warm-up in either paper; whatever is trained on from it inherits that.
    shared = dense.network.training if isinstance(dense, PublishedFinal) else benchmark_recipe("paper", dense.name)
    training = replace(shared, stages=(Stage(1.0, schedule.epochs),), batch=schedule.batch, label_smoothing=0.0)
    if isinstance(dense, PublishedFinal):
        return replace(dense, network=replace(dense.network, training=training))
    return PaperDense(replace(dense.network, training=training), dense.budget, dense.store, schedule)


@dataclass(frozen=True)
class Inner:
    """One fit without its test rows: `data` and `task` of the dense network, and where the fit reports to."""

    data: TrainingData
    task: FitTask
    progress: Progress
    checkpoint_dir: Path | None


@dataclass(frozen=True)
class MadeNetwork(ABC):
    """Trainer of a network made from a dense one; see `auditor.train.base.Trainer` and `FinalNetwork`.

    Attributes
    ----------
    dense : FinalNetwork
        Trained first, or read from `store`.
    method : str
    settings : RdSettings or FtwtSettings
    store : Path, optional
        Where networks that several fits start from are kept. Never changes a result.
    """

    dense: FinalNetwork
    method: str
    settings: RdSettings | FtwtSettings
    store: Path | None = field(default=None, kw_only=True)

    #: Name in the recipe, and its version: another one makes other networks of the same settings.
    trainer: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    @abstractmethod
    def level(self) -> str:
        """How much is pruned, as the name says it."""

    @abstractmethod
    def amount(self) -> dict[str, Any]:
        """How much is pruned, as the recipe says it."""

    @abstractmethod
    def make(self, fitted: Fitted, inner: Inner) -> tuple[Fitted, dict[str, Any]]:
        """The network made from the dense one, with what is to be known of it."""

    @property
    @abstractmethod
    def papers(self) -> bool:
        """Whether it is made from a network of the method's paper, by all of that paper's recipe."""

    @property
    def name(self) -> str:
        """``method:network@level``."""
        return f"{self.method}:{self.dense.name}@{self.level}"

    @property
    def threads(self) -> int:
        """CPU threads of one fit."""
        return self.dense.threads

    @property
    def needs_one_process(self) -> bool:
        """Whether fits must share one process."""
        return self.dense.needs_one_process

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        own = {"trainer": self.trainer, "version": self.version, "dense": self.dense.recipe(), "method": self.method}
        return {**own, **self.amount(), "settings": self.settings.model_dump(mode="json", exclude_none=True)}

    def resolved(self, data: TrainingData) -> Self:
        """With ``auto`` replaced by what this machine offers."""
        return replace(self, dense=replace(self.dense.resolved(data), store=self.store))

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train the dense network, make the other from it, then predict the test items once. Errors as
        `FinalNetwork.fit`."""
        from auditor.train.network_files import input_facts, save_network

        started = time.perf_counter()
        fitted, inner_data, inner_task = self.dense.train(data, task, progress, checkpoint_dir)
        labels = inner_data.labels[inner_task.predict]
        dense_accuracy = accuracy(fitted.result.probabilities, labels)
        made, facts = self.make(fitted, Inner(inner_data, inner_task, progress, checkpoint_dir))
        facts = {
            "method": self.method,
            "reproduction": reproduction_label(self.papers),
            "dense_network": self.dense.name,
            "dense_validation_accuracy": dense_accuracy,
            "validation_accuracy": accuracy(made.result.probabilities, labels),
            **facts,
        }
        recipe = self.dense.budget, self.papers
        result = predict_test_once(made, data, task, inner_task, recipe, started, facts)
        if self.store is not None:
            facts = {"name": self.name, "seed": task.seed, **input_facts(made, data), **result.details}
            save_network(self.store / "pruned" / f"{task.name}.safetensors", made.model, facts)
        return result

    def images(self, fitted: Fitted, rows: np.ndarray, n: int | None = None) -> torch.Tensor:
        """Plain normalised images of the train split at the trained size: all `rows`, or `n` spread evenly."""
        import torch

        if n is not None:
            rows = rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.int64)]
        return fitted.loop.images.plain(torch.from_numpy(rows).to(fitted.trainer.device), fitted.size)

    @property
    def tuner(self) -> ImageNetwork:
        """What trains further by `settings`, at the resolution the dense network ended with."""
        network = self.dense.network
        stages = (Stage(network.training.stages[-1].scale, self.settings.epochs),)
        return replace(network, training=replace(network.training, stages=stages, batch=self.settings.batch))

    def as_it_is(self, model: nn.Module, fitted: Fitted, inner: Inner) -> Fitted:
        """`model`, made of a fitted network, without any training of its own."""
        from auditor.train.device import torch_threads

        loop = replace(fitted.loop, model=model)
        with torch_threads(self.threads):
            probabilities = loop.probabilities(loop.images, loop.predict.new_tensor(inner.task.predict))
        return Fitted(replace(fitted.result, probabilities=probabilities, history=[]), model, fitted.trainer, loop)

    def train_on(
        self,
        model: nn.Module,
        inner: Inner,
        name: str,
        folder: str,
        hooks: Hooks,
        method: dict[str, Any],
        steps: int | None = None,
        drawn: str = "",
        epochs: int | None = None,
    ) -> Fitted:
        """Train `model` further, for `epochs` in place of those of the settings; `folder` is where a store keeps it.

        With `steps`, for as many (rounded up to whole epochs of equal length) in place of the epochs of the settings,
        on images that the seed and `drawn` choose; what takes one epoch keeps no state to continue from.
        """
        tuner, task, own = self.tuner, inner.task, f"{name}__seed{inner.task.seed}"
        folder_of_state = inner.checkpoint_dir if self.store is None else self.store / folder
        if steps is not None:
            most = max(1, len(task.train) // tuner.training.batch_for(len(task.train)))
            epochs = -(-steps // most)
            shuffled = generator(task.seed, "tuning", drawn).permutation(task.train)
            train = np.sort(shuffled[: -(-steps // epochs) * tuner.training.batch])
            task = replace(task, train=train, seed=derive_seed(task.seed, "tuning", drawn))
            folder_of_state = folder_of_state if epochs > 1 else None
        if epochs is not None:
            stages = (replace(tuner.training.stages[0], epochs=epochs),)
            tuner = replace(tuner, training=replace(tuner.training, stages=stages))
        task = replace(task, name=own)
        return tuner.fit_network(
            inner.data, task, inner.progress, folder_of_state, start=model, hooks=hooks, method=method
        )
