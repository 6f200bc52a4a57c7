"""A network whose filters are switched off per image by small predictors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.errors import UsageError
from auditor.lab.prune.ftwt.targets import mass_targets, top_share
from auditor.lab.prune.ftwt.units import Plan, plan_of

#: Where masks come from. ``predict``: the predictors. ``truth``: the targets of the activations themselves, which are
#: known only when all filters are computed: an estimate and a control, never a saving. ``dense``: nothing is masked.
#: ``static``: one mask for all images.
Mode = Literal["predict", "truth", "dense", "static"]
Training = Literal["decoupled", "joint"]


@dataclass
class Record:
    """What the last forward pass decided; all tensors have a row per image. `mass` is that of ``dense`` mode."""

    mass: dict[str, torch.Tensor] = field(default_factory=dict)
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    targets: dict[str, torch.Tensor] = field(default_factory=dict)
    logits: dict[str, torch.Tensor] = field(default_factory=dict)


def switched_on(logits: torch.Tensor) -> torch.Tensor:
    """Masks, bool (b, c), of a predictor's logits: sigmoid above 0.5, and the largest where none is."""
    mask = logits > 0
    largest = torch.arange(mask.shape[1], device=mask.device) == logits.argmax(1, keepdim=True)
    return mask | (largest & ~mask.any(1, keepdim=True))


