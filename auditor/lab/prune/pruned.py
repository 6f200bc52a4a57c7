"""The trainer of one pruned network: dense network, iterations of removing and fine-tuning, one look at the test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
        steps: int | None = None,
    ) -> PrunedNetwork:
        """With the settings of the dense network's budget class, or with another `step`, `measure` and number of
        `steps` of fine-tuning."""
        settings = rd_settings(dense.budget, dense.name, step, measure, steps)
        return cls(dense_for(dense, dynamic=False), method, settings, sparsity)

    @property
    def level(self) -> str:
        return f"{self.sparsity:g}{self._schedule}"

    @property
    def _schedule(self) -> str:
        """How the fine-tuning is said in names, where it is counted in steps."""
        if self.settings.steps is None:
            return ""
        return f"-t{self.settings.steps}{'-worst' if self.settings.measure == 'worst' else ''}"

    @property
    def fixed(self) -> bool:
        """Whether no seed changes it: nothing is drawn and nothing is trained."""
        return self.dense.fixed and self.settings.steps == 0

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

        masks, targets = Masks(fitted.model), sparsity_path(self.sparsity, self.settings.step)
        trunk = self._trunk(fitted, inner)
        path = trunk.continue_(fitted.model, masks, len(targets) - 1, inner)
        calibration = self._calibration(fitted, inner)
        for target in targets[len(path) :]:
            last = target == targets[-1]
            # Between iterations, a part of the validation items tells as much as is asked.
            shown = inner if last or self.settings.steps is None else _shortened(inner)
            row = self._prune(fitted.model, masks, calibration, target, last)
            fitted = self._fine_tune(fitted, masks, shown, target)
            labels = inner.data.labels[shown.task.predict]
            path.append({**row, "validation_accuracy": accuracy(fitted.result.probabilities, labels)})
            if not last:
                trunk.save(fitted.model, masks, path)
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

    def _trunk(self, fitted: Fitted, inner: Inner) -> Trunk:
        """The iterations that all sparsities share."""
        from auditor.core.hashing import hash_json
        from auditor.train.image_network import fit_key, weights_hash

        if self.store is None:
            return Trunk(None, "")
        recipe = {name: value for name, value in self.recipe().items() if name != "sparsity"}
        key = [recipe, weights_hash(fitted.model), fit_key(fitted.trainer, inner.data, inner.task)]
        name = f"{self.method}-{slug(self.dense.name)}{self._schedule}__seed{inner.task.seed}.pt"
        return Trunk(self.store / "trunks" / name, hash_json(key))

    def _prune(
        self, model: nn.Module, masks: Masks, calibration: torch.Tensor, target: float, last: bool
    ) -> dict[str, Any]:
        """Remove weights down to `target`; what was decided, and at the `last` iteration how far distortions add up."""
        from auditor.lab.prune.baselines import BASELINES
        from auditor.lab.prune.rd.allocate import choose_rates
        from auditor.lab.prune.rd.distortion import additivity
        from auditor.train.device import torch_threads

        budget = int((1 - target) * sum(masks.sizes.values()) + 1e-9)
        row: dict[str, Any] = {"target": target}
        with torch_threads(self.threads):
            if self.method.startswith("rd"):
                curves = None if self.store is None else self.store / "curves"
                kept, allocation = choose_rates(model, masks, calibration, budget, self.settings, curves)
                row |= {"distortion_sum": allocation.distortion, "unit": allocation.unit}
            else:
                kept = BASELINES[self.method](model, masks, budget)
            if sum(kept.values()) > budget:
                raise AssertionError(f"{self.method} keeps {sum(kept.values())} weights of {budget}")
            if last:
                row["additivity"] = additivity(model, calibration, kept, self.settings.measure)
        masks.shrink(kept)
        return {**row, "sparsity": masks.sparsity, "budget": budget, "kept": sum(kept.values())}

    def _fine_tune(self, fitted: Fitted, masks: Masks, inner: Inner, target: float) -> Fitted:
        from auditor.lab.prune.optim import MeanAdamW
        from auditor.train.hooks import Hooks

        rate, steps = self.settings.rate, self.settings.steps
        if steps == 0:
            return self.as_it_is(fitted.model, fitted, inner)
        hooks = Hooks(
            after_step=masks.apply,
            optimiser=lambda model, recipe, batch, steps, per_epoch: MeanAdamW(model, rate, batch),
        )
        method = {"adamw": rate, "masks": masks.kept}
        name = f"{self.method}-{slug(self.dense.name)}-{target:g}{self._schedule}"
        # At an iteration, every method of a seed is fine-tuned on the same images.
        again = self.train_on(fitted.model, inner, name, "iterations", hooks, method, steps, f"{target:g}")
        # A finished checkpoint brings the weights back without a step.
        masks.apply()
        return again


#: Validation items that tell how an iteration went which is not the last.
GLANCE = 200


def _shortened(inner: Inner) -> Inner:
    """With a part of the validation items, spread evenly."""
    predict = inner.task.predict
    rows = np.linspace(0, len(predict) - 1, min(len(predict), GLANCE)).astype(np.int64)
    return replace(inner, task=replace(inner.task, predict=predict[rows]))


@dataclass(frozen=True)
class Trunk:
    """The iterations that lead to every sparsity: the state after the last one that was done, of those before a target
    of its own.

    Attributes
    ----------
    file : Path, optional
        None: nothing is kept.
    key : str
        Hash of what the state depends on.
    """

    file: Path | None
    key: str

    def continue_(self, model: nn.Module, masks: Masks, most: int, inner: Inner) -> list[dict[str, Any]]:
        """Bring `model` and `masks` to the stored state; the rows of its iterations, at most `most`, else none."""
        from auditor.train.checkpoint import load_checkpoint

        if self.file is None:
            return []
        device = str(next(model.parameters()).device)
        state, reason = load_checkpoint(self.file, self.key, device)
        if reason:
            inner.progress.note(f"{self.file.stem}: {reason}.")
        if state is None or len(state["path"]) > most:
            return []
        model.load_state_dict(state["model"])
        masks.restore(state["masks"])
        path: list[dict[str, Any]] = state["path"]
        return path

    def save(self, model: nn.Module, masks: Masks, path: list[dict[str, Any]]) -> None:
        """Keep a state; one of fewer iterations than the stored one takes its place too."""
        from auditor.train.checkpoint import save_checkpoint

        if self.file is not None:
            save_checkpoint(self.file, self.key, {"model": model.state_dict(), "masks": masks.masks, "path": path})
