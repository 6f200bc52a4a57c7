"""The trainer of one pruned network: dense network, iterations of removing and fine-tuning, one look at the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from auditor.core.errors import UsageError
from auditor.lab.prune.dense import Inner, MadeNetwork, dense_for
from auditor.lab.prune.settings import RdSettings, rd_settings, sparsity_path
from auditor.train.final import FinalNetwork, accuracy, slug
from auditor.train.image_network import Fitted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.lab.prune.masks import Masks

#: RD, RD without data (noise in place of calibration images), and the baselines.
RD_METHODS = ("rd", "rd_noise", "uniform", "uniform_plus", "erk", "lamp", "global")


@dataclass(frozen=True)
class PrunedNetwork(MadeNetwork):
    """Trainer of a network pruned to a sparsity.

    Attributes
    ----------
    dense, method, settings, store
        See `MadeNetwork`; a method of `RD_METHODS`.
    sparsity : float
        Share of the weights of convolutions and linear layers that is removed.
    """

    settings: RdSettings
    sparsity: float
    trainer = "pruned-network"
    version = 2  # no iteration on the way to the target is left out

    def __post_init__(self) -> None:
        if self.method not in RD_METHODS:
            raise UsageError(f"unknown pruning method {self.method!r}.", f"Known: {', '.join(RD_METHODS)}.")
        if not 0 < self.sparsity < 1:
            raise UsageError(f"a sparsity lies between 0 and 1, not {self.sparsity}.")

    @classmethod
    def of(
        cls,
        dense: FinalNetwork,
        method: str,
        sparsity: float,
        step: float | None = None,
        measure: Literal["mean", "worst"] | None = None,
    ) -> PrunedNetwork:
        """With the settings of the dense network's budget class, or with another `step` and `measure`."""
        settings = rd_settings(dense.budget, dense.name, step, measure)
        return cls(dense_for(dense, dynamic=False), method, settings, sparsity)

    @property
    def level(self) -> str:
        return f"{self.sparsity:g}"

    @property
    def papers(self) -> bool:
        official = self.settings == rd_settings("paper", self.dense.name)
        return self.method == "rd" and self.dense.papers and official

    def amount(self) -> dict[str, Any]:
        return {"sparsity": self.sparsity}

    def make(self, fitted: Fitted, inner: Inner) -> tuple[Fitted, dict[str, Any]]:
        """Remove and fine-tune in turns."""
        from auditor.lab.prune.masks import Masks
        from auditor.models.counter import count_pruned

        masks, path = Masks(fitted.model), []
        calibration = self._calibration(fitted, inner)
        for target in sparsity_path(self.sparsity, self.settings.step):
            row = self._prune(fitted.model, masks, calibration, target)
            fitted = self._fine_tune(fitted, masks, inner, target)
            labels = inner.data.labels[inner.task.predict]
            path.append({**row, "validation_accuracy": accuracy(fitted.result.probabilities, labels)})
        if masks.zeros() < sum(masks.sizes.values()) - sum(masks.kept.values()):
            raise AssertionError("a removed weight is not zero: fine-tuning did not keep the masks")
        cost = count_pruned(fitted.model, (3, *fitted.size))
        return fitted, {
            "sparsity": masks.sparsity,
            "weights": cost.weights,
            "nonzero_weights": cost.nonzero,
            "macs_dense": cost.dense,
            "macs_masked": cost.masked,
            "macs_executable": cost.executable,
            "kept": masks.kept,
            "path": path,
        }

    def _calibration(self, fitted: Fitted, inner: Inner) -> torch.Tensor:
        """Fixed images of the training part, or noise of the same size."""
        from auditor.lab.prune.rd.distortion import noise_images

        if self.method == "rd_noise":
            return noise_images(self.settings.calibration, fitted.size, 0).to(fitted.trainer.device)
        return self.images(fitted, inner.task.train, self.settings.calibration)

    def _prune(self, model: nn.Module, masks: Masks, calibration: torch.Tensor, target: float) -> dict[str, Any]:
        """Remove weights down to `target`; what was decided and measured."""
        from auditor.lab.prune.baselines import BASELINES
        from auditor.lab.prune.rd.allocate import choose_rates
        from auditor.lab.prune.rd.distortion import additivity
        from auditor.train.device import torch_threads

        budget = int((1 - target) * sum(masks.sizes.values()) + 1e-9)
        row: dict[str, Any] = {"target": target}
        with torch_threads(self.threads):
            if self.method.startswith("rd"):
                kept, allocation = choose_rates(model, masks, calibration, budget, self.settings)
                row |= {"distortion_sum": allocation.distortion, "unit": allocation.unit}
            else:
                kept = BASELINES[self.method](model, masks, budget)
            if sum(kept.values()) > budget:
                raise AssertionError(f"{self.method} keeps {sum(kept.values())} weights of {budget}")
            row["additivity"] = additivity(model, calibration, kept, self.settings.measure)
        masks.shrink(kept)
        return {**row, "sparsity": masks.sparsity, "budget": budget, "kept": sum(kept.values())}

    def _fine_tune(self, fitted: Fitted, masks: Masks, inner: Inner, target: float) -> Fitted:
        from auditor.lab.prune.optim import MeanAdamW
        from auditor.train.hooks import Hooks

        rate = self.settings.rate
        hooks = Hooks(
            after_step=masks.apply,
            optimiser=lambda model, recipe, batch, steps, per_epoch: MeanAdamW(model, rate, batch),
        )
        method = {"adamw": rate, "masks": masks.kept}
        name = f"{self.method}-{slug(self.dense.name)}-{target:g}"
        again = self.train_on(fitted.model, inner, name, "iterations", hooks, method)
        # A finished checkpoint brings the weights back without a step.
        masks.apply()
        return again
