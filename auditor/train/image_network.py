"""The trainer for images: a network by name, trained from scratch by a recipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, UsageError, require
from auditor.core.hashing import hash_array, hash_json
from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed
from auditor.models.registry import genotype_facts, short_name, stored_name
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.recipe import THREADS, Recipe, recipe_for

if TYPE_CHECKING:
    from torch import nn

    from auditor.train.batches import ImageTensor
    from auditor.train.hooks import Hooks
    from auditor.train.loop import TrainingLoop

#: Pixels of training images (3,000 of 32 px) the whitening layer of fastnet is computed from.
INPUT_PIXELS = 3000 * 32 * 32


@dataclass(frozen=True)
class ImageNetwork:
    """Trains one network from scratch on images.

    Attributes
    ----------
    training : Recipe
    network : str
        Name in `auditor.models.registry.MODELS`.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"auto"``, ``"fp32"`` or ``"bf16"``.
    threads : int
        CPU threads of one fit. Part of the recipe: sums in another number of parts differ in the last bit. Use
        the cores with several tasks at a time (`auditor.train.crossval.run_tasks`) instead.
    compile : bool
        ``torch.compile`` the network. Slower on a CPU (measured), and on a GPU its first step costs longer than
        a short training.
    input : (mean, deviation, size), optional
        By channel, of pixels from 0 to 1: how images are normalised, instead of by the statistics of the training
        images; and the side the network was built for. For what is trained on from a network with published weights.
    keep_weights : bool
        Give the network back with the result, so that it can be asked later what it looked at. No part of the
        recipe: it changes no figure.
    """

    training: Recipe
    network: str = "fastnet"
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    compile: bool = False
    keep_weights: bool = True
    input: tuple[tuple[float, ...], tuple[float, ...], int] | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError(f"threads must be at least 1, not {self.threads}.")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UsageError(f"unknown precision {self.precision!r}.", "Known: auto, fp32, bf16.")

    @classmethod
    def from_budget(cls, budget: str, network: str = "fastnet", device: str = "auto", **changes: Any) -> ImageNetwork:
        """The trainer of a budget: ``"smoke"``, ``"quick"``, ``"standard"`` or ``"gpu"``.

        Parameters
        ----------
        budget, network, device : str
        **changes
            Fields of `Recipe` to set otherwise, e.g. ``mirror=False``.
        """
        recipe = recipe_for(budget, network)
        return cls(training=replace(recipe, **changes), network=network, device=device, threads=THREADS.get(budget, 1))

    @property
    def name(self) -> str:
        """Name for people and reports."""
        return f"image:{self.network}"

    @property
    def seeds(self) -> int:
        """Networks averaged where a whole split is predicted from another one."""
        return self.training.seeds

    @property
    def needs_one_process(self) -> bool:
        """Whether all tasks must run in one process, because they share one accelerator."""
        return self.device == "cuda"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        own = {name: getattr(self, name) for name in ("device", "precision", "threads", "compile")}
        named = {"trainer": "image-network", "version": 1, "network": stored_name(short_name(self.network))}
        normalisation = {} if self.input is None else {"input": self.input}
        return {**named, **own, **self.training.as_dict(), **genotype_facts(self.network), **normalisation}

    def resolved(self, data: TrainingData) -> ImageNetwork:
        """The same trainer with ``auto`` replaced by what this machine offers.

        Made once per run and kept with it: a run and its continuation on another machine never differ in it.
        """
        require("torch", "torch", "training an image network")
        from auditor.train.device import choose_device, choose_precision

        device = choose_device(self.device)
        precision = choose_precision(device) if self.precision == "auto" else self.precision
        return replace(self, device=device, precision=precision)

    def _image_size(self, images: ImageTensor) -> int:
        """Size the network is built for. The loader enlarges images below a network's smallest size, so that it never
        sees less than 32 px here."""
        if self.input is not None:
            return self.input[2]
        return max(32, round(min(images.height, images.width) * self.training.stages[-1].scale))

    def _model(self, data: TrainingData, images: ImageTensor, train: np.ndarray, seed: int) -> nn.Module:
        """Initialised network on the device of `images`; its input layer is fitted to training items only."""
        import torch

        from auditor.models.registry import build_model

        size, options = self._image_size(images), self.training.model_options()
        model = build_model(self.network, data.n_classes, size, derive_seed(seed, "weights"), **options)
        model = model.to(images.device).to(memory_format=torch.channels_last)
        fit_input: Any = getattr(model, "fit_input", None)
        if fit_input is not None:
            shape = images.size_at(self.training.stages[0].scale, getattr(model, "min_size", 1))
            rows = torch.from_numpy(train[: max(64, INPUT_PIXELS // (images.height * images.width))]).to(images.device)
            fit_input(images.plain(rows, shape))
        return model

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train on ``task.train`` and predict ``task.predict``; see `auditor.train.base.Trainer`.

        Raises
        ------
        EmptyDataError, LabelError, UsageError
            Nothing to train on, one class only, positions that overlap or lie outside.
        """
        fitted = self.fit_network(data, task, progress, checkpoint_dir)
        return fitted.kept(data.n_classes) if self.keep_weights else fitted.result

    def fit_network(
        self,
        data: TrainingData,
        task: FitTask,
        progress: Progress,
        checkpoint_dir: Path | None,
        start: nn.Module | None = None,
        hooks: Hooks | None = None,
        method: Any = None,
    ) -> Fitted:
        """`fit`, and the network itself.

        Parameters
        ----------
        data, task, progress, checkpoint_dir
            As in `fit`; so are the errors.
        start : nn.Module, optional
            Network to train further, in place of a new one; it is changed. With it `network` is only a name.
        hooks : Hooks, optional
            What a method adds to the loop.
        method : JSON value, optional
            Describes `hooks` for the checkpoint's key; needed with them.
        """
        started = time.perf_counter()
        check_task(data, task)
        if hooks is not None and method is None:
            raise UsageError("hooks without a description: a checkpoint could not be told from another's.")
        require("torch", "torch", "training an image network")
        import torch

        from auditor.models.counter import count
        from auditor.train.batches import ImageTensor
        from auditor.train.device import describe_device, torch_threads
        from auditor.train.hooks import Hooks
        from auditor.train.loop import TrainingLoop

        ready = self if "auto" not in (self.device, self.precision) else self.resolved(data)
        key = fit_key(ready, data, task)
        if start is not None or method is not None:
            key = hash_json([key, weights_hash(start), method])
        with torch_threads(ready.threads), deterministic(task.seed):
            statistics = task.train if ready.input is None else ready.input[:2]
            images = ImageTensor(data.features, ready.device, statistics)
            if start is None:
                model = ready._model(data, images, task.train, task.seed)
            else:
                model = start.to(ready.device).to(memory_format=torch.channels_last)
            size = images.size_at(ready.training.stages[-1].scale, getattr(model, "min_size", 1))
            cost = count(model, (3, *size))
            compiled = cast("nn.Module", torch.compile(model)) if ready.compile else model
            labels = torch.from_numpy(np.ascontiguousarray(data.labels, dtype=np.int64)).to(ready.device)
            state = None if checkpoint_dir is None else Path(checkpoint_dir) / f"{task.name}.pt"
            where, recipe = (ready.device, ready.precision), ready.training
            loop = TrainingLoop(compiled, images, labels, task, recipe, *where, progress, key, state, hooks or Hooks())
            probabilities, dynamics, history = loop.run()
        machine = {"device": describe_device(ready.device), "precision": ready.precision, "threads": ready.threads}
        details = {"network": short_name(ready.network), **machine}
        details |= {"parameters": cost.parameters, "macs_per_image": cost.macs, "epochs": len(loop.scales)}
        views = len(recipe.views()) * (2 if recipe.mirrored_views else 1)
        details |= {"batch": loop.batch, "views": views, "torch": torch.__version__}
        result = FitResult(probabilities, dynamics, history, time.perf_counter() - started, details)
        return Fitted(result, model, ready, loop)


