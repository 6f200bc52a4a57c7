"""Recipes of the image network: every constant that can change a result, by budget."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from auditor.core.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs at one resolution.

    Attributes
    ----------
    scale : float
        Training resolution as a share of the images' own, in (0, 1].
    epochs : int
    """

    scale: float
    epochs: int


@dataclass(frozen=True)
class View:
    """One look at an image in prediction.

    Attributes
    ----------
    shift : int
        Pixels down and right.
    weight : float
        The weights of all views sum to 1.
    """

    shift: int
    weight: float


#: Fields that recipes did not have when the first fits were stored.
_LATER = ("average_mirrored", "schedule", "clip", "cutout", "auxiliary", "final_keep")


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes
    ----------
    stages : tuple of Stage
        Progressive resizing: small images first (a 16 px epoch costs a quarter of a 32 px one), the resolution
        of prediction last.
    batch : int
        Images per step; lowered for small training sets.
    optimiser : str
        ``"orthogonal"``: orthogonalised momentum for convolutions, Nesterov SGD for the rest (fastnet).
        ``"sgd"``: Nesterov SGD for everything (resnet, vgg). ``"adam"``: Adam for everything (cifake_cnn).
    filter_rate, bias_rate, head_rate : float
        Peak learning rates; all fall linearly to 0. With ``"sgd"`` and ``"adam"`` only `filter_rate` is read, as the
        rate for a loss averaged over the batch.
    momentum, weight_decay : float
        ``"orthogonal"``: momentum of the SGD part, decay of a group = weight_decay x batch / rate.
        ``"sgd"``: both as usual. ``"adam"``: the decay as usual; its two momenta are 0.9 and 0.999.
    warmup : float
        Share of the steps during which the rates rise linearly from 0.
    input_bias_epochs : float
        The whitening layer's bias is trained over this many first epochs.
    label_smoothing : float
    mirror : bool
        Mirror training images in alternating epochs, and average image and mirror image in prediction (but see
        `average_mirrored`). Switch it off where left and right matter (digits, text).
    view_shift : int
        Prediction averages the image itself (half the weight) and two copies shifted by this many pixels along
        the diagonal (a quarter each), as airbench's six views do together with `mirror`; 0 for the image alone.
    crop : int
        Reflect-pad by this many pixels (at 32 px; scaled with the image) and crop at random.
    min_images : int
        Training shows at least this many images in total: on a small set the stages' epochs are multiplied.
    heldout_from : float
        Held-out dynamics are recorded for epochs from this share of the training on. On a CPU each such pass
        costs time, and detectors use the last third only; 0 records every epoch, 1 only the last.
    seeds : int
        Networks averaged where a whole split is predicted from another one.
    widths : tuple of int or None
        Option of ``fastnet``.
    average_mirrored : bool
        Prediction averages image and mirror image where `mirror` is set. Off: the image alone, as published
        accuracies are.
    schedule : str
        ``"linear"``: see `warmup`. ``"cosine"``: rates fall to 0 along half a cosine, without a warm-up; with ``"sgd"``
        alone.
    clip : float
        Largest norm of the whole gradient of the mean loss, with ``"cosine"``; 0 for none.
    cutout : int
        Side (at 32 px; scaled with the image) of a square around a random pixel that is set to the mean in every
        training image; 0 for none.
    auxiliary : float
        Weight of the loss of the network's auxiliary head, which is in training only; 0 for none.
    final_keep : float
        ScheduledDropPath: the probability that an operation of the network's last cell is kept, at the end of the
        training; 1 for none.
    """

    stages: tuple[Stage, ...]
    batch: int
    optimiser: Literal["orthogonal", "sgd", "adam"] = "orthogonal"
    filter_rate: float = 0.24
    bias_rate: float = 0.053
    head_rate: float = 0.67
    momentum: float = 0.85
    weight_decay: float = 2e-6
    warmup: float = 0.0
    input_bias_epochs: float = 3.0
    label_smoothing: float = 0.2
    mirror: bool = True
    view_shift: int = 0
    crop: int = 2
    min_images: int = 0
    heldout_from: float = 2 / 3
    seeds: int = 2
    widths: tuple[int, ...] | None = None
    average_mirrored: bool = True
    schedule: Literal["linear", "cosine"] = "linear"
    clip: float = 0.0
    cutout: int = 0
    auxiliary: float = 0.0
    final_keep: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "stages must hold epochs at scales in (0, 1]": bool(self.stages)
            and all(stage.epochs >= 1 and 0 < stage.scale <= 1 for stage in self.stages),
            "batch must be at least 1": self.batch >= 1,
            "optimiser must be 'orthogonal', 'sgd' or 'adam'": self.optimiser in ("orthogonal", "sgd", "adam"),
            "label_smoothing must be in [0, 1)": 0 <= self.label_smoothing < 1,
            "warmup and heldout_from must be in [0, 1]": 0 <= self.warmup <= 1 and 0 <= self.heldout_from <= 1,
            "crop and view_shift must not be negative": self.crop >= 0 and self.view_shift >= 0,
            "seeds must be at least 1": self.seeds >= 1,
            "schedule must be 'linear' or 'cosine'": self.schedule in ("linear", "cosine"),
            "a cosine takes the optimiser 'sgd'": self.schedule == "linear" or self.optimiser == "sgd",
            "clip takes a cosine": self.clip == 0 or (self.clip > 0 and self.schedule == "cosine"),
            "cutout and auxiliary must not be negative": self.cutout >= 0 and self.auxiliary >= 0,
            "final_keep must be in (0, 1]": 0 < self.final_keep <= 1,
        }
        wrong = [rule for rule, holds in rules.items() if not holds]
        if wrong:
            raise ConfigError(f"training recipe: {'; '.join(wrong)}.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for hashes and manifests; the newer fields only where they differ from what all recipes did
        before them."""
        usual = {f.name: f.default for f in fields(self) if f.name in _LATER}
        return {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}

    @property
    def mirrored_views(self) -> bool:
        """Whether prediction averages image and mirror image."""
        return self.mirror and self.average_mirrored

    def views(self) -> tuple[View, ...]:
        """What prediction looks at, each also mirrored where `mirror` is set."""
        if self.view_shift == 0:
            return (View(0, 1.0),)
        return View(0, 0.5), View(self.view_shift, 0.25), View(-self.view_shift, 0.25)

    def model_options(self) -> dict[str, Any]:
        """Options for `auditor.models.registry.build_model`."""
        options: dict[str, Any] = {} if self.widths is None else {"widths": self.widths}
        if self.auxiliary:
            options["auxiliary"] = True
        return options if self.final_keep == 1 else {**options, "final_keep": self.final_keep}

    def epoch_scales(self, n_train: int) -> list[float]:
        """Scale of each epoch for a training set of `n_train` items."""
        epochs = sum(stage.epochs for stage in self.stages)
        times = max(1, math.ceil(self.min_images / (n_train * epochs)))
        return [stage.scale for stage in self.stages for _ in range(stage.epochs * times)]

    def batch_for(self, n_train: int) -> int:
        """Batch size: at least eight steps per epoch, so that a small set is not one step."""
        return max(1, min(self.batch, max(16, n_train // 8), n_train))


#: CPU threads of one fit, where it is not one. `quick` trains one network, so both of two cores work on it.
THREADS = {"quick": 2}
#: What the benchmarks' networks and the audits' share for networks with scaled BatchNorm; rates for a mean loss.
SGD: dict[str, Any] = {
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "warmup": 0.15,
    "label_smoothing": 0.1,
    "seeds": 1,
}
_QUICK: dict[str, Any] = {"min_images": 40_000}
_STANDARD: dict[str, Any] = {"min_images": 120_000}
_GPU: dict[str, Any] = {"min_images": 400_000, "heldout_from": 0.0}


def _stages(*stages: tuple[float, int]) -> tuple[Stage, ...]:
    return tuple(Stage(scale, epochs) for scale, epochs in stages)


#: Recipes of fastnet by budget.
BUDGETS: dict[str, Recipe] = {
    "smoke": Recipe(_stages((0.5, 1)), 100, widths=(8, 16, 16), label_smoothing=0.1, seeds=1),
    "quick": Recipe(_stages((0.5, 2), (0.75, 1)), 500, widths=(32, 128, 128), seeds=1, **_QUICK),
    "standard": Recipe(_stages((0.5, 8), (0.75, 8), (1.0, 4)), 500, widths=(32, 128, 128), view_shift=1, **_STANDARD),
    # In the style of airbench94, with twice its epochs because our prediction averages two views instead of six.
    # Not measured yet: it waits for a GPU.
    "gpu": Recipe(_stages((1.0, 16)), 2000, widths=(64, 256, 256), **_GPU),
}
_SGD = {
    "smoke": Recipe(_stages((0.5, 1)), 64, filter_rate=0.05, **{**SGD, "warmup": 0.1}),
    "quick": Recipe(_stages((0.5, 2), (1.0, 1)), 128, filter_rate=0.1, **SGD, **_QUICK),
    "standard": Recipe(_stages((0.5, 6), (1.0, 4)), 128, filter_rate=0.1, crop=4, **SGD, **_STANDARD),
    "gpu": Recipe(_stages((1.0, 30)), 512, filter_rate=0.2, crop=4, **SGD, **_GPU),
}
#: Same budgets for the networks of CIFAKE: Adam at 1e-3, images as they are, one look in prediction.
_ADAM = {
    budget: Recipe(
        _stages((1.0, epochs)),
        128,
        "adam",
        filter_rate=1e-3,
        weight_decay=0.0,
        label_smoothing=0.0,
        mirror=False,
        crop=0,
        seeds=1,
        heldout_from=0.0 if budget == "gpu" else 2 / 3,
    )
    for budget, epochs in (("smoke", 1), ("quick", 3), ("standard", 10), ("gpu", 15))
}
#: Same budgets for a module of the caller, whose size and data nobody knows: more epochs on small sets.
_OWN = {
    "smoke": _ADAM["smoke"],
    "quick": replace(_ADAM["quick"], filter_rate=3e-3, min_images=3_000),
    "standard": replace(_ADAM["standard"], filter_rate=3e-3, min_images=10_000),
}


def recipe_for(budget: str, network: str = "fastnet") -> Recipe:
    """The recipe of a budget for a network; ``"own"`` for a module of the caller.

    Raises
    ------
    UnknownNameError
        For an unknown budget.
    """
    base = network.partition(":")[0]
    table = {"fastnet": BUDGETS, "cifake_cnn": _ADAM, "own": _OWN}.get(base, _SGD)
    if budget not in table:
        raise UnknownNameError("budget", budget, list(table))
    return table[budget]
