"""Every constant of a pruning run that can change its result, by budget class."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.core.errors import UsageError
from auditor.train.budget import BudgetClass


class RdSettings(BaseModel):
    """Layer-adaptive weight pruning; all methods fine-tune alike.

    Attributes
    ----------
    rates : int
        Points of a distortion curve, rate 0 and 1 included.
    grid : str
        What the rates are shares of: ``all`` weights of a layer (official code) or those it has ``left``.
    calibration : int
        Training images distortion is measured on, spread evenly, not augmented.
    step : float
        Share of the weights one iteration removes; the last one goes to the target.
    epochs : int
        Fine-tuning after each iteration.
    rate : float
        Of AdamW, constant.
    batch : int
    steps : int or None
        Steps of fine-tuning after each iteration, on images drawn anew for each, in place of epochs; 0: none.
    measure : str
        ``mean`` or ``worst`` over the calibration images; the official runs take the worst, the paper's sum of
        distortions is argued for the mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rates: int = Field(ge=5)
    calibration: int = Field(ge=1)
    step: float = Field(gt=0, lt=1)
    epochs: int = Field(ge=1)
    rate: float = Field(gt=0)
    batch: int = Field(ge=1)
    steps: int | None = Field(default=None, ge=0)
    measure: Literal["mean", "worst"] = "mean"
    grid: Literal["all", "left"] = "left"


#: ``paper``: see `rd_settings`. The sum of distortions stands for the joint one to about a quarter up to a step of
#: 0.2, and no longer at 0.5: `cpu` and `smoke` buy their few iterations with that (``--step`` sets it).
RD_SETTINGS: dict[BudgetClass, RdSettings] = {
    "smoke": RdSettings(rates=11, calibration=16, step=0.6, epochs=1, rate=1e-3, batch=32),
    "cpu": RdSettings(rates=21, calibration=64, step=0.5, epochs=1, rate=1e-3, batch=128),
    "hour": RdSettings(rates=21, calibration=64, step=0.2, epochs=1, rate=1e-3, batch=100),
    "gpu10": RdSettings(rates=21, calibration=1024, step=0.2, epochs=2, rate=3e-4, batch=512),
    "paper": RdSettings(
        rates=101, calibration=1024, step=0.2, epochs=178, rate=3e-4, batch=100, measure="worst", grid="all"
    ),
}
#: The networks of RD's tables on CIFAR-10. Steps of 100 images of the official code: dense training, and fine-tuning
#: per iteration; only the dense training of the ResNet falls along a cosine.
PAPER_STEPS = {"resnet32:conv": (50_000, 80_000), "vgg16_bn": (20_000, 40_000), "densenet121": (80_000, 60_000)}
CONSTANT_RATE = ("vgg16_bn", "densenet121")
#: Steps per epoch on the 45,000 training images that are not validation.
PAPER_EPOCH = 450


#: Below this many steps a batch would be made smaller, so that an epoch is not one step (`Recipe.batch_for`).
FEWEST_STEPS = 8