@dataclass(frozen=True)
class Fitted:
    """A trained network that can still predict.

    Attributes
    ----------
    result : FitResult
    model : nn.Module
    trainer : ImageNetwork
        With nothing left at ``auto``.
    loop : TrainingLoop
    """

    result: FitResult
    model: nn.Module
    trainer: ImageNetwork
    loop: TrainingLoop

    @property
    def size(self) -> tuple[int, int]:
        """Height and width the network was last trained at and predicts at."""
        return self.loop.sizes[-1]

    def images(self, features: np.ndarray) -> ImageTensor:
        """Other images of the same size, normalised as the training images were."""
        from auditor.train.batches import ImageTensor

        return ImageTensor(features, self.trainer.device, self.loop.images)

    def kept(self, n_classes: int) -> FitResult:
        """The result with the weights, and in its details how to rebuild the network (`auditor.train.kept`)."""
        from auditor.train.kept import keep

        images, trainer = self.loop.images, self.trainer
        mean, std, options = images.mean.cpu(), images.std.cpu(), trainer.training.model_options()
        about = (trainer.network, n_classes, self.size, mean, std, options, trainer._image_size(images))
        return keep(self.result, self.model, *about)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (m, n_classes), of uint8 images (m, H, W, 3) of the training images' size."""
        import torch

        from auditor.train.device import torch_threads

        with torch_threads(self.trainer.threads):
            rows = torch.arange(len(features), device=self.trainer.device)
            return self.loop.probabilities(self.images(features), rows)


