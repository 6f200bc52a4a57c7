"""CIFAKE as the grid sees it: cells, copies, which items are for training, comparing and testing; pixels on request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.core.progress import Progress
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.lab.cifake.grid.budgets import GridBudget
from auditor.lab.cifake.grid.splits import cut, draw


@dataclass(frozen=True)
class GridData:
    """Who is trained on, compared on and tested on. Positions refer to `dataset`.

    Attributes
    ----------
    dataset : ImageDataset
        ``cifake`` with both splits; labels 0 = FAKE, 1 = REAL.
    cells : int64 array (n,)
        Label x 10 + object class.
    copies : int64 array (n,)
        Equal for items of equal content.
    grid_train, validation, final_train, test : int64 arrays
        Ascending positions.
    """

    dataset: ImageDataset
    cells: np.ndarray
    copies: np.ndarray
    grid_train: np.ndarray
    validation: np.ndarray
    final_train: np.ndarray
    test: np.ndarray

    def pixels(self, positions: np.ndarray, progress: Progress) -> np.ndarray:
        """uint8 (len(positions), 32, 32, 3).

        Raises
        ------
        DataError
            If an item cannot be decoded: the networks would be compared on black squares.
        """
        images, bad = self.dataset.load_images(positions, progress=progress)
        if bad:
            raise DataError(f"{len(bad)} image(s) cannot be decoded, first {self.dataset.ids[bad[0].position]!r}.")
        return images

    def leaked(self, rows: np.ndarray) -> np.ndarray:
        """Which of the items `rows` have a copy in the train split, bool."""
        train = self.dataset.items.splits == "train"
        return np.isin(self.copies[rows], self.copies[train])

    def repeated(self, rows: np.ndarray) -> np.ndarray:
        """Which of the items `rows` repeat an earlier one of them, bool."""
        _, first = np.unique(self.copies[rows], return_index=True)
        repeats = np.ones(len(rows), bool)
        repeats[first] = False
        return repeats


def both_views(settings: Settings) -> tuple[ImageDataset, Dataset]:
    """CIFAKE by source, and by class.

    Raises
    ------
    DataError
        If the two disagree.
    """
    dataset, classes = open_dataset("cifake", settings), open_dataset("cifake:class", settings)
    if not isinstance(dataset, ImageDataset) or not np.array_equal(dataset.ids, classes.ids):
        raise DataError("the two views of CIFAKE do not hold the same items.")
    return dataset, classes


def open_cifake(settings: Settings, budget: GridBudget, seed: int) -> GridData:
    """Open CIFAKE and share its items out.

    The validation split and everything the grid is trained on come from the train split; no content lies in both.
    The chosen topology is trained again on `GridBudget.final_train` items of the whole train split.
    """
    dataset, classes = both_views(settings)
    _, copies = np.unique(dataset.content_hashes, return_inverse=True)
    cells = dataset.labels * len(classes.class_names) + classes.labels
    is_train = dataset.items.splits == "train"
    train, test = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    held = np.zeros(len(dataset), bool)
    held[train] = cut(cells[train], copies[train], budget.validation, seed)
    return GridData(
        dataset,
        cells,
        copies,
        draw(cells, is_train & ~held, budget.train, seed),
        np.flatnonzero(held),
        draw(cells, is_train, budget.final_train, seed),
        test if budget.test is None else draw(cells, ~is_train, budget.test, seed),
    )
