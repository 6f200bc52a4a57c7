"""Networks with published weights in the place of trained ones: they predict, and nothing is trained."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditor.core.errors import DataError, UsageError, require
from auditor.core.progress import Progress, SilentProgress
from auditor.models.registry import LIBRARIES, MODELS, split_variant
from auditor.models.weights import Weights, names_weights, open_weights
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.budget import BudgetClass, check_budget_class
from auditor.train.final import AMOUNTS, FinalNetwork, benchmark_recipe, without_test
from auditor.train.image_network import Fitted, ImageNetwork
from auditor.train.recipe import Stage

if TYPE_CHECKING:
    from auditor.train.kept import KeptNetwork

#: What stands beside an accuracy in the place of a budget class.
LABEL = "published weights, not trained here"


def open_published(name: str) -> Weights:
    """The weights that `name` means, for a network that is known.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    UsageError, UnreadableError, UnsafeFileError, MissingExtraError
        As `auditor.models.weights.open_weights`.
    """
    base = split_variant(name)[0]
    if base not in LIBRARIES:
        MODELS.target(base)
    require("torch", "torch", f"the network {name!r}")
    return open_weights(name)


def final_network(name: str, budget: BudgetClass, device: str = "auto") -> FinalNetwork:
    """The trainer of a network of a benchmark; with the weights of a file, ``NETWORK@FILE``, one that is not trained.

    Raises
    ------
    UnknownNameError, UsageError, UnreadableError, UnsafeFileError, MissingExtraError
        As `FinalNetwork.of` and `open_published`.
    """
    if not names_weights(name):
        return FinalNetwork.of(name, budget, device)
    check_budget_class(budget)
    return PublishedFinal.with_weights(name, budget, device)


def opened(weights: Weights, n_classes: int, device: str) -> KeptNetwork:
    """The network on `device`.

    Raises
    ------
    DataError
        If it is for another number of classes.
    UnreadableError, UnsafeFileError
        As `auditor.train.kept.published_network`.
    """
    from auditor.train.kept import published_network

    network = published_network(weights)
    if network.n_classes != n_classes:
        raise DataError(
            f"{weights.name} tells {network.n_classes} classes apart; the data set has {n_classes}.",
            "Take a network that was trained on these classes.",
        )
    return network.on(device)


def _details(network: KeptNetwork, weights: Weights, size: tuple[int, int], device: str) -> dict[str, Any]:
    """What belongs beside its predictions."""
    import torch

    from auditor.models.counter import count
    from auditor.train.device import describe_device

    cost = count(network.model, (3, *size))
    machine = {"device": describe_device(device), "precision": "fp32", "threads": 1, "torch": torch.__version__}
    cost_row = {"parameters": cost.parameters, "macs_per_image": cost.macs, "epochs": 0}
    facts = {**weights.facts(), "file": Path(weights.file).name}  # where it lies is a matter of this machine
    return {"network": weights.name, **machine, **cost_row, "reproduction": LABEL, "weights": facts}


@dataclass(frozen=True)
class PublishedNetwork:
    """Predicts with published weights, one look at each image; see `auditor.train.base.Trainer`.

    Attributes
    ----------
    weights : Weights
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    weights: Weights
    device: str = "auto"
    kind: ClassVar[str] = "image"
    has_epochs: ClassVar[bool] = False
    fixed: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Network, and the beginning of the hash of its file."""
        return self.weights.name

    @property
    def needs_one_process(self) -> bool:
        """Whether all tasks must run in one process, because they share one accelerator."""
        return self.device == "cuda"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {"trainer": "published-network", "version": 1, **self.weights.recipe(), "device": self.device}

    def resolved(self, data: TrainingData) -> PublishedNetwork:
        """With the device that this machine offers in place of ``auto``."""
        from auditor.train.device import choose_device

        return replace(self, device=choose_device(self.device))

    def check_items(self, n_classes: int, splits: np.ndarray) -> list[str]:
        """Refuse data that the network cannot predict, or has learnt by heart.

        Parameters
        ----------
        n_classes : int
            Of the data set.
        splits : str array (n,)
            Split of each item to predict; ``"all"`` where the data set has none.

        Returns
        -------
        list of str
            What must be said of its predictions.

        Raises
        ------
        DataError
            If it is for another number of classes.
        UsageError
            If it was trained on some of the items, or that cannot be told.
        UnreadableError, UnsafeFileError
        """
        opened(self.weights, n_classes, "cpu")
        counts = Counter(splits.tolist())
        learnt = 0 if self.weights.seen == "none" else counts[self.weights.seen] + counts["all"]
        if not learnt:
            return []
        told = "split" if counts[self.weights.seen] else "data set without splits"
        items = f"{learnt:,} items of the {told}{f' {self.weights.seen!r}' if told == 'split' else ''}"
        if self.weights.in_sample:
            return [
                f"{self.name} may have been trained on {items}: labels that it learnt look right to it, so wrong ones "
                "are missed, and no figure holds for them that rests on out-of-sample probabilities"
            ]
        raise UsageError(
            f"{self.name} may have been trained on {items}: it would repeat their labels, wrong ones too.",
            "Audit items that it has not seen (--audit test), train a network on these (--model auto), or say with the "
            "name which split it was trained on (?seen=NAME; ?seen=none for none of this data). To audit what it has "
            "seen all the same: ?in_sample=yes.",
        )

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Predict ``task.predict``; see `auditor.train.base.Trainer`. Errors as `opened`."""
        from auditor.train.device import choose_device, torch_threads
        from auditor.train.kept import keep

        started, device = time.perf_counter(), choose_device(self.device)
        progress.start(task.name, 1, "network")
        network = opened(self.weights, data.n_classes, device)
        with torch_threads(1):
            probabilities = network.probabilities(data.features, task.predict)
        details = {**_details(network, self.weights, network.size, device), "views": 1}
        network = network.on("cpu")
        progress.finish(task.name, "predicted")
        result = FitResult(probabilities, None, [], time.perf_counter() - started, details)
        about = (self.weights.network, network.n_classes, network.size, network.mean, network.std)
        return keep(result, network.model, *about, options={}, image_size=self.weights.size)


