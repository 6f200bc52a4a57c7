"""Frozen pretrained encoder: embeddings once for all items, a small head per fold.

Specification: engine and training, B3.2 (features), B3.3 (heads) and B7 (dynamics). The encoder never saw the
labels, so one set of embeddings serves all folds; only the head is fitted on the training part.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditor.core.errors import UsageError, require
from auditor.core.progress import Progress, SilentProgress
from auditor.core.seeds import derive_seed
from auditor.train.base import Dynamics, FitResult, FitTask, TrainingData
from auditor.train.embeddings import FAST_FROM, embed, encoding_precision, moments, rows_of
from auditor.train.encoders import Encoder, encoder_kind, make_encoder
from auditor.train.estimator import best_temperature, check_kind, constant_result, held_out_margins, inner_folds

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FrozenTrainer:
    """Softmax regression or a small network on frozen features.

    Attributes
    ----------
    encoder : str
        Name in `auditor.train.encoders.ENCODERS`.
    size : int or None
        Height and width images are resized to; None = the encoder's own.
    head : str
        ``"linear"`` or ``"mlp"`` (one hidden layer, dropout).
    hidden : int
    dropout : float
        Of the hidden layer, ``"mlp"`` only.
    epochs, batch : int
    rate, weight_decay : float
        Of AdamW; the rate falls linearly to 0. On 6,000 CIFAR-10 images at 64 px 5e-4 was better calibrated than
        2e-3 (negative log-likelihood .60 against .65) at the same accuracy (.79).
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    least_steps : int
        Epochs are added until the head has taken so many steps: on small sets twelve epochs of a few batches leave it
        close to where it started.
    inner_folds : int
        Folds of the training part on which a temperature of the probabilities is found; 0: probabilities as they are.
    enough : int or None
        Training items from which on more tell little: encoding takes nearly all the time, and a linear head gains
        little from the rest. What plans a fit may draw so many; no part of the recipe: `fit` takes all it is given, and
        embeds nothing else.
    threads : int
        Threads of one fit.
    cache_dir : Path or None
        Where embeddings are kept; not part of the recipe, because it cannot change a result.
    """

    encoder: str = "efficientnet-lite0"
    size: int | None = None
    head: str = "linear"
    hidden: int = 256
    dropout: float = 0.3
    epochs: int = 12
    batch: int = 256
    rate: float = 5e-4
    weight_decay: float = 0.01
    least_steps: int = 0
    inner_folds: int = 0
    device: str = "auto"
    threads: int = 1
    enough: int | None = field(default=None, compare=False)
    cache_dir: Path | None = field(default=None, compare=False)
    weighs: ClassVar[bool] = True
    refits: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.head not in ("linear", "mlp"):
            raise UsageError(f"unknown head {self.head!r}.", "Known: linear, mlp.")

    @classmethod
    def from_budget(
        cls, budget: str, encoder: str = "efficientnet-lite0", device: str = "auto", cache_dir: Path | None = None
    ) -> FrozenTrainer:
        """The trainer of a budget. ``smoke`` and ``quick`` look at smaller pictures where the encoder allows."""
        size = {"smoke": 48, "quick": 64}.get(budget) if encoder == "efficientnet-lite0" else None
        epochs = 4 if budget == "smoke" else 12
        texts: dict[str, Any] = (
            {} if encoder_kind(encoder) != "text" or budget == "smoke" else {"least_steps": 400, "inner_folds": 3}
        )
        return cls(encoder=encoder, size=size, epochs=epochs, device=device, cache_dir=cache_dir, **texts)

    @property
    def name(self) -> str:
        """Name for people and reports."""
        return f"frozen:{self.encoder}"

    @property
    def needs_one_process(self) -> bool:
        """Whether all tasks must run in one process, because they share one accelerator."""
        return self.device == "cuda"

    def _encoder(self) -> Encoder:
        return make_encoder(self.encoder, self.size)

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result, the encoder's weights included."""
        values = asdict(self)
        del values["cache_dir"], values["enough"]
        version = 2 if self.least_steps or self.inner_folds else 1
        if version == 1:
            del values["least_steps"], values["inner_folds"]
        from auditor.train.device import choose_device

        features = self._encoder().recipe()
        if (precision := encoding_precision(encoder_kind(self.encoder), choose_device(self.device))) != "fp32":
            features["precision"] = f"{precision} from {FAST_FROM:,} images"
        return {"trainer": "frozen", "version": version, **values, "features": features}

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """See `Trainer.fit`. Embeddings are resumable in `cache_dir`; the head takes seconds and starts anew."""
        check_kind(self.name, encoder_kind(self.encoder), data, task)
        require("torch", "torch", f"the trainer {self.name!r}")
        from auditor.train.device import choose_device, describe_device

        started = time.perf_counter()
        if (constant := constant_result(data, task, started)) is not None:
            return constant
        encoder, device, name = self._encoder(), choose_device(self.device), f"{task.name} embeddings"
        features = self._features(encoder, data, task, (self.cache_dir, device, self.threads, progress, name))
        embedded = time.perf_counter()
        temperature = self._temperature(data, task, features, device)
        head = _Head(self, data, task, features, device)
        dynamics, history = head.run(progress)
        probabilities = head.probabilities(temperature)
        details = {
            "encoder": encoder.recipe(),
            "features": int(features.shape[1]),
            "device": describe_device(device),
            "precision": encoding_precision(encoder.kind, device, len(data)),
            "threads": self.threads,
            "temperature": temperature,
            "seconds_embedding": round(embedded - started, 3),
        }
        return FitResult(probabilities, dynamics, history, time.perf_counter() - started, details)

    def _features(self, encoder: Encoder, data: TrainingData, task: FitTask, where: tuple[Any, ...]) -> np.ndarray:
        """Embeddings float16 (n, width) of all items, in one array that every fit shares; with `enough`, of the task's
        own alone. Those to predict are then embedded by themselves, as the run's own embeddings are."""
        if self.enough is None:
            return embed(encoder, data.features, *where)
        features = np.zeros((0, 0), np.float16)
        for rows in (task.train, task.predict):
            part = embed(encoder, rows_of(data.features, rows), *where)
            if not features.size:
                features = np.zeros((len(data), part.shape[1]), np.float16)  # pages of other items are never touched
            features[rows] = part
        return features

    def _temperature(self, data: TrainingData, task: FitTask, features: np.ndarray, device: str) -> float:
        """Temperature that makes the held-out logits of heads on inner folds most likely."""
        margins, held_weights = list[np.ndarray](), list[np.ndarray]()
        labels = np.asarray(data.labels)[task.train]
        for rest, held in inner_folds(labels, self.inner_folds, task.seed) if self.inner_folds else ():
            weights = None if task.weights is None else task.weights[rest]
            inner = FitTask(task.name, task.train[rest], task.train[held], task.seed, weights)
            head = _Head(self, data, inner, features, device)
            head.run(SilentProgress())
            logits = np.delete(head.logits.numpy().astype(np.float64), head.absent, axis=1)
            margins.append(held_out_margins(np.unique(labels[rest]), logits, labels[held]))
            if task.weights is not None:
                held_weights.append(task.weights[held])
        return best_temperature(margins, held_weights)[0] if margins else 1.0


