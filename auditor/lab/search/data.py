"""What a search may look at: a training and a validation part of the train split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError, UsageError
from auditor.core.progress import Progress
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.train.base import TrainingData
from auditor.train.final import Amount, split_training


@dataclass(frozen=True)
class SearchData:
    """Images of the train split only.

    Attributes
    ----------
    data : TrainingData
        The chosen images, those of training and validation mixed in the order of the split.
    train, validation : int64 arrays
        Positions into `data`; disjoint, an equal number of each class as far as it goes.
    ids : str array
        Of `data`; all of the train split.
    """

    data: TrainingData
    train: np.ndarray
    validation: np.ndarray
    ids: np.ndarray


def open_search_data(
    reference: str, train: int | None, validation: int, settings: Settings, progress: Progress
) -> SearchData:
    """Cut a training and a validation part out of the train split; the test split is not even opened.

    The parts are a function of the data set and the two numbers, the same for every search and seed.

    Parameters
    ----------
    reference : str
        Image data set with a split ``train``.
    train : int or None
        Training images; None for all that are not validation.
    validation : int

    Raises
    ------
    UsageError, UnreadableError
    """
    dataset = open_dataset(reference, settings, split="train")
    if not isinstance(dataset, ImageDataset):
        raise UsageError(f"architectures are searched on images; {reference!r} holds {dataset.modality} data.")
    rows = np.flatnonzero(dataset.items.splits == "train")
    if len(rows) != len(dataset):
        raise UsageError(f"{reference!r}: the train split cannot be opened alone.")
    inner, held = split_training(dataset.labels, rows, Amount(train, validation, (), 1, 0.1))
    chosen = np.sort(np.concatenate([inner, held]))
    images, bad = dataset.subset(chosen).load_images(progress=progress)
    if bad:
        raise UnreadableError(f"{len(bad)} images of {reference!r} cannot be decoded, e.g. {bad[0].reason}.")
    data = TrainingData("image", images, dataset.labels[chosen], len(dataset.class_names))
    return SearchData(data, np.searchsorted(chosen, inner), np.searchsorted(chosen, held), dataset.ids[chosen])
