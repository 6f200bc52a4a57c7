"""The caller's torch module as a trainer: a fresh copy for every fold, trained by the one loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.core.errors import DataError, UsageError
from auditor.core.hashing import hash_json
from auditor.core.progress import Progress
from auditor.data.labels import listed
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.batches import ImageTensor, RowTensor
from auditor.train.content import content_hash
from auditor.train.device import choose_device, describe_device, torch_threads
from auditor.train.estimator import widen_probabilities
from auditor.train.image_network import check_task, deterministic
from auditor.train.loop import TrainingLoop
from auditor.train.recipe import Recipe, recipe_for
from auditor.train.results import data_hash, task_key
from auditor.train.table import unreadable_columns


@dataclass(frozen=True, eq=False)
class OwnModule:
    """A torch module of the caller. Every fold trains a copy that starts from the weights the module has now.

    The module is called with a batch and gives logits (batch, K), one for each class in the order of the data set's.
    The loss is the cross-entropy, the optimiser Adam with a rate that falls to 0.

    Attributes
    ----------
    module : nn.Module
        Images come as float32 (batch, 3, H, W), normalised by channel; as (batch, 1, H, W) where all are grey and the
        module cannot read three channels. Tables come as float32 (batch, columns), standardised.
    training : Recipe
    tensor : tensor (n, ...), optional
        The items as the caller holds them: ``X`` of ``(X, y)``. The module then gets its rows as they are; floats take
        the precision of the module's weights.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    threads : int
    """

    module: nn.Module
    training: Recipe
    tensor: torch.Tensor | None = None
    device: str = "auto"
    threads: int = 1

    @property
    def name(self) -> str:
        """Name of the class."""
        return type(self.module).__name__

    @property
    def needs_one_process(self) -> bool:
        """Whether all tasks must run in one process, because they share one accelerator."""
        return self.device == "cuda"

    def recipe(self) -> dict[str, Any]:
        """Weights, attributes and code of the module, how it is trained, and the tensor it reads."""
        named = {"trainer": "own-module", "version": 1, "name": self.name, "torch": torch.__version__}
        return {**named, **self._content, "device": self.device, "threads": self.threads, **self.training.as_dict()}

    @cached_property
    def _content(self) -> dict[str, str | None]:
        tensor = None if self.tensor is None else content_hash(self.tensor)
        return {"content": content_hash(self.module), "tensor": tensor}

    def settled(self, budget: str, device: str, tensor: torch.Tensor | None) -> OwnModule:
        """The same trainer as a call wants it."""
        return replace(self, training=recipe_for(budget, "own"), device=device, tensor=tensor)

    def resolved(self, data: TrainingData) -> OwnModule:
        """The same trainer with the device that this machine offers in place of ``auto``."""
        return replace(self, device=choose_device(self.device))

    def check(self, sample: TrainingData) -> None:
        """Refuse data that the module cannot read, and another number of outputs than classes.

        Parameters
        ----------
        sample : TrainingData
            At least one image, or the whole table.

        Raises
        ------
        UsageError, DataError
        """
        with torch_threads(self.threads), deterministic(0):
            self._inputs(sample, np.arange(len(sample.labels)), copy.deepcopy(self.module).cpu(), "cpu")

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train on ``task.train`` and predict ``task.predict``; see `auditor.train.base.Trainer`.

        Raises
        ------
        EmptyDataError, LabelError, UsageError, DataError
            As `check_task` and `check`.
        """
        started = time.perf_counter()
        check_task(data, task)
        if self.tensor is not None and len(self.tensor) != len(data):
            raise DataError(
                f"X has {len(self.tensor)} rows, of which {len(data)} could be read.", "Leave the others out."
            )
        ready = self if self.device != "auto" else self.resolved(data)
        with torch_threads(ready.threads), deterministic(task.seed):
            model = copy.deepcopy(self.module).to(ready.device)
            inputs = ready._inputs(data, task.train, model, ready.device)
            labels = torch.from_numpy(np.ascontiguousarray(data.labels, dtype=np.int64)).to(ready.device)
            key = hash_json([task_key(ready, data_hash(data), task)])
            state = None if checkpoint_dir is None else Path(checkpoint_dir) / f"{task.name}.pt"
            loop = TrainingLoop(model, inputs, labels, task, ready.training, ready.device, "fp32", progress, key, state)
            probabilities, dynamics, history = loop.run()
        seen = np.unique(data.labels[task.train])
        details = {"device": describe_device(ready.device), "precision": "fp32", "threads": ready.threads}
        details |= {"parameters": sum(p.numel() for p in model.parameters()), "epochs": len(loop.scales)}
        grey = isinstance(inputs, _Images) and inputs.channels == 1
        notes = [f"{self.name} gets grey images of one channel"] if grey else []
        details |= {"batch": loop.batch, "torch": torch.__version__, "notes": notes}
        probabilities = widen_probabilities(probabilities[:, seen], seen, data.n_classes)
        return FitResult(probabilities, dynamics, history, time.perf_counter() - started, details)

    def _inputs(self, data: TrainingData, train: np.ndarray, model: nn.Module, device: str) -> ImageTensor:
        """The items in a form that `model` reads; errors as `check`."""
        if not any(p.requires_grad for p in model.parameters()):
            raise UsageError(f"{self.name} has no parameter to train.", "Set requires_grad of some of them.")
        first, failures = torch.from_numpy(train[:2]).to(device), list[tuple[torch.Tensor, Exception]]()
        for inputs in self._forms(data, train, device):
            batch = inputs.plain(first, inputs.size_at(1.0, 1))
            model.eval()
            try:
                with torch.no_grad():
                    logits = model(batch)
            except Exception as error:  # noqa: BLE001  whatever the caller's code raises is told below
                failures.append((batch, error))
            else:
                self._check_logits(logits, len(first), data.n_classes)
                return inputs
        batch, failure = failures[0]
        raise UsageError(
            f"{self.name} cannot read a batch of the shape {tuple(batch.shape)} ({batch.dtype}): {failure}",
            "Give (X, y) with X a tensor to have its rows as they are.",
        ) from failure

    def _forms(self, data: TrainingData, train: np.ndarray, device: str) -> Iterator[ImageTensor]:
        """The forms that the items have for modules, the usual one first."""
        if self.tensor is not None:
            yield RowTensor(self._rows_of(self.tensor), device)
        elif data.kind == "table":
            yield RowTensor(_standardised(self.name, data.features, train), device)
        elif data.kind == "image":
            yield _Images(data.features, device, train, channels=3)
            if all(np.array_equal(data.features[..., 0], data.features[..., k]) for k in (1, 2)):
                yield _Images(data.features, device, train, channels=1)
        else:
            raise UsageError(
                f"{self.name} is a torch module, which reads numbers; this data set holds {data.kind} data.",
                "Give tensors of numbers, (X, y), or a function of X_train, y_train and X_test that reads them.",
            )

    def _rows_of(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(
                "X holds values that are not finite, from which a module learns nothing.", "Leave these items out."
            )
        weights = next((p for p in self.module.parameters() if p.is_floating_point()), None)
        return tensor if weights is None or not tensor.is_floating_point() else tensor.to(weights.dtype)

    def _check_logits(self, logits: Any, rows: int, n_classes: int) -> None:
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != rows:
            form = (
                f"a tensor {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
            )
            raise UsageError(
                f"{self.name} gives {form} for {rows} items, not logits ({rows}, {n_classes}).",
                "Its forward must return one row for each item, one logit for each class.",
            )
        if logits.shape[1] != n_classes:
            raise UsageError(
                f"{self.name} has {logits.shape[1]} output{'s' * (logits.shape[1] != 1)} for each item, and the data "
                f"set has {n_classes} classes.",
                "Give its last layer one output for each class, or name classes that do not occur with class_names.",
            )
        if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]), atol=1e-4):
            raise UsageError(
                f"{self.name} gives probabilities: its outputs sum to 1. It is trained on logits.",
                "Leave out the softmax at its end; log_softmax may stay.",
            )


class _Images(ImageTensor):
    """Images in the order of memory that modules expect, with all channels or the first."""

    def __init__(self, features: np.ndarray, device: str, train: np.ndarray, channels: int) -> None:
        super().__init__(features, device, train)
        self.channels = channels

    def _finish(self, nhwc: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return super()._finish(nhwc, size)[:, : self.channels].contiguous()


def _standardised(name: str, frame: Any, train: np.ndarray) -> torch.Tensor:
    """A table as float32, each column less its mean in the training part and divided by its deviation there."""
    if problems := unreadable_columns(frame):
        raise DataError(
            f"{name} reads numbers, and there are {listed(problems)}.",
            "Encode and fill these columns first, or choose others with columns=.",
        )
    values = frame.to_numpy(np.float64)
    spread = values[train].std(axis=0)
    scaled = (values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return torch.from_numpy(scaled.astype(np.float32))