class _Head:
    """Training of one head. Features are standardised with the training part's mean and deviation."""

    def __init__(
        self, trainer: FrozenTrainer, data: TrainingData, task: FitTask, features: np.ndarray, device: str
    ) -> None:
        import torch

        self.trainer, self.task, self.device, self.torch = trainer, task, device, torch
        self.features = features
        self.labels = torch.from_numpy(np.ascontiguousarray(data.labels, dtype=np.int64))
        mean, variance = moments(features, np.sort(task.train))
        self.mean, self.std = (
            torch.from_numpy(values.astype(np.float32)).to(device) for values in (mean, np.sqrt(variance) + 1e-3)
        )
        self.absent = np.setdiff1d(np.arange(data.n_classes), np.unique(data.labels[task.train]))
        width = features.shape[1]
        generator = torch.Generator().manual_seed(derive_seed(task.seed, "head"))
        sizes = [width, data.n_classes] if trainer.head == "linear" else [width, trainer.hidden, data.n_classes]
        #: Of the predicted items after the epochs so far.
        self.logits = torch.empty(0)
        self.weights = []
        for inputs, outputs in pairwise(sizes):
            # A linear head starts at 0: it then does not depend on the seed except through the order of batches.
            scale = 0.0 if trainer.head == "linear" else (2.0 / inputs) ** 0.5
            weight = torch.randn(inputs, outputs, generator=generator) * scale
            self.weights += [weight.to(device).requires_grad_(), torch.zeros(outputs, device=device).requires_grad_()]

    def _rows(self, positions: np.ndarray) -> torch.Tensor:
        rows = self.torch.from_numpy(np.ascontiguousarray(self.features[positions])).to(self.device).float()
        return (rows - self.mean) / self.std

    def _logits(self, rows: torch.Tensor, dropout: torch.Generator | None = None) -> torch.Tensor:
        if len(self.weights) == 2:
            return rows @ self.weights[0] + self.weights[1]
        hidden = (rows @ self.weights[0] + self.weights[1]).relu()
        if dropout is not None:
            keep = 1 - self.trainer.dropout
            hidden = hidden * (self.torch.rand(hidden.shape, generator=dropout).to(self.device) < keep) / keep
        return hidden @ self.weights[2] + self.weights[3]

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
        """Mean over a batch, each item by its weight; `chosen` are places in ``task.train``."""
        if self.task.weights is None:
            return self.torch.nn.functional.cross_entropy(logits, labels)
        weights = self.torch.from_numpy(np.asarray(self.task.weights, np.float32)[chosen]).to(self.device)
        return (self.torch.nn.functional.cross_entropy(logits, labels, reduction="none") * weights).mean()

    def _held_out(self) -> torch.Tensor:
        """Logits of the predicted items, float32 (n, K)."""
        with self.torch.inference_mode():
            predict = self.task.predict
            parts = [self._logits(self._rows(predict[at : at + 4096])).cpu() for at in range(0, len(predict), 4096)]
            return self.torch.cat(parts) if parts else self.torch.empty(0, self.weights[-1].shape[0])

    def run(self, progress: Progress) -> tuple[Dynamics, list[dict[str, Any]]]:
        from auditor.train.capture import summarise_logits

        torch, trainer, task = self.torch, self.trainer, self.task
        order = np.random.default_rng(derive_seed(task.seed, "batches"))
        dropout = torch.Generator().manual_seed(derive_seed(task.seed, "dropout"))
        batches = -(-len(task.train) // trainer.batch)
        epochs = max(trainer.epochs, -(-trainer.least_steps // batches))
        steps = epochs * batches
        optimiser = torch.optim.AdamW(self.weights, lr=trainer.rate, weight_decay=trainer.weight_decay)
        seen = np.full((3, epochs, len(task.train)), np.nan, np.float16)
        held = np.empty((3, epochs, len(task.predict)), np.float16)
        history: list[dict[str, Any]] = []
        given = self.labels[task.predict]
        step = 0
        progress.start(task.name, epochs, "epoch")
        for epoch in range(epochs):
            started, loss_sum = time.perf_counter(), 0.0
            permutation = order.permutation(len(task.train))
            for at in range(0, len(permutation), trainer.batch):
                chosen = permutation[at : at + trainer.batch]
                labels = self.labels[task.train[chosen]].to(self.device)
                out = self._logits(self._rows(task.train[chosen]), dropout)
                loss = self._loss(out, labels, chosen)
                optimiser.param_groups[0]["lr"] = trainer.rate * (1 - step / steps)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step += 1
                loss_sum += float(loss.detach()) * len(chosen)
                seen[:, epoch, chosen] = summarise_logits(out.detach(), labels).cpu().numpy()
            self.logits = logits = self._held_out()
            held[:, epoch] = summarise_logits(logits, given).numpy()
            accuracy = float(np.mean(logits.argmax(1).numpy() == given.numpy())) if len(logits) else None
            seconds, loss_mean = time.perf_counter() - started, loss_sum / len(task.train)
            row = {"epoch": epoch + 1, "seconds": seconds, "train_loss": loss_mean, "heldout_accuracy": accuracy}
            history.append(row)
            progress.advance(task.name, epoch + 1, "" if accuracy is None else f"accuracy {accuracy:.3f}")
        progress.finish(task.name)
        return Dynamics(*seen, *held), history

    def probabilities(self, temperature: float) -> np.ndarray:
        """Of the predicted items after the last epoch, float32 (n, K)."""
        from scipy.special import softmax

        values = self.logits.numpy().astype(np.float64) / temperature
        values[:, self.absent] = -np.inf  # a class absent from the training part cannot have been learned
        return softmax(values, axis=1).astype(np.float32)