@dataclass(frozen=True)
class PublishedFinal(FinalNetwork):
    """`FinalNetwork` that is not trained. What is made of it is trained on at its own size and normalisation; its
    accuracy on validation items, which lie in the train split, is one on items that it has seen.

    Attributes
    ----------
    weights : Weights
    """

    weights: Weights = field(kw_only=True)
    fixed: ClassVar[bool] = True

    @classmethod
    def with_weights(cls, name: str, budget: BudgetClass, device: str = "auto") -> PublishedFinal:
        """The network that `name` means. Errors as `open_published`."""
        weights = open_published(name)
        base = weights.network
        recipe = benchmark_recipe(budget, base)
        recipe = replace(recipe, stages=(Stage(1.0, sum(stage.epochs for stage in recipe.stages)),))
        if budget == "hour":  # a few steps are no time to learn other targets than it was trained on
            recipe = replace(recipe, label_smoothing=0.0)
        network = ImageNetwork(recipe, base, device, precision="fp32", input=(weights.mean, weights.std, weights.size))
        return cls(network, budget, weights=weights)

    @property
    def name(self) -> str:
        """Network, and the beginning of the hash of its file."""
        return self.weights.name

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {**super().recipe(), "weights": self.weights.recipe()}

    def resolved(self, data: TrainingData) -> PublishedFinal:
        """With ``auto`` replaced by what this machine offers, and images of the size of its own.

        Raises
        ------
        DataError, UnreadableError, UnsafeFileError
            As `opened`.
        """
        opened(self.weights, data.n_classes, "cpu")
        network = self.network.resolved(data)
        scale = min(1.0, self.weights.size / min(data.features.shape[1:3]))
        stages = tuple(replace(stage, scale=scale) for stage in network.training.stages)
        return replace(self, network=replace(network, training=replace(network.training, stages=stages)))

    def train(
        self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None
    ) -> tuple[Fitted, TrainingData, FitTask]:
        """The network as it is, with data and task as `FinalNetwork.train` gives them."""
        import torch

        from auditor.train.batches import ImageTensor
        from auditor.train.device import torch_threads
        from auditor.train.loop import TrainingLoop

        started = time.perf_counter()
        ready = (self if self.network.device != "auto" else self.resolved(data)).network
        inner, inner_task = without_test(data, task, AMOUNTS[self.budget])
        kept = opened(self.weights, data.n_classes, ready.device)
        model = kept.model.to(memory_format=torch.channels_last)
        setattr(model, "min_size", self.weights.size)  # noqa: B010  smaller images are enlarged
        with torch_threads(ready.threads):
            images = ImageTensor(inner.features, ready.device, (self.weights.mean, self.weights.std))
            labels = torch.from_numpy(np.ascontiguousarray(inner.labels, dtype=np.int64)).to(ready.device)
            where = (ready.device, ready.precision, SilentProgress(), "")
            loop = TrainingLoop(model, images, labels, inner_task, ready.training, *where)
            probabilities = loop.probabilities(images, loop.predict)
        views = len(ready.training.views()) * (2 if ready.training.mirrored_views else 1)
        details = {**_details(kept, self.weights, loop.sizes[-1], ready.device), "views": views}
        details["validation_seen"] = self.weights.seen == "train"
        result = FitResult(probabilities, None, [], time.perf_counter() - started, details)
        return Fitted(result, model, ready, loop), inner, inner_task
