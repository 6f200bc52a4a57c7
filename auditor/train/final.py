"""Networks for a benchmark: trained on a part of the train split, checked on another part of it, and shown the test
items once, when they are final."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.models.registry import MODELS, short_name, split_variant
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.budget import BudgetClass, check_budget_class, reproduction_label
from auditor.train.held_back import HeldBack
from auditor.train.image_network import Fitted, ImageNetwork
from auditor.train.recipe import SGD, Recipe, Stage


@dataclass(frozen=True)
class Amount:
    """How much a budget class trains on.

    Attributes
    ----------
    train : int or None
        Most training items, an equal share of each class; None for all that are not validation.
    validation : int
        Items of the train split that nothing is trained on.
    stages : tuple of Stage
    batch : int
    rate : float
        Peak rate of SGD for a mean loss.
    """

    train: int | None
    validation: int
    stages: tuple[Stage, ...]
    batch: int
    rate: float


#: By budget class, the same for every network of a benchmark.
AMOUNTS: dict[str, Amount] = {
    "smoke": Amount(400, 100, (Stage(0.5, 1),), 32, 0.05),
    "cpu": Amount(15_000, 2_000, (Stage(0.5, 4),), 128, 0.1),
    "hour": Amount(None, 2_000, (Stage(0.5, 10), Stage(0.75, 6), Stage(1.0, 4)), 128, 0.1),
    "gpu10": Amount(None, 5_000, (Stage(1.0, 30),), 512, 0.2),
    "paper": Amount(None, 5_000, (Stage(1.0, 200),), 128, 0.1),
}


#: Epochs at 16, 24 and 32 px that take at most about an hour of two cores at ``hour``, by network; of `AMOUNTS` for all
#: others. Estimated by ``benchmarks/hour_budget.py`` for networks of the sizes that it names; larger ones take longer.
HOUR_EPOCHS: dict[str, tuple[int, int, int]] = {
    "vgg16_bn": (28, 19, 12),
    "mobilenet_v1": (8, 6, 4),
    "densenet121": (6, 4, 3),
    "nasnet_a": (5, 4, 2),
    "proxyless": (8, 5, 3),
    "eas": (24, 16, 10),
}


@dataclass(frozen=True)
class PaperTraining:
    """How a paper trains its final networks.

    Attributes
    ----------
    paper : str
    recipe : Recipe
    open : tuple of str
        What is unknown of it, or is not built here. With any of it, a number is no reproduction.
    """

    paper: str
    recipe: Recipe
    open: tuple[str, ...] = ()


def _paper_recipe(epochs: int, batch: int, rate: float, decay: float, **others: Any) -> Recipe:
    """SGD with a cosine from the first step, images shifted by up to four pixels and mirrored, predicted plainly."""
    usual = {**SGD, "warmup": 0.0, "label_smoothing": 0.0, "schedule": "cosine", "average_mirrored": False, "crop": 4}
    values = {**usual, "filter_rate": rate, "weight_decay": decay, **others}
    return Recipe(stages=(Stage(1.0, epochs),), batch=batch, **values)


_EAS = PaperTraining("EAS (Cai et al. 2018)", _paper_recipe(300, 64, 0.1, 1e-4))
#: By network; the architectures of a search are trained as their paper trains them. NASNet: its paper and the released
#: graph. EAS and ProxylessNAS: their authors' code.
PAPER_TRAININGS = {
    "nasnet": PaperTraining(
        "NASNet (Zoph et al. 2018)",
        _paper_recipe(600, 32, 0.025, 5e-4, clip=5.0, cutout=16, auxiliary=0.4, final_keep=0.6),
    ),
    "eas-dense": _EAS,
    "eas": replace(
        _EAS, open=("how the paper's plain networks drop out on CIFAR-10 is not known; none drop out here",)
    ),
    "proxyless": PaperTraining(
        "ProxylessNAS (Cai et al. 2019)",
        _paper_recipe(300, 256, 0.05, 4e-5, label_smoothing=0.1, cutout=16),
        (
            "the paper's training on CIFAR-10 was never released: rate, batch, decay and smoothing are those of the "
            "authors' code for ImageNet",
            "DropPath, with which the authors train for 600 epochs, is not built",
        ),
    ),
}


def paper_training(network: str) -> PaperTraining | None:
    """How the paper of a searched network trains it, or None for all other networks.

    Raises
    ------
    UnreadableError
        If `network` names a genotype file that cannot be read.
    """
    base, variant = split_variant(network)
    key = "nasnet" if base == "nasnet_a" else base
    if key not in PAPER_TRAININGS:
        return None
    if base == "eas":
        from auditor.models.genotype import read_genotype

        built_in = not variant or variant.startswith("start")
        family = variant if built_in else getattr(read_genotype(variant, "eas"), "family", "")
        key = "eas-dense" if "dense" in family else "eas"
        other = "a start network, none the paper found" if built_in else ""
    else:
        narrow = "-w" in variant and not variant.endswith(".json")
        own = {"nasnet_a": variant in ("", "n6-f32"), "proxyless": not narrow}.get(base, bool(variant))
        other = "" if own else "the paper shows no network of this size"
    training = PAPER_TRAININGS[key]
    return replace(training, open=(other, *training.open)) if other else training


#: Validation items are the same for every network and seed.
SPLIT_SEED = 0


def benchmark_recipe(budget: BudgetClass, network: str) -> Recipe:
    """The recipe that all networks of a benchmark share, no paper's.

    SGD with Nesterov momentum 0.9, decay 5e-4 and a linear fall for all; `fastnet` keeps its own optimiser. Images are
    shifted by up to four pixels and mirrored. Prediction averages image and mirror image; at ``hour`` and ``paper``,
    beside published accuracies, it looks at the image alone.
    """
    amount = AMOUNTS[budget]
    stages = amount.stages
    if budget == "hour" and (epochs := HOUR_EPOCHS.get(split_variant(network)[0])):
        stages = tuple(replace(stage, epochs=n) for stage, n in zip(stages, epochs, strict=True))
    given: dict[str, Any] = {"stages": stages, "average_mirrored": budget not in ("hour", "paper")}
    if network == "fastnet":
        return Recipe(**given, batch=min(500, 4 * amount.batch), widths=(32, 128, 128), seeds=1)
    return Recipe(**{**SGD, "warmup": 0.1}, **given, batch=amount.batch, filter_rate=amount.rate, crop=4)


def split_training(labels: np.ndarray, rows: np.ndarray, amount: Amount) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation positions, both ascending and disjoint; an equal number of each class as far as it goes.

    A function of `labels`, `rows` and `amount` alone. The validation items of a class are drawn first, so they do not
    depend on how many are trained on.
    """
    classes = np.unique(labels[rows])
    train, validation = [], []
    for label in classes:
        own = rows[labels[rows] == label]
        own = own[generator(SPLIT_SEED, "validation", int(label)).permutation(len(own))]
        held = min(-(-amount.validation // len(classes)), len(own) // 2)
        most = len(own) if amount.train is None else held + -(-amount.train // len(classes))
        validation.append(own[:held])
        train.append(own[held:most])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(validation))


@dataclass(frozen=True)
class FinalNetwork:
    """Trainer of one network of a benchmark; see `auditor.train.base.Trainer`.

    ``task.train`` is the whole train split and ``task.predict`` the test split, which comes behind it in the data.

    Attributes
    ----------
    network : ImageNetwork
    budget : str
        Budget class.
    store : Path, optional
        Where the last state of every trained network is kept, for fits that start from it. Never changes a result.
    """

    network: ImageNetwork
    budget: BudgetClass
    store: Path | None = None
    #: Whether nothing is trained; see `Trainer`.
    fixed: ClassVar[bool] = False

    @classmethod
    def of(cls, name: str, budget: BudgetClass, device: str = "auto") -> FinalNetwork:
        """The network called `name` in `auditor.models.registry.MODELS`, trained by the shared recipe or, at ``paper``,
        by that of its paper where `paper_training` knows one; `auditor.train.published.final_network` also takes names
        with weights.

        Raises
        ------
        UnknownNameError
        UnreadableError
            If it names a genotype file that is absent.
        """
        check_budget_class(budget)
        MODELS.target(split_variant(name)[0])
        short_name(name)  # reads the file of a genotype, where there is one
        published = paper_training(name) if budget == "paper" else None
        recipe = published.recipe if published else benchmark_recipe(budget, name)
        return cls(ImageNetwork(recipe, name, device), budget)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.network

    @property
    def papers(self) -> bool:
        """Whether it is a paper's network, trained by all of that paper's recipe."""
        published = paper_training(self.name)
        return published is not None and not published.open and self.network.training == published.recipe

    @property
    def threads(self) -> int:
        """CPU threads of one fit."""
        return self.network.threads

    @property
    def needs_one_process(self) -> bool:
        """Whether fits must share one process."""
        return self.network.needs_one_process

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        amount = AMOUNTS[self.budget]
        return {**self.network.recipe(), "final": 1, "images": amount.train, "validation": amount.validation}

    def resolved(self, data: TrainingData) -> FinalNetwork:
        """With ``auto`` replaced by what this machine offers."""
        return replace(self, network=self.network.resolved(data))

    def train(
        self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None
    ) -> tuple[Fitted, TrainingData, FitTask]:
        """The trained network, and the data and task it was trained with: train split only, validation to predict."""
        inner, inner_task = without_test(data, task, AMOUNTS[self.budget])
        if self.store is not None:
            # Under a name of its own, so that every fit that starts from this network finds it.
            inner_task = replace(inner_task, name=f"{slug(self.name)}__seed{task.seed}")
            checkpoint_dir = self.store / self.folder
        fitted = self.network.fit_network(inner, inner_task, progress, checkpoint_dir, **self.schedule_options())
        return fitted, inner, inner_task

    @property
    def folder(self) -> str:
        """Where in a store its networks are kept."""
        return "dense"

    def schedule_options(self) -> dict[str, Any]:
        """``hooks`` and ``method`` of the training, where it is not that of the recipe."""
        return {}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train, then predict the test items once. Errors as `ImageNetwork.fit`."""
        started = time.perf_counter()
        fitted, inner, inner_task = self.train(data, task, progress, checkpoint_dir)
        facts: dict[str, Any] = {
            "validation_accuracy": accuracy(fitted.result.probabilities, inner.labels[inner_task.predict])
        }
        published = paper_training(self.name)
        if published and self.network.training == published.recipe:
            facts |= {"paper": published.paper, "open": list(published.open)}
        result = predict_test_once(fitted, data, task, inner_task, (self.budget, self.papers), started, facts)
        if self.store is not None and not self.fixed:
            from auditor.train.network_files import input_facts, save_network

            named = {"name": short_name(self.name), "seed": task.seed, **input_facts(fitted, data), **result.details}
            save_network(self.store / "networks" / f"{task.name}.safetensors", fitted.model, named)
        return result


def slug(name: str) -> str:
    """A network's name as part of a file name; see `auditor.models.registry.short_name`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", short_name(name))


def without_test(data: TrainingData, task: FitTask, amount: Amount) -> tuple[TrainingData, FitTask]:
    """The train split alone, and the task of training on one part of it and predicting another.

    Raises
    ------
    UsageError
        If the test items do not come behind the training items.
    """
    end = int(task.train.max()) + 1
    if len(task.predict) and task.predict.min() < end:
        raise UsageError(f"task {task.name!r}: the test items must come behind the training items.")
    train, validation = split_training(data.labels, task.train, amount)
    inner = TrainingData(data.kind, data.features[:end], data.labels[:end], data.n_classes)
    return inner, FitTask(task.name, train, validation, task.seed)


def predict_test_once(
    fitted: Fitted,
    data: TrainingData,
    task: FitTask,
    inner_task: FitTask,
    recipe: tuple[str, bool],
    started: float,
    facts: dict[str, Any],
) -> FitResult:
    """Predict the test items with the final network, in one look, and say under which conditions; `recipe` is the
    budget class, and whether it is all of a paper's recipe for a network of that paper."""
    from auditor.train.latency import latency

    budget, papers = recipe
    held = HeldBack(lambda: data.features[task.predict])
    probabilities = fitted.predict(held.take(task.name))
    details = {
        "budget": budget,
        "reproduction": reproduction_label(papers),
        **fitted.result.details,
        "images": len(inner_task.train),
        "validation_images": len(inner_task.predict),
        "image_size": list(fitted.size),
        "test_looks": held.accesses[task.name],
        "image_ms": round(latency(fitted.model, fitted.size, fitted.trainer.device), 3),
        **facts,
    }
    return FitResult(probabilities, None, fitted.result.history, time.perf_counter() - started, details)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows whose largest probability is at the label, in [0, 1]."""
    return float((probabilities.argmax(1) == labels).mean())
