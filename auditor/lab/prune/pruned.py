"""The trainer of one pruned network: dense network, iterations of removing and fine-tuning, one look at the test."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.lab.prune.dense import dense_for
from auditor.lab.prune.settings import RdSettings, rd_settings, sparsity_path
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.final import FinalNetwork, accuracy, predict_test_once, slug
from auditor.train.image_network import Fitted, ImageNetwork
from auditor.train.recipe import Stage

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.lab.prune.masks import Masks

__all__ = ["RD_METHODS", "PrunedNetwork"]

#: RD, RD without data (noise in place of calibration images), and the baselines.
RD_METHODS = ("rd", "rd_noise", "uniform", "uniform_plus", "erk", "lamp", "global")


@dataclass(frozen=True)
class PrunedNetwork:
    """Trainer of a network pruned to a sparsity; see `auditor.train.base.Trainer` and `FinalNetwork`.

    Attributes
    ----------
    dense : FinalNetwork
        What is pruned; trained first, or read from `store`.
    method : str
        One of `RD_METHODS`.
    sparsity : float
        Share of the weights of convolutions and linear layers that is removed.
    settings : RdSettings
    store : Path, optional
        Where networks that several fits start from are kept. Never changes a result.
    """

    dense: FinalNetwork
    method: str
    sparsity: float
    settings: RdSettings
    store: Path | None = None

    def __post_init__(self) -> None:
        if self.method not in RD_METHODS:
            raise UsageError(f"unknown pruning method {self.method!r}.", f"Known: {', '.join(RD_METHODS)}.")
        if not 0 < self.sparsity < 1:
            raise UsageError(f"a sparsity lies between 0 and 1, not {self.sparsity}.")

    @classmethod
    def of(cls, dense: FinalNetwork, method: str, sparsity: float) -> PrunedNetwork:
        """With the settings of the dense network's budget class."""
        return cls(dense_for(dense, dynamic=False), method, sparsity, rd_settings(dense.budget, dense.name))

    @property
    def name(self) -> str:
        """``method:network@sparsity``."""
        return f"{self.method}:{self.dense.name}@{self.sparsity:g}"

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
        return {
            "trainer": "pruned-network",
            "version": 1,
            "dense": self.dense.recipe(),
            "method": self.method,
            "sparsity": self.sparsity,
            "settings": self.settings.model_dump(),
        }

    def resolved(self, data: TrainingData) -> PrunedNetwork:
        """With ``auto`` replaced by what this machine offers."""
        return replace(self, dense=replace(self.dense.resolved(data), store=self.store))

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train, prune and fine-tune; then predict the test items once. Errors as `FinalNetwork.fit`."""
        from auditor.lab.prune.artefacts import input_facts, save_network
        from auditor.lab.prune.masks import Masks
        from auditor.models.counter import count_pruned

        started = time.perf_counter()
        fitted, inner, inner_task = self.dense.train(data, task, progress, checkpoint_dir)
        labels = inner.labels[inner_task.predict]
        dense_accuracy = accuracy(fitted.result.probabilities, labels)
        masks = Masks(fitted.model)
        calibration = self._calibration(fitted, inner, inner_task)
        path = []
        for target in sparsity_path(self.sparsity, self.settings.step):
            row = self._prune(fitted.model, masks, calibration, target)
            fitted = self._fine_tune(fitted, masks, inner, inner_task, target, progress, checkpoint_dir)
            row["validation_accuracy"] = accuracy(fitted.result.probabilities, labels)
            path.append(row)
        if masks.zeros() < sum(masks.sizes.values()) - sum(masks.kept.values()):
            raise AssertionError("a removed weight is not zero: fine-tuning did not keep the masks")
        cost = count_pruned(fitted.model, (3, *fitted.size))
        facts = {
            "method": self.method,
            "dense_network": self.dense.name,
            "dense_validation_accuracy": dense_accuracy,
            "validation_accuracy": path[-1]["validation_accuracy"],
            "sparsity": masks.sparsity,
            "weights": cost.weights,
            "nonzero_weights": cost.nonzero,
            "macs_dense": cost.dense,
            "macs_masked": cost.masked,
            "macs_executable": cost.executable,
            "kept": masks.kept,
            "path": path,
        }
        result = predict_test_once(fitted, data, task, inner_task, self.dense.budget, started, facts)
        if self.store is not None:
            facts = {"name": self.name, "seed": task.seed, **input_facts(fitted, data), **result.details}
            save_network(self.store / "pruned" / f"{task.name}.safetensors", fitted.model, facts)
        return result

    def _calibration(self, fitted: Fitted, inner: TrainingData, task: FitTask) -> torch.Tensor:
        """Fixed images of the training part, or noise of the same size."""
        import torch

        from auditor.lab.prune.rd.distortion import noise_images

        n = self.settings.calibration
        if self.method == "rd_noise":
            return noise_images(n, fitted.size, 0).to(fitted.trainer.device)
        rows = task.train[np.linspace(0, len(task.train) - 1, min(n, len(task.train))).astype(np.int64)]
        where = torch.from_numpy(rows).to(fitted.trainer.device)
        return fitted.loop.images.plain(where, fitted.size)

    def _prune(self, model: nn.Module, masks: Masks, calibration: torch.Tensor, target: float) -> dict[str, Any]:
        """Remove weights down to `target`; what was decided and measured."""
        from auditor.lab.prune.baselines import BASELINES
        from auditor.lab.prune.rd.distortion import additivity
        from auditor.lab.prune.rd.method import choose_rates
        from auditor.train.device import torch_threads

        budget = int((1 - target) * sum(masks.sizes.values()) + 1e-9)
        row: dict[str, Any] = {"target": target}
        with torch_threads(self.threads):
            if self.method.startswith("rd"):
                kept, allocation = choose_rates(model, masks, calibration, budget, self.settings)
                row |= {"distortion_sum": allocation.distortion, "unit": allocation.unit}
            else:
                kept = BASELINES.load(self.method)(model, masks, budget)
            if sum(kept.values()) > budget:
                raise AssertionError(f"{self.method} keeps {sum(kept.values())} weights of {budget}")
            row["additivity"] = additivity(model, calibration, kept, self.settings.measure)
        masks.shrink(kept)
        row |= {"sparsity": masks.sparsity, "budget": budget, "kept": sum(kept.values())}
        return row

    def _fine_tune(
        self,
        fitted: Fitted,
        masks: Masks,
        inner: TrainingData,
        task: FitTask,
        target: float,
        progress: Progress,
        checkpoint_dir: Path | None,
    ) -> Fitted:
        from auditor.lab.prune.optim import MeanAdamW
        from auditor.train.hooks import Hooks

        settings = self.settings
        trainer = self._fine_tuner()
        hooks = Hooks(
            after_step=masks.apply,
            optimiser=lambda model, recipe, batch, steps, per_epoch: MeanAdamW(model, settings.rate, batch),
        )
        method = {"adamw": settings.rate, "masks": masks.kept}
        folder = checkpoint_dir if self.store is None else self.store / "iterations"
        name = f"{self.method}-{slug(self.dense.name)}-{target:g}__seed{task.seed}"
        again = trainer.fit_network(
            inner, replace(task, name=name), progress, folder, start=fitted.model, hooks=hooks, method=method
        )
        # A finished checkpoint brings the weights back without a step.
        masks.apply()
        return again

    def _fine_tuner(self) -> ImageNetwork:
        network = self.dense.network
        scale = network.training.stages[-1].scale
        recipe = replace(network.training, stages=(Stage(scale, self.settings.epochs),), batch=self.settings.batch)
        return replace(network, training=recipe)
