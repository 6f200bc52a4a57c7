"""The trainer of one dynamically pruned network: dense network, rate by estimate, dynamic training, one look at the
test. And its two controls."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from auditor.core.errors import UsageError
from auditor.core.seeds import derive_seed
from auditor.lab.prune.dense import Inner, MadeNetwork, dense_for
from auditor.lab.prune.settings import FTWT_SETTINGS, FtwtSettings
from auditor.models.registry import split_variant
from auditor.train.final import FinalNetwork, slug
from auditor.train.image_network import Fitted

if TYPE_CHECKING:
    import torch

    from auditor.lab.prune.ftwt.cost import Cost
    from auditor.lab.prune.ftwt.gated import GatedNetwork

#: FTWT decoupled and joint; controls: a fixed share per layer per image, and one mask for all images.
FTWT_METHODS = ("ftwt", "ftwt_joint", "ftwt_uniform", "ftwt_static")
#: What answers where FTWT's accuracy comes from: the targets as masks and one mask for all images, both without any
#: training; one mask for all images at the MACs that FTWT achieved; and the dense network, trained as long.
FTWT_CONTROLS = ("ftwt_targets", "ftwt_static_untrained", "ftwt_static_achieved", "ftwt_dense")
#: Images on which a finished network is timed.
TIMED = 8
UNTRAINED = ("ftwt_targets", "ftwt_static_untrained")
#: Networks whose filters `auditor.lab.prune.ftwt.units` knows how to switch.
FTWT_NETWORKS = (
    *("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("resnet20", "resnet32", "resnet44", "resnet56", "mobilenet_v1"),
)


@dataclass(frozen=True)
class DynamicNetwork(MadeNetwork):
    """Trainer of a network with per-image filter masks.

    Attributes
    ----------
    dense, method, settings, store
        See `MadeNetwork`; a method of `FTWT_METHODS` or `FTWT_CONTROLS`.
    r : float or None
        Share of activation mass the targets keep.
    reduction : float or None
        In place of r: share of the MACs (paper's count) to save, from which r is found by bisection on the dense
        network before training.
    """

    settings: FtwtSettings
    r: float | None = None
    reduction: float | None = None
    trainer = "dynamic-network"

    def __post_init__(self) -> None:
        if self.method not in (known := (*FTWT_METHODS, *FTWT_CONTROLS)):
            raise UsageError(f"unknown dynamic method {self.method!r}.", f"Known: {', '.join(known)}.")
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
    def level(self) -> str:
        return f"r{self.r:g}" if self.r is not None else f"f{self.reduction:g}"

    @property
    def papers(self) -> bool:
        papers_settings = self.settings == FTWT_SETTINGS["paper"]
        return self.method in ("ftwt", "ftwt_joint") and self.dense.papers and papers_settings

    @property
    def fixed(self) -> bool:
        """Whether no seed changes it: nothing is trained."""
        return self.dense.fixed and self.method in UNTRAINED

    def amount(self) -> dict[str, Any]:
        return {"r": self.r, "reduction": self.reduction}

    def make(self, fitted: Fitted, inner: Inner) -> tuple[Fitted, dict[str, Any]]:
        """Estimate on the dense network, then train dynamically."""
        from auditor.lab.prune.ftwt.cost import measure_cost
        from auditor.lab.prune.ftwt.gathered import time_network

        sample = self.images(fitted, inner.task.train, self.settings.sample)
        equal = self._achieved(fitted, inner, sample) if self.method == "ftwt_static_achieved" else None
        gated, estimate = self._gated(fitted, sample, inner.task.seed, equal)
        again = self.as_it_is(gated, fitted, inner) if self.method in UNTRAINED else self._train(gated, inner, sample)
        validation = self.images(again, inner.task.predict)
        achieved = measure_cost(gated, validation)
        return again, {
            "r": gated.r,
            "ratio": gated.ratio,
            "estimated_before": _cost_row(estimate),
            "achieved": _cost_row(achieved),
            **_mask_facts(gated, validation),
            # Targets are known when every filter has been computed: nothing is gathered by them.
            "whole_network": None if gated.mode == "truth" else time_network(gated, validation[:TIMED]),
            "macs_dense": achieved.dense,
            "flops_paper": achieved.flops_paper,
            "macs_executable": achieved.macs_executable,
        }

    def _achieved(self, fitted: Fitted, inner: Inner, sample: torch.Tensor) -> Cost:
        """What FTWT costs after its training with the same seed, which a store shares."""
        from auditor.lab.prune.ftwt.cost import measure_cost

        ftwt = replace(self, method="ftwt")
        gated, _ = ftwt._gated(replace(fitted, model=copy.deepcopy(fitted.model)), sample, inner.task.seed)
        ftwt._train(gated, inner, sample)
        return measure_cost(gated, sample)

    def _gated(
        self, fitted: Fitted, sample: torch.Tensor, seed: int, equal: Cost | None = None
    ) -> tuple[GatedNetwork, Cost]:
        """The network with untrained predictors, and its cost estimated from targets on the dense network; one mask for
        all images costs as much as `equal`, where that is given."""
        import torch

        from auditor.lab.prune.ftwt.cost import bisect_share, measure_cost
        from auditor.lab.prune.ftwt.gated import GatedNetwork
        from auditor.train.device import torch_threads

        with torch_threads(self.threads), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "predictors"))
            coupling = "joint" if self.method == "ftwt_joint" else "decoupled"
            gated = GatedNetwork(fitted.model, self.r or 1.0, coupling, self.settings.pool)  # type: ignore[arg-type]
            gated.to(sample.device).eval()
            if self.reduction is not None:
                estimate = bisect_share(gated, sample, "r", self.reduction)
            else:
                gated.mode = "truth"
                estimate = measure_cost(gated, sample)
            if self.method == "ftwt_uniform":
                estimate = bisect_share(gated, sample, "ratio", estimate.reduction_paper, steps=12)
            if self._one_mask:
                gated.mode = "static"  # with all filters on, for `ftwt_dense`
                if equal is not None:
                    _fix_at(gated, sample, equal)
                elif self.method != "ftwt_dense":
                    gated.fix(_static_masks(_masses(gated, sample), estimate.active))
                estimate = measure_cost(gated, sample)
            else:
                gated.mode = "truth" if self.method == "ftwt_targets" else "predict"
        return gated, estimate

    @property
    def _one_mask(self) -> bool:
        """Whether all images have the same mask."""
        return self.method.startswith("ftwt_static") or self.method == "ftwt_dense"

    def _train(self, gated: GatedNetwork, inner: Inner, sample: torch.Tensor) -> Fitted:
        from auditor.lab.prune.optim import GatedSteps
        from auditor.train.device import torch_threads
        from auditor.train.hooks import Hooks

        settings = self.settings
        # Jointly, the backbone has to learn with the predictors.
        alone = settings.first is not None and not self._one_mask and self.method != "ftwt_joint"
        learnt = not self._one_mask and not alone
        if alone:
            self._train_predictors(gated, inner)
            with torch_threads(self.threads):
                gated.calibrate(sample)

        def loss(share: float) -> torch.Tensor | None:
            return gated.predictor_loss() if learnt and share < settings.cooldown else None

        hooks = Hooks(
            loss=loss,
            optimiser=lambda model, recipe, batch, steps, per_epoch: GatedSteps(
                gated.backbone.parameters(), gated.predictors.parameters() if learnt else (), steps, batch, settings
            ),
        )
        return self.train_on(gated, inner, slug(self.name), "dynamic", hooks, self._described(gated))

    def _described(self, gated: GatedNetwork) -> dict[str, Any]:
        """For the key of a checkpoint."""
        settings = self.settings.model_dump(mode="json", exclude_none=True)
        return {"ftwt": self.method, "r": gated.r, "ratio": gated.ratio, **settings}

    def _train_predictors(self, gated: GatedNetwork, inner: Inner) -> None:
        """Teach the predictors on the backbone as it is."""
        from auditor.lab.prune.optim import PredictorSteps
        from auditor.train.hooks import Hooks

        own, settings = list(gated.predictors.parameters()), self.settings
        hooks = Hooks(
            loss=lambda share: gated.predictor_loss(),
            optimiser=lambda model, recipe, batch, steps, per_epoch: PredictorSteps(own, batch, settings),
        )
        name = f"{slug(self.name)}-predictors"
        gated.freeze(True)
        self.train_on(gated, inner, name, "dynamic", hooks, self._described(gated), epochs=settings.first)
        gated.freeze(False)


def whole_network(details: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Mean times of `time_network` over the fits of one network; None where nothing was gathered."""
    timed = [d["whole_network"] for d in details if d.get("whole_network")]
    return {key: sum(t[key] for t in timed) / len(timed) for key in timed[0]} if timed else None


def _cost_row(cost: Cost) -> dict[str, Any]:
    return {**asdict(cost), "reduction_paper": cost.reduction_paper, "reduction_executable": cost.reduction}


def _masses(gated: GatedNetwork, sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean mass of each filter on the dense network: per layer (1, channels, 1, 1)."""
    import torch

    mode, gated.mode = gated.mode, "dense"
    with torch.no_grad():
        gated(sample)
    gated.mode = mode
    return {name: values.mean(0)[None, :, None, None] for name, values in gated.record.mass.items()}


def _static_masks(masses: dict[str, torch.Tensor], active: dict[str, float]) -> dict[str, torch.Tensor]:
    """Per layer the filters of largest mass, the share `active` of them."""
    from auditor.lab.prune.ftwt.targets import top_share

    return {name: top_share(values, active[name])[0] for name, values in masses.items()}


def _fix_at(gated: GatedNetwork, sample: torch.Tensor, equal: Cost, halvings: int = 20) -> None:
    """Fix one mask for all images that costs at most the executable MACs of `equal`, its predictors included: with the
    shares of its layers, all times the largest factor."""
    from auditor.lab.prune.ftwt.cost import measure_cost

    masses = _masses(gated, sample)
    low, high = 0.0, 1 / max(1e-9, min(equal.active.values()))

    def fix(factor: float) -> float:
        gated.fix(_static_masks(masses, {name: min(1.0, factor * share) for name, share in equal.active.items()}))
        return measure_cost(gated, sample[:1]).macs_executable  # the same for every image

    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if fix(middle) <= equal.macs_executable else (low, middle)
    fix(low)


def _mask_facts(gated: GatedNetwork, images: torch.Tensor) -> dict[str, float | None]:
    """On validation images: share of (image, filter) pairs where predictor and target agree (None without predictors),
    the same of the best mask that is one for all images (chosen with these images: none can have more), and share of
    the filters that are on for some images and off for others."""
    import torch

    right = total = 0
    wanted: dict[str, torch.Tensor] = {}
    seen: dict[str, list[torch.Tensor]] = {unit.name: [] for unit in gated.plan.units}
    gated.eval()
    gated.keep_targets = True
    with torch.no_grad():
        for part in images.split(256):
            gated(part)
            for name, mask in gated.record.masks.items():
                seen[name].append(mask)
            for name, target in gated.record.targets.items():
                right += int((gated.record.masks[name] == target).sum())
                total += target.numel()
                on = target.sum(0)
                wanted[name] = wanted[name] + on if name in wanted else on
    gated.keep_targets = False
    n = len(images)
    constant = sum(int(torch.maximum(on, n - on).sum()) for on in wanted.values())
    varying = [(masks := torch.cat(parts)).any(0) & ~masks.all(0) for parts in seen.values()]
    return {
        "mask_accuracy": right / total if total else None,
        "constant_mask_accuracy": constant / total if total else None,
        "varying_filters": float(torch.cat(varying).double().mean()),
    }
