"""The trainer of one dynamically pruned network: dense network, rate by estimate, dynamic training, one look at the
test. And its two controls."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
        See `MadeNetwork`; a method of `FTWT_METHODS`.
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
    def level(self) -> str:
        return f"r{self.r:g}" if self.r is not None else f"f{self.reduction:g}"

    @property
    def papers(self) -> bool:
        papers_settings = self.settings == FTWT_SETTINGS["paper"]
        return self.method in ("ftwt", "ftwt_joint") and self.dense.papers and papers_settings

    def amount(self) -> dict[str, Any]:
        return {"r": self.r, "reduction": self.reduction}

    def make(self, fitted: Fitted, inner: Inner) -> tuple[Fitted, dict[str, Any]]:
        """Estimate on the dense network, then train dynamically."""
        from auditor.lab.prune.ftwt.cost import measure_cost

        sample = self.images(fitted, inner.task.train, self.settings.sample)
        gated, estimate = self._gated(fitted, sample, inner.task.seed)
        again = self._train(gated, inner)
        validation = self.images(again, inner.task.predict)
        achieved = measure_cost(gated, validation)
        return again, {
            "r": gated.r,
            "ratio": gated.ratio,
            "estimated_before": _cost_row(estimate),
            "achieved": _cost_row(achieved),
            **_mask_facts(gated, validation),
            "macs_dense": achieved.dense,
            "flops_paper": achieved.flops_paper,
            "macs_executable": achieved.macs_executable,
        }

    def _gated(self, fitted: Fitted, sample: torch.Tensor, seed: int) -> tuple[GatedNetwork, Cost]:
        """The network with untrained predictors, and its cost estimated from targets on the dense network."""
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
            if self.method == "ftwt_static":
                gated.fix(_static_masks(gated, sample, estimate.active))
                gated.mode = "static"
                estimate = measure_cost(gated, sample)
            else:
                gated.mode = "predict"
        return gated, estimate

    def _train(self, gated: GatedNetwork, inner: Inner) -> Fitted:
        from auditor.lab.prune.optim import GatedSteps
        from auditor.train.hooks import Hooks

        settings = self.settings
        learnt = self.method != "ftwt_static"

        def loss(share: float) -> torch.Tensor | None:
            return gated.predictor_loss() if learnt and share < settings.cooldown else None

        hooks = Hooks(
            loss=loss,
            optimiser=lambda model, recipe, batch, steps, per_epoch: GatedSteps(
                gated.backbone.parameters(), gated.predictors.parameters() if learnt else (), steps, batch, settings
            ),
        )
        method = {"ftwt": self.method, "r": gated.r, "ratio": gated.ratio, **settings.model_dump(mode="json")}
        return self.train_on(gated, inner, slug(self.name), "dynamic", hooks, method)


def _cost_row(cost: Cost) -> dict[str, Any]:
    return {**asdict(cost), "reduction_paper": cost.reduction_paper, "reduction_executable": cost.reduction}


def _static_masks(gated: GatedNetwork, sample: torch.Tensor, active: dict[str, float]) -> dict[str, torch.Tensor]:
    """Per layer the filters of largest mean mass on the dense network, as many as the targets keep on average."""
    import torch

    from auditor.lab.prune.ftwt.targets import top_share

    mode, gated.mode = gated.mode, "dense"
    with torch.no_grad():
        gated(sample)
    gated.mode = mode
    mass = {name: values.mean(0)[None, :, None, None] for name, values in gated.record.mass.items()}
    return {name: top_share(values, active[name])[0] for name, values in mass.items()}


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
