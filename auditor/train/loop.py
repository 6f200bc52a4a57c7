"""The one training loop: a network, a task, epochs; checkpoints, dynamics, prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from auditor.core.progress import Progress
from auditor.train.base import Dynamics, FitTask
from auditor.train.batches import ImageTensor, cut_squares, shuffled_batches
from auditor.train.capture import DynamicsRecorder
from auditor.train.checkpoint import load_checkpoint, random_state, restore_random_state, save_checkpoint
from auditor.train.hooks import Hooks
from auditor.train.optim import usual_optimiser
from auditor.train.recipe import Recipe, View

#: Pixels per forward pass in prediction (500 images of 32 px); bounds memory, and in evaluation mode rows do not
#: influence each other.
PREDICT_PIXELS = 500 * 32 * 32
#: Least seconds between two progress events of a task.
REPORT_EVERY = 0.25


@dataclass
class TrainingLoop:
    """One training from the first step to the probabilities.

    Attributes
    ----------
    model : nn.Module
        On `device`, initialised.
    images : ImageTensor
    labels : int64 tensor (n,)
        Given labels of all items, on `device`.
    task : FitTask
    recipe : Recipe
    device, precision : str
        ``"cpu"``/``"cuda"``, ``"fp32"``/``"bf16"``.
    progress : Progress
    key : str
        Hash of everything the result depends on; a checkpoint with another key is not used.
    checkpoint : Path or None
        File the state is kept in.
    hooks : Hooks
        What a method adds: a term of the loss, work after each step, another optimiser.
    """

    model: nn.Module
    images: ImageTensor
    labels: torch.Tensor
    task: FitTask
    recipe: Recipe
    device: str
    precision: str
    progress: Progress
    key: str
    checkpoint: Path | None = None
    hooks: Hooks = field(default_factory=Hooks)

    def __post_init__(self) -> None:
        n = len(self.task.train)
        self.scales = self.recipe.epoch_scales(n)
        self.batch = self.recipe.batch_for(n)
        self.per_epoch = n // self.batch
        smallest = getattr(self.model, "min_size", 1)
        self.sizes = [self.images.size_at(scale, smallest) for scale in self.scales]
        share = self.recipe.crop / 32
        self.crop = (round(self.images.height * share), round(self.images.width * share))
        self.train = torch.from_numpy(self.task.train).to(self.device)
        self.predict = torch.from_numpy(self.task.predict).to(self.device)
        self.steps = len(self.scales) * self.per_epoch
        make = self.hooks.optimiser or usual_optimiser
        self.optimiser = make(self.model, self.recipe, self.batch, self.steps, self.per_epoch)
        self.recorder = DynamicsRecorder(len(self.scales), n, len(self.task.predict), self.device)
        self.first_heldout = min(len(self.scales) - 1, int(np.ceil(self.recipe.heldout_from * len(self.scales))))
        self.history: list[dict[str, Any]] = []
        self._reported = 0.0

    def run(self) -> tuple[np.ndarray, Dynamics, list[dict[str, Any]]]:
        """Train all epochs that no checkpoint covers, then predict.

        Returns
        -------
        probabilities : float32 array (len(task.predict), n_classes)
        dynamics : Dynamics
        history : list of dict
        """
        name = self.task.name
        self.progress.start(name, len(self.scales), "epoch")
        for epoch in range(self._resume(), len(self.scales)):
            started = time.perf_counter()
            loss = self._train_epoch(epoch)
            row: dict[str, Any] = {"epoch": epoch, "size": list(self.sizes[epoch]), "train_loss": loss}
            if epoch >= self.first_heldout:
                row["heldout_accuracy"] = self._heldout(epoch)
            row["seconds"] = round(time.perf_counter() - started, 3)
            self.history.append(row)
            self._save(epoch + 1)
            self.progress.advance(name, epoch + 1, self._note(row))
        probabilities = self.probabilities(self.images, self.predict)
        self.progress.finish(name, self._note(self.history[-1]))
        dynamics = Dynamics(*self.recorder.train.numpy(), *self.recorder.heldout.numpy())
        return probabilities, dynamics, self.history

    @staticmethod
    def _note(row: dict[str, Any]) -> str:
        accuracy = row.get("heldout_accuracy")
        return f"loss {row['train_loss']:.3f}" if accuracy is None else f"accuracy {accuracy:.3f}"

    def _train_epoch(self, epoch: int) -> float:
        """Train one epoch; mean cross-entropy per image, without what hooks and an auxiliary head add."""
        self.model.train()
        self.recorder.begin_epoch()
        total = torch.zeros((), device=self.device)
        done = epoch * self.per_epoch
        batches = shuffled_batches(
            len(self.train), self.batch, self.task.seed, epoch, self.crop, self.recipe.mirror, self.device
        )
        for positions, shift, mirrored in batches:
            rows = self.train[positions]
            labels = self.labels[rows]
            if self.hooks.before_step:
                self.hooks.before_step(done / self.steps)
            if self.recipe.final_keep < 1:
                self.model.set_progress(done / self.steps)  # type: ignore[operator]
            images = self.images.augmented(rows, self.sizes[epoch], shift, mirrored)
            if self.recipe.cutout:
                images = cut_squares(images, self.recipe.cutout / 32, self.task.seed, done)
            logits = self._forward(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing, reduction="sum")
            self.recorder.batch(positions, logits, labels)
            self.optimiser.zero_grad()
            extra = self.hooks.loss(done / self.steps) if self.hooks.loss else None
            whole = loss if extra is None else loss + self.batch * extra
            if self.recipe.auxiliary:
                second: torch.Tensor = self.model.auxiliary_logits  # type: ignore[assignment]
                self.model.auxiliary_logits = None  # type: ignore[assignment]
                whole = whole + self.recipe.auxiliary * F.cross_entropy(
                    second.float(), labels, label_smoothing=self.recipe.label_smoothing, reduction="sum"
                )
            whole.backward()
            self.optimiser.step(done)
            if self.hooks.after_step:
                self.hooks.after_step()
            total += loss.detach()
            done += 1
            self._report(done / self.per_epoch)
        self.recorder.end_epoch(epoch)
        return float(total) / (self.per_epoch * self.batch)

    def _report(self, epochs_done: float) -> None:
        now = time.monotonic()
        if now - self._reported >= REPORT_EVERY:
            self._reported = now
            self.progress.advance(self.task.name, epochs_done)

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model(images)
        return logits.float()

    def _logits(
        self,
        source: ImageTensor,
        positions: torch.Tensor,
        views: Sequence[View] = (View(0, 1.0),),
        mirror: bool = False,
    ) -> torch.Tensor:
        """Logits of images of `source` at the last trained resolution, in evaluation mode, averaged over views.

        A network is best at the resolution it was last trained at; another one costs several points.
        """
        size = self.sizes[min(len(self.history), len(self.sizes) - 1)]
        self.model.eval()
        parts = []
        with torch.no_grad():
            for rows in positions.split(max(1, PREDICT_PIXELS // (size[0] * size[1]))):
                total = torch.zeros((), device=rows.device)
                for view in views:
                    images = source.shifted(rows, size, view.shift)
                    logits = self._forward(images)
                    if mirror:
                        logits = (logits + self._forward(images.flip(3))) / 2
                    total = total + view.weight * logits
                parts.append(total)
        return torch.cat(parts)

    def _heldout(self, epoch: int) -> float:
        """Record the held-out items (one view each) and return the accuracy against the given labels."""
        logits, labels = self._logits(self.images, self.predict), self.labels[self.predict]
        self.recorder.heldout_pass(epoch, logits, labels)
        return float((logits.argmax(1) == labels).float().mean())

    def probabilities(self, source: ImageTensor, positions: torch.Tensor) -> np.ndarray:
        """Probabilities, float32 (len(positions), n_classes), of images of `source` with the recipe's views."""
        logits = self._logits(source, positions, self.recipe.views(), self.recipe.mirrored_views)
        return logits.double().softmax(1).float().cpu().numpy()

    def _save(self, epochs_done: int) -> None:
        if self.checkpoint is None:
            return
        state = {
            "epochs_done": epochs_done,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": random_state(),
            "history": self.history,
            "train": self.recorder.train[:, :epochs_done],
            "heldout": self.recorder.heldout[:, :epochs_done],
        }
        save_checkpoint(self.checkpoint, self.key, state)

    def _resume(self) -> int:
        """Load the checkpoint if it fits; number of epochs it covers."""
        if self.checkpoint is None:
            return 0
        state, reason = load_checkpoint(self.checkpoint, self.key, self.device)
        if reason:
            self.progress.note(f"{self.task.name}: {reason}.")
        if state is None:
            return 0
        done = int(state["epochs_done"])
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        restore_random_state(state["random"])
        self.history = state["history"]
        self.recorder.train[:, :done] = state["train"].cpu()
        self.recorder.heldout[:, :done] = state["heldout"].cpu()
        self.progress.advance(self.task.name, done, "continued")
        return done