def weights_hash(model: nn.Module | None) -> str | None:
    """Content hash of a network's state."""
    if model is None:
        return None
    return hash_json({name: hash_array(value.detach().cpu().numpy()) for name, value in model.state_dict().items()})


def check_task(data: TrainingData, task: FitTask) -> None:
    """Refuse what no network can be trained on.

    Raises
    ------
    EmptyDataError, LabelError, UsageError
        Nothing to train on, one class only, positions that overlap or lie outside.
    """
    n = len(data)
    for what, positions in (("train", task.train), ("predict", task.predict)):
        if len(positions) and (positions.min() < 0 or positions.max() >= n):
            raise UsageError(f"task {task.name!r}: {what} holds positions outside 0..{n - 1}.")
    if np.intersect1d(task.train, task.predict).size:
        raise UsageError(f"task {task.name!r}: an item would be trained on and predicted at the same time.")
    if len(data.features) != n:
        raise LabelError(f"{len(data.features)} images for {n} labels.")
    if not len(task.predict):
        raise EmptyDataError(f"task {task.name!r}: no items to predict.")
    if len(task.train) < 2:
        raise EmptyDataError(f"task {task.name!r}: {len(task.train)} items to train on.")
    if len(np.unique(data.labels[task.train])) < 2:
        raise LabelError(f"task {task.name!r}: the training part holds one class only.")


def fit_key(trainer: ImageNetwork, data: TrainingData, task: FitTask) -> str:
    """Hash of what one result depends on. The pixels enter through a sample of rows; the caller's folder is
    named by a hash of all of them (`auditor.train.crossval`)."""
    rows = np.linspace(0, len(data) - 1, min(len(data), 256)).astype(np.int64)
    arrays = {"labels": np.asarray(data.labels), "pixels": data.features[rows], "train": task.train}
    arrays["predict"] = task.predict
    values = {"recipe": trainer.recipe(), "classes": data.n_classes, "shape": list(data.features.shape)}
    return hash_json({**values, "seed": task.seed, **{name: hash_array(array) for name, array in arrays.items()}})


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Seeded generators and deterministic kernels inside, the caller's state outside."""
    import torch

    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark)
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        torch.manual_seed(derive_seed(seed, "global"))
        # Equal findings after an interruption are worth more than the few per cent of the fastest kernels.
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before
