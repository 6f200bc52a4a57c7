"""What a trainer is: the one protocol between cross-validation and the models it fits.

A trainer gets features, labels and positions, and returns out-of-sample probabilities for the positions it did
not train on. Everything that varies (images or texts, network or trees, GPU or CPU) is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from auditor.core.progress import Progress


@dataclass(frozen=True)
class TrainingData:
    """Features and labels of all usable items, in one order.

    Attributes
    ----------
    kind : str
        ``"image"``, ``"text"`` or ``"table"``.
    features : array, list of str or DataFrame
        image: uint8 (n, H, W, 3), possibly a memory map; text: list of n str; table: DataFrame with n rows,
        categorical columns of dtype ``category``.
    labels : int64 array (n,)
        Given labels, 0 .. n_classes - 1.
    n_classes : int
    """

    kind: str
    features: Any
    labels: np.ndarray
    n_classes: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class FitTask:
    """One model to fit: train on some positions, predict others.

    Attributes
    ----------
    name : str
        Unique within the run, e.g. ``"fold-3"`` or ``"seed-0"``; keys progress and checkpoints.
    train, predict : int64 arrays
        Positions into `TrainingData`; disjoint.
    seed : int
    weights : float64 array (len(train),), optional
        What each training item counts, not negative; 1 without it. Only for trainers that say ``weighs``.
    """

    name: str
    train: np.ndarray
    predict: np.ndarray
    seed: int
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Dynamics:
    """Logits per epoch, as far as detectors need them (specs: AUM, held-out margin, gap).

    Each array is float16 with shape (epochs, items): logit of the given class, largest other logit, and
    log-sum-exp over all classes. `train_*` follow ``FitTask.train`` (taken in the training forward pass; NaN
    where an item was not visited in an epoch), `heldout_*` follow ``FitTask.predict``.
    """

    train_given: np.ndarray
    train_other: np.ndarray
    train_logsumexp: np.ndarray
    heldout_given: np.ndarray
    heldout_other: np.ndarray
    heldout_logsumexp: np.ndarray


@dataclass(frozen=True)
class FitResult:
    """What one fitted model says about the items it never saw.

    Attributes
    ----------
    probabilities : float32 array (len(predict), n_classes)
        Rows sum to 1 within 1e-5.
    dynamics : Dynamics or None
        None for trainers without epochs.
    history : list of dict
        One row per epoch: at least ``epoch, seconds, train_loss``; ``heldout_accuracy`` where measured.
    seconds : float
    details : dict
        Device, precision, threads, parameters: what belongs beside the number in a report.
    weights : dict of arrays, or None
        What `auditor.train.kept` needs to rebuild the fitted network; a by-product, stored beside the result and not
        read back with it.
    """

    probabilities: np.ndarray
    dynamics: Dynamics | None
    history: list[dict[str, Any]]
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] | None = None


@runtime_checkable
class Trainer(Protocol):
    """Fits one model for one task.

    A trainer is a frozen dataclass of plain values (its recipe), so that it can be hashed into the stage key,
    written into the manifest and sent to a worker process. The result is a function of (recipe, data, task):
    never of the number of workers, of the clock or of earlier calls.

    Optional attributes: ``threads``, the CPU threads one fit uses (default 1); ``seeds``, how many models are averaged
    where a whole split is predicted from another one (default 1); ``kind``, as in `TrainingData`, if it reads one kind
    only; ``has_epochs``, False where no fit has dynamics (default True); ``weighs``, whether `fit` heeds
    ``FitTask.weights`` (default no); ``refits``, how often an audit fits it again with weights where the caller leaves
    that open (default 0: for fits that take seconds, and only where that was measured to help); and ``fixed``, whether
    nothing is trained: ``task.train`` and the seed are not read (default no).
    """

    @property
    def name(self) -> str:
        """Name for people and reports; a plain field will do."""

    def recipe(self) -> dict[str, Any]:
        """JSON-serialisable description of everything that can change the result."""

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Train on ``task.train`` and predict ``task.predict``.

        With `checkpoint_dir`, state is saved there after each epoch, atomically, and a later call with the same
        arguments continues from it with a byte-equal result.
        """
