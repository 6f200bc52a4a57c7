"""The trainer of one dynamically pruned network: dense network, rate by estimate, dynamic training, one look at the
test. And its two controls."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed
from auditor.lab.prune.dense import dense_for
from auditor.lab.prune.settings import FTWT_SETTINGS, FtwtSettings
from auditor.models.registry import split_variant
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.final import FinalNetwork, accuracy, predict_test_once, slug
from auditor.train.image_network import Fitted, ImageNetwork
from auditor.train.recipe import Stage

if TYPE_CHECKING:
    import torch

    from auditor.lab.prune.ftwt.cost import Cost
    from auditor.lab.prune.ftwt.gated import GatedNetwork

__all__ = ["FTWT_METHODS", "FTWT_NETWORKS", "DynamicNetwork"]

#: FTWT decoupled and joint; controls: a fixed share per layer per image, and one mask for all images.
FTWT_METHODS = ("ftwt", "ftwt_joint", "ftwt_uniform", "ftwt_static")
#: Networks whose filters `auditor.lab.prune.ftwt.units` knows how to switch.
FTWT_NETWORKS = ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "resnet20", "resnet32", "resnet56", "mobilenet_v1")


@dataclass(frozen=True)
class DynamicNetwork:
    """Trainer of a network with per-image filter masks; see `auditor.train.base.Trainer` and `FinalNetwork`.

    Attributes
    ----------
    dense : FinalNetwork
    method : str
        One of `FTWT_METHODS`.
    settings : FtwtSettings
    r : float or None
        Share of activation mass the targets keep.
    reduction : float or None
        In place of r: share of the MACs (paper's count) to save, from which r is found by bisection on the dense
        network before training.
    store : Path, optional
        Where networks that several fits start from are kept. Never changes a result.
    """

    dense: FinalNetwork
    method: str
    settings: FtwtSettings
    r: float | None = None
    reduction: float | None = None
    store: Path | None = None

    def __post_init__(self) -> None:
        if self.method not in FTWT_METHODS:
            raise UsageError(f"unknown dynamic method {self.method!r}.", f"Known: {', '.join(FTWT_METHODS)}.")
        if split_variant(self.dense.name)[0] not in FTWT_NETWORKS:
            # Said here, before a dense network is trained for nothing.
            raise UsageError(f"FTWT is not described for {self.dense.name!r}.", f"Known: {', '.join(FTWT_NETWORKS)}.")
        if (self.r is None) == (self.reduction is None):
            raise UsageError("give either the mass r or the reduction of MACs.")
        if self.r is not None and not 0 < self.r <= 1:
            raise UsageError(f"the mass r lies in (0, 1], not {self.r:g}.")
        if self.reduction is not None and not 0 < self.reduction < 1:
            raise UsageError(f"the share of MACs to save lies between 0 and 1, not {self.reduction:g}.")

    @classmethod
    def of(
        cls, dense: FinalNetwork, method: str, r: float | None = None, reduction: float | None = None
    ) -> DynamicNetwork:
        """With the settings of the dense network's budget class."""
        return cls(dense_for(dense, dynamic=True), method, FTWT_SETTINGS[dense.budget], r, reduction)

    @property
    def name(self) -> str:
        """``method:network@level``."""
        level = f"r{self.r:g}" if self.r is not None else f"f{self.reduction:g}"
        return f"{self.method}:{self.dense.name}@{level}"

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
            "trainer": "dynamic-network",
            "version": 1,
            "dense": self.dense.recipe(),
            "method": self.method,
            "r": self.r,
            "reduction": self.reduction,
            "settings": self.settings.model_dump(mode="json"),
        }

    def resolved(self, data: TrainingData) -> DynamicNetwork:
        """With ``auto`` replaced by what this machine offers."""
        return replace(self, dense=replace(self.dense.resolved(data), store=self.store))

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train dense, estimate, train dynamic; then predict the test items once. Errors as `FinalNetwork.fit`."""
        from auditor.lab.prune.artefacts import input_facts, save_network
        from auditor.lab.prune.ftwt.cost import measure_cost

        started = time.perf_counter()
        fitted, inner, inner_task = self.dense.train(data, task, progress, checkpoint_dir)
        labels = inner.labels[inner_task.predict]
        dense_accuracy = accuracy(fitted.result.probabilities, labels)
        sample = self._images(fitted, _spread(inner_task.train, self.settings.sample))
        gated, estimate = self._gated(fitted, sample, task.seed)
        again = self._train(fitted, gated, inner, inner_task, progress, checkpoint_dir)
        validation = self._images(again, inner_task.predict)
        achieved = measure_cost(gated, validation)
        facts = {
            "method": self.method,
            "dense_network": self.dense.name,
            "dense_validation_accuracy": dense_accuracy,
            "validation_accuracy": accuracy(again.result.probabilities, labels),
            "r": gated.r,
            "ratio": gated.ratio,
            "estimated_before": _cost_row(estimate),
            "achieved": _cost_row(achieved),
            **_mask_facts(gated, validation),
            "macs_dense": achieved.dense,
            "flops_paper": achieved.flops_paper,
            "macs_executable": achieved.macs_executable,
        }
        result = predict_test_once(again, data, task, inner_task, self.dense.budget, started, facts)
        if self.store is not None:
            facts = {"name": self.name, "seed": task.seed, **input_facts(again, data), **result.details}
            save_network(self.store / "pruned" / f"{task.name}.safetensors", gated, facts)
        return result

    def _images(self, fitted: Fitted, rows: np.ndarray) -> torch.Tensor:
        """Plain normalised images of the train split at the trained size."""
        import torch

        return fitted.loop.images.plain(torch.from_numpy(rows).to(fitted.trainer.device), fitted.size)

    def _gated(self, fitted: Fitted, sample: torch.Tensor, seed: int) -> tuple[GatedNetwork, Cost]:
        """The network with untrained predictors, and its cost estimated from targets on the dense network."""
        import torch

        from auditor.lab.prune.ftwt.cost import bisect_r, measure_cost
        from auditor.lab.prune.ftwt.gated import GatedNetwork
        from auditor.train.device import torch_threads

        with torch_threads(self.threads), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "predictors"))
            coupling = "joint" if self.method == "ftwt_joint" else "decoupled"
            gated = GatedNetwork(fitted.model, self.r or 1.0, coupling, self.settings.pool)  # type: ignore[arg-type]
            gated.to(sample.device).eval()
            if self.reduction is not None:
                _, estimate = bisect_r(gated, sample, self.reduction)
            else:
                gated.mode = "truth"
                estimate = measure_cost(gated, sample)
            if self.method == "ftwt_uniform":
                estimate = _same_cost_ratio(gated, sample, estimate)
            if self.method == "ftwt_static":
                gated.fix(_static_masks(gated, sample, estimate.active))
                gated.mode = "static"
                estimate = measure_cost(gated, sample)
            else:
                gated.mode = "predict"
        return gated, estimate

    def _train(
        self,
        fitted: Fitted,
        gated: GatedNetwork,
        inner: TrainingData,
        task: FitTask,
        progress: Progress,
        checkpoint_dir: Path | None,
    ) -> Fitted:
        from auditor.lab.prune.optim import GatedSteps
        from auditor.train.hooks import Hooks

        settings = self.settings
        learnt = self.method != "ftwt_static"

        def loss(share: float) -> torch.Tensor | None:
            return gated.predictor_loss() if learnt and share < settings.cooldown else None

        hooks = Hooks(
            loss=loss,
            optimiser=lambda model, recipe, batch, steps, per_epoch: GatedSteps(
                gated.backbone.parameters(),
                gated.predictors.parameters() if learnt else (),
                steps,
                batch,
                settings.rate,
                settings.predictor_rate,
                settings.decay,
                settings.milestones,
                settings.predictors_by,
            ),
        )
        method = {"ftwt": self.method, "r": gated.r, "ratio": gated.ratio, **settings.model_dump(mode="json")}
        folder = checkpoint_dir if self.store is None else self.store / "dynamic"
        name = f"{slug(self.name)}__seed{task.seed}"
        return self._trainer().fit_network(
            inner, replace(task, name=name), progress, folder, start=gated, hooks=hooks, method=method
        )

    def _trainer(self) -> ImageNetwork:
        network = self.dense.network
        scale = network.training.stages[-1].scale
        recipe = replace(network.training, stages=(Stage(scale, self.settings.epochs),), batch=self.settings.batch)
        return replace(network, training=recipe)


def _spread(rows: np.ndarray, n: int) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.int64)]


def _cost_row(cost: Cost) -> dict[str, Any]:
    return {**asdict(cost), "reduction_paper": cost.reduction_paper, "reduction_executable": cost.reduction}


def _same_cost_ratio(gated: GatedNetwork, sample: torch.Tensor, wanted: Cost) -> Cost:
    """Set the fixed share of filters whose estimated saving is that of `wanted`; the estimate with it."""
    from auditor.lab.prune.ftwt.cost import measure_cost

    mode, gated.mode = gated.mode, "truth"
    low, high = 0.0, 1.0
    for _ in range(12):
        gated.ratio = (low + high) / 2
        saved = measure_cost(gated, sample).reduction_paper
        low, high = (low, gated.ratio) if saved < wanted.reduction_paper else (gated.ratio, high)
    gated.ratio = low or high
    estimate = measure_cost(gated, sample)
    gated.mode = mode
    return estimate


def _static_masks(gated: GatedNetwork, sample: torch.Tensor, active: dict[str, float]) -> dict[str, torch.Tensor]:
    """Per layer the filters of largest mean mass on the dense network, as many as the targets keep on average."""
    import torch

    mass: dict[str, torch.Tensor] = {}
    handles = []
    for unit in gated.plan.units:

        def keep(_: Any, __: Any, output: torch.Tensor, name: str = unit.name) -> None:
            mass[name] = output.abs().amax((2, 3)).mean(0)

        handles.append(unit.end.register_forward_hook(keep))
    mode, gated.mode = gated.mode, "dense"
    with torch.no_grad():
        gated(sample)
    gated.mode = mode
    for handle in handles:
        handle.remove()
    masks = {}
    for name, values in mass.items():
        k = max(1, round(active[name] * len(values)))
        masks[name] = torch.zeros(len(values), dtype=torch.bool, device=values.device)
        masks[name][values.argsort(descending=True, stable=True)[:k]] = True
    return masks


def _mask_facts(gated: GatedNetwork, images: torch.Tensor) -> dict[str, float | None]:
    """On validation images: share of (image, filter) pairs where predictor and target agree (None without predictors),
    and share of the filters that are on for some images and off for others."""
    import torch

    right = total = 0
    seen: dict[str, list[torch.Tensor]] = {unit.name: [] for unit in gated.plan.units}
    gated.eval()
    gated.keep_targets = True
    with torch.no_grad():
        for part in images.split(256):
            gated(part)
            for name, mask in gated.record.masks.items():
                seen[name].append(torch.stack([mask.any(0), mask.all(0)]))
            for name, target in gated.record.targets.items():
                right += int((gated.record.masks[name] == target).sum())
                total += target.numel()
    gated.keep_targets = False
    varying = [torch.stack(v)[:, 0].any(0) & ~torch.stack(v)[:, 1].all(0) for v in seen.values()]
    return {
        "mask_accuracy": right / total if total else None,
        "varying_filters": float(torch.cat(varying).double().mean()),
    }