def rd_settings(
    budget: BudgetClass,
    network: str,
    step: float | None = None,
    measure: Literal["mean", "worst"] | None = None,
    steps: int | None = None,
) -> RdSettings:
    """Settings of a budget class; at ``paper`` the fine-tuning of this network, or that of ResNet-32. `step`,
    `measure` and `steps` replace those of the class.

    Raises
    ------
    UsageError
        For a step outside (0, 1), or fewer than `FEWEST_STEPS` steps of fine-tuning that are not 0.
    """
    if steps is not None and steps and steps < FEWEST_STEPS:
        raise UsageError(f"an iteration is fine-tuned for 0 or for at least {FEWEST_STEPS} steps, not for {steps}.")
    if step is not None and not 0 < step < 1:
        raise UsageError(f"the share of the weights that one iteration removes lies between 0 and 1, not {step:g}.")
    settings = RD_SETTINGS[budget]
    changes: dict[str, Any] = {"step": step, "measure": measure, "steps": steps}
    if budget == "paper":
        _, steps = PAPER_STEPS.get(network, PAPER_STEPS["resnet32:conv"])
        changes["epochs"] = -(-steps // PAPER_EPOCH)
    return settings.model_copy(update={name: value for name, value in changes.items() if value is not None})


class DenseSchedule(BaseModel):
    """Dense training of a pruning paper.

    Attributes
    ----------
    epochs, batch : int
    optimiser : str
        ``adamw``: with a cosine to 0, ``adamw-constant``: at one rate (RD); ``sgd``: momentum 0.9, a tenth of the rate
        after each milestone (FTWT).
    rate, decay : float
    milestones : tuple of float
        Shares of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=200, ge=1)
    batch: int = Field(default=128, ge=1)
    optimiser: Literal["adamw", "adamw-constant", "sgd"] = "sgd"
    rate: float = Field(default=0.1, gt=0)
    decay: float = Field(default=5e-4, ge=0)
    milestones: tuple[float, ...] = (81 / 200, 122 / 200, 151 / 200)


#: The networks of FTWT's table on CIFAR-10.
FTWT_PAPER = ("vgg16_bn", "resnet56:average", "mobilenet_v1")


def paper_schedule(network: str, dynamic: bool) -> DenseSchedule:
    """FTWT's schedule (the defaults) if `dynamic`, else RD's for this network, or for ResNet-32."""
    if dynamic:
        return DenseSchedule()
    steps, _ = PAPER_STEPS.get(network, PAPER_STEPS["resnet32:conv"])
    optimiser: Literal["adamw", "adamw-constant"] = "adamw-constant" if network in CONSTANT_RATE else "adamw"
    # 0.01 is the decay AdamW has without being told.
    return DenseSchedule(
        epochs=-(-steps // PAPER_EPOCH), batch=100, optimiser=optimiser, rate=3e-4, decay=0.01, milestones=()
    )


#: A target that lies this share of an iteration beyond ``1 - (1 - step)^t`` is that sparsity, rounded (98.85 % are
#: twenty iterations of 20 %), and no further iteration.
ROUNDING = 0.05


def sparsity_path(target: float, step: float) -> list[float]:
    """Sparsities of the iterations: ``1 - (1 - step)^t``, as many as it takes to reach `target`, the last one at
    `target` itself. No iteration removes more than the share `step` of what is left (up to `ROUNDING`)."""
    iterations = max(1, math.ceil(math.log(1 - target) / math.log(1 - step) - ROUNDING))
    return [*(1 - (1 - step) ** t for t in range(1, iterations)), target]


class FtwtSettings(BaseModel):
    """Per-image filter pruning.

    Attributes
    ----------
    epochs : int
        Of dynamic training, from the dense network.
    rate, predictor_rate, decay : float
    predictors_by : str
        Optimiser of the predictors.
    milestones : tuple of float
        Shares of the training.
    cooldown : float
        Share of the training after which the predictors' loss has weight 0.
    batch : int
    pool : str
        Global ``max`` pooling (paper) or ``mean`` (official code) in front of a predictor.
    sample : int
        Training images on which MACs are estimated before training.
    first : int or None
        Epochs in which the predictors learn alone, on the backbone as it is; then their thresholds are set on `sample`
        training images, and the backbone is trained with them as they are. None: all learn together, as in the paper.
    schedule : str or None
        ``linear``: the backbone's rate falls to 0 in place of the milestones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    rate: float = Field(default=1e-2, gt=0)
    predictor_rate: float = Field(default=0.3, gt=0)
    predictors_by: Literal["sgd", "adam"] = "adam"
    decay: float = Field(default=5e-4, ge=0)
    milestones: tuple[float, ...] = (81 / 200, 122 / 200, 151 / 200)
    cooldown: float = Field(default=0.5, gt=0, le=1)
    batch: int = Field(default=128, ge=1)
    pool: Literal["max", "mean"] = "max"
    sample: int = Field(default=512, ge=1)
    first: int | None = Field(default=None, ge=1)
    schedule: Literal["linear"] | None = None


#: A predictor reads a softmax over channels: entries near 1 / channels. The official SGD at 0.1 needs tens of thousands
#: of steps for weights that tell images apart; in the 175 of ``cpu`` it learns a constant, which switches whole layers
#: off (measured: VGG-16 at a quarter of the width fell from 57.9 % to 10.0 %). Below ``paper`` it is Adam.
FTWT_SETTINGS: dict[BudgetClass, FtwtSettings] = {
    "smoke": FtwtSettings(epochs=1, batch=32, sample=32),
    "cpu": FtwtSettings(epochs=3),
    "hour": FtwtSettings(epochs=4, first=2, schedule="linear"),
    "gpu10": FtwtSettings(epochs=25, batch=512, sample=2048),
    "paper": FtwtSettings(epochs=200, predictor_rate=0.1, predictors_by="sgd", sample=4096),
}