class GatedNetwork(nn.Module):
    """A backbone with one predictor per gated convolution.

    The mask of a convolution with input I and output O = act(BN(conv(I))) is ``1[sigmoid(P) > 0.5]`` with
    ``P = Linear(softmax(pool(I)))``; the network goes on with O x mask. Where that leaves an image no filter at all,
    the one of largest P stays on, as in the targets: a layer that is off answers the same for every image. No gradient
    flows through the mask, so the task's loss never reaches a predictor.

    Parameters
    ----------
    backbone : nn.Module
        Of a family `plan_of` knows; hooks are put on it.
    r : float
        Share of the activation mass the targets keep, in (0, 1].
    training : "decoupled" or "joint"
        Whether the predictors' loss stops at their input or also moves the backbone.
    pool : "max" or "mean"
        Global pooling in front of the predictors.
    ratio : float, optional
        Targets of a fixed share of the filters per layer in place of the mass rule (the uniform control).
    """

    def __init__(
        self,
        backbone: nn.Module,
        r: float,
        training: Training = "decoupled",
        pool: Literal["max", "mean"] = "max",
        ratio: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 < r <= 1 or (ratio is not None and not 0 < ratio <= 1):
            raise UsageError(f"r and the ratio lie in (0, 1], not {r} and {ratio}.")
        self.backbone = backbone
        self.plan: Plan = plan_of(backbone)
        self.r, self.ratio, self.coupling, self.pool = r, ratio, training, pool
        self.mode: Mode = "predict"
        self.min_size = getattr(backbone, "min_size", 1)
        self.predictors = nn.ModuleList(nn.Linear(u.conv.in_channels, u.conv.out_channels) for u in self.plan.units)
        for predictor in self.predictors:
            # Logits start at the bias: everything is on until a predictor has learnt otherwise.
            nn.init.normal_(predictor.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.ones_(predictor.bias)  # type: ignore[arg-type]
        for i, unit in enumerate(self.plan.units):
            self.register_buffer(f"fixed_{i}", torch.ones(unit.conv.out_channels, dtype=torch.bool))
            # No closures: a copy of the network copies these, and then they are the copy's.
            unit.conv.register_forward_pre_hook(partial(self._before, i))
            unit.end.register_forward_hook(partial(self._after, i))
        self.record = Record()

    def __getstate__(self) -> dict[str, Any]:
        """For a copy: without the plan, whose functions would go on with the original's layers."""
        return {name: value for name, value in vars(self).items() if name != "plan"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.plan = plan_of(self.backbone)

    def _before(self, i: int, _: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if self.mode == "predict" and not self.bare:
            self.record.logits[self.plan.units[i].name] = self.predict_logits(i, inputs[0])

    def predict_logits(self, i: int, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, c_out) of predictor `i` for the input (b, c_in, h, w) of its convolution."""
        x = x.detach() if self.coupling == "decoupled" else x
        pooled = x.amax((2, 3)) if self.pool == "max" else x.mean((2, 3))
        return self.predictors[i](pooled.float().softmax(1))

    def targets_of(self, activation: torch.Tensor) -> torch.Tensor:
        """Targets (b, c) of an unmasked output."""
        if self.ratio is not None:
            return top_share(activation, self.ratio)
        return mass_targets(activation, self.r)

    def _after(self, i: int, _: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        if self.bare:
            return output
        record, name = self.record, self.plan.units[i].name
        if self.mode == "dense":
            record.mass[name] = output.detach().abs().amax((2, 3))
            record.masks[name] = torch.ones(output.shape[:2], dtype=torch.bool, device=output.device)
            return output
        if self.mode == "static":
            mask = self.fixed_mask(i)[None].expand(output.shape[:2])
        elif self.mode == "truth":
            mask = self.targets_of(output)
        else:
            with torch.no_grad():
                mask = switched_on(record.logits[name])
            if self.training or self.keep_targets:
                record.targets[name] = self.targets_of(output)
        record.masks[name] = mask
        return output * mask[:, :, None, None].to(output.dtype)

    #: Whether the layers themselves leave out what is masked, or nothing is (`auditor.lab.prune.ftwt.gathered`).
    bare = False
    #: Whether targets are recorded in evaluation too, to measure how often the predictors are right.
    keep_targets = False
    #: Whether the backbone stays in evaluation mode in training: its BatchNorm then keeps its statistics.
    frozen = False

    def train(self, mode: bool = True) -> GatedNetwork:
        """As of any module, but for a `frozen` backbone."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def freeze(self, frozen: bool) -> None:
        """Let the backbone learn or not."""
        self.frozen = frozen
        self.backbone.requires_grad_(not frozen)

    @torch.no_grad()
    def calibrate(self, images: torch.Tensor, batch: int = 256) -> None:
        """Set the predictors' thresholds, by their biases, so that on `images` each keeps as many filters as its
        targets do: layer by layer, behind the masks of those before."""
        self.eval()
        self.keep_targets = True
        for predictor, unit in zip(self.predictors, self.plan.units, strict=True):
            logits, wanted = [], 0
            for part in images.split(batch):
                self(part)
                logits.append(self.record.logits[unit.name].flatten())
                wanted += int(self.record.targets[unit.name].sum())
            ordered = torch.cat(logits).sort(descending=True).values
            beyond = ordered[wanted] if wanted < len(ordered) else ordered[-1] - 1
            predictor.bias -= (ordered[max(0, wanted - 1)] + beyond) / 2  # type: ignore[operator]
        self.keep_targets = False

    def wrapping(self) -> tuple[str, dict[str, Any]]:
        """How `gated` makes it of its backbone, for the file it is kept in."""
        about = {"r": self.r, "ratio": self.ratio, "training": self.coupling, "pool": self.pool, "mode": self.mode}
        return "gated", about

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes); `record` then holds this pass's masks."""
        self.record = Record()
        return self.backbone(images)

    def predictor_loss(self) -> torch.Tensor:
        """``(1 / layers) sum_l sum_c mean_b BCE(P, target)`` of the last forward pass in training mode."""
        logits, targets = self.record.logits, self.record.targets
        pairs = [(logits[unit.name].float(), targets[unit.name].float()) for unit in self.plan.units]
        losses = [F.binary_cross_entropy_with_logits(*pair, reduction="none").mean(0).sum() for pair in pairs]
        return torch.stack(losses).mean()

    def fixed_mask(self, i: int) -> torch.Tensor:
        """The mask of ``static`` mode of unit `i`, bool (channels,)."""
        return getattr(self, f"fixed_{i}")

    def fix(self, masks: dict[str, torch.Tensor]) -> None:
        """Set the masks of ``static`` mode, bool (channels,) per unit."""
        for i, unit in enumerate(self.plan.units):
            self.fixed_mask(i).copy_(masks[unit.name])


def gated(network: nn.Module, *, mode: Mode = "predict", **options: Any) -> GatedNetwork:
    """`network` with predictors, as a file of `GatedNetwork.wrapping` says it."""
    if mode not in ("predict", "static", "truth"):
        raise UsageError(f"a kept network has masks that are predicted, fixed or its targets, not of mode {mode!r}.")
    made = GatedNetwork(network, **options)
    made.mode = mode
    return made
