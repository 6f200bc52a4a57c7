"""The items' content in the run folder: decoded once, memory-mapped by everything later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import EmptyDataError
from auditor.core.files import load_npy
from auditor.core.progress import Progress
from auditor.data.base import BadItem, Dataset
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.runs import layout
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array
from auditor.train.base import TrainingData

__all__ = ["IMAGES", "Content", "load_content", "training_data"]

#: Decoded pixels of all items, uint8 (n, H, W, 3); undecodable items are black.
IMAGES = layout.WORK + "/images.npy"


@dataclass(frozen=True)
class Content:
    """What decoding told."""

    bad_items: list[BadItem]
    notes: list[str]


def load_content(
    dataset: Dataset, folder: Path, stages: Stages, inputs: Mapping[str, Any], progress: Progress
) -> Content:
    """Decode every item of `dataset`; images are written to the run folder.

    Raises
    ------
    EmptyDataError
        If not one item can be decoded.
    """
    if not isinstance(dataset, ImageDataset):
        return Content([], [])

    def produce() -> dict[str, Any]:
        notes_before = len(dataset.notes)
        images, bad = dataset.load_images(np.arange(len(dataset)), progress=progress)
        write_array(folder / IMAGES, images)
        return {
            "bad": [[b.position, b.reason] for b in bad],
            "shape": list(images.shape),
            "notes": dataset.notes[notes_before:],
        }

    record = stages.run("decode", inputs, [IMAGES], produce)
    bad_items = [BadItem(int(position), str(reason)) for position, reason in record.info["bad"]]
    if len(bad_items) == len(dataset):
        raise EmptyDataError(
            f"not one of the {len(dataset)} items of {dataset.name!r} can be decoded; "
            f"the first: {dataset.ids[bad_items[0].position]!r}: {bad_items[0].reason}."
        )
    return Content(bad_items, list(record.info["notes"]))


def training_data(dataset: Dataset, folder: Path, usable: np.ndarray) -> TrainingData:
    """Features and labels of the usable items, in ascending order of their rows."""
    labels = dataset.labels[usable]
    n_classes = len(dataset.class_names)
    if isinstance(dataset, ImageDataset):
        images = load_npy(folder / IMAGES, mmap=True)
        features = images if len(usable) == len(images) else np.asarray(images[usable])
        return TrainingData("image", features, labels, n_classes)
    if isinstance(dataset, TextDataset):
        texts = dataset.texts
        return TrainingData("text", [texts[i] for i in usable], labels, n_classes)
    if isinstance(dataset, TableDataset):
        return TrainingData("table", dataset.frame.iloc[usable].reset_index(drop=True), labels, n_classes)
    raise TypeError(f"no training data can be made from a {dataset.modality} data set")
