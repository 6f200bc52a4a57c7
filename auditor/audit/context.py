"""What every stage of one audit may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.config import AuditConfig
from auditor.core.files import load_npy
from auditor.core.machine import cpu_count
from auditor.core.progress import Progress
from auditor.core.version import __version__
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.runs import layout
from auditor.runs.stages import Stages
from auditor.train.base import Trainer, TrainingData
from auditor.train.cluster import Cluster

#: Decoded pixels of all items, uint8 (n, H, W, 3); undecodable items are black.
IMAGES = layout.WORK + "/images.npy"


@dataclass(frozen=True)
class Context:
    """One audit: frozen while its stages run.

    Attributes
    ----------
    dataset : Dataset
    config : AuditConfig
    folder : Path
        Run folder; this process holds its lock.
    stages : Stages
        Records of the finished stages of the folder.
    progress : Progress
    trainer : Trainer or None
        The caller's own, instead of one by name.
    workers : int or None
        Processes that fit side by side; None = as many as there are cores for.
    cluster : Cluster or None
    left_out : tuple of str
        Columns of a table that no model is shown.
    embeddings_dir : Path or None
        Where runs share embeddings; None: this one keeps its own.
    """

    dataset: Dataset
    config: AuditConfig
    folder: Path
    stages: Stages
    progress: Progress
    trainer: Trainer | None = None
    workers: int | None = None
    cluster: Cluster | None = None
    left_out: tuple[str, ...] = ()
    embeddings_dir: Path | None = None

    @property
    def cache(self) -> Path:
        """Where trainers and the stage of embeddings keep what an encoder computes."""
        return self.embeddings_dir or self.folder / layout.WORK / "embeddings"

    def inputs(self, **more: Any) -> dict[str, Any]:
        """What the key of a stage is hashed from: layout, version, data, and `more`."""
        return {"schema": layout.RUN_SCHEMA, "version": __version__, "data": self.dataset.fingerprint, **more}

    def workers_for(self, trainers: Sequence[Trainer]) -> int:
        """Fits side by side. Threads of one fit are part of its recipe; workers share out what cores are left."""
        return self.workers or max(1, cpu_count() // max(getattr(trainer, "threads", 1) for trainer in trainers))

    def training_data(self, usable: np.ndarray) -> TrainingData:
        """Features and labels of the usable items, in ascending order of their rows."""
        images = load_npy(self.folder / IMAGES, mmap=True) if isinstance(self.dataset, ImageDataset) else None
        return training_data(self.dataset, usable, images, self.left_out)


def training_data(
    dataset: Dataset, rows: np.ndarray, images: np.ndarray | None = None, left_out: Sequence[str] = ()
) -> TrainingData:
    """Features and labels of `rows`, ascending; of an image data set with its decoded `images`, uint8 (n, H, W, 3); of
    a table without the columns `left_out`."""
    labels, n_classes = dataset.labels[rows], len(dataset.class_names)
    if images is not None:
        features = images if len(rows) == len(images) else np.asarray(images[rows])
        return TrainingData("image", features, labels, n_classes)
    if isinstance(dataset, TextDataset):
        texts = dataset.texts
        return TrainingData("text", [texts[i] for i in rows], labels, n_classes)
    if isinstance(dataset, TableDataset):
        frame = dataset.frame.drop(columns=list(left_out))
        return TrainingData("table", frame.iloc[rows].reset_index(drop=True), labels, n_classes)
    raise TypeError(f"no training data can be made from a {dataset.modality} data set")
