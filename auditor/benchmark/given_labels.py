"""The rows of a benchmark: given labels, class names, and what the rows are called elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError
from auditor.core.row_lookup import RowLookup, whole_number
from auditor.data.base import Dataset
from auditor.data.intake import encode_supplied, one_column, read_labels
from auditor.review.published import read_index


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """Given labels of all rows.

    Attributes
    ----------
    labels : int64 array (n,)
    source : str
        Where they come from, for messages.
    class_names : tuple of str or None
        Name of each label number, where known.
    names : tuple of str or None
        What each row is called elsewhere (file name, id), where known.
    other_names : tuple of str or None
        A second name of each row.
    """

    labels: np.ndarray
    source: str
    class_names: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = field(default=None, repr=False)
    other_names: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise EmptyDataError(f"{self.source}: there are no labels.")
        if self.labels.min() < 0:
            raise LabelError(f"{self.source}: label {int(self.labels.min())} is negative.", "Labels count from 0.")
        if self.names is not None and len(self.names) != len(self.labels):
            raise DataError(
                f"the index names {len(self.names):,} rows, {self.source} has {len(self.labels):,}.",
                "Give the index that belongs to these labels.",
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes: of names, or one more than the largest label."""
        return len(self.class_names) if self.class_names else int(self.labels.max()) + 1

    @cached_property
    def rows(self) -> RowLookup:
        """Which row an id of somebody else means."""
        return RowLookup(len(self), names=[names for names in (self.names, self.other_names) if names is not None])

    def numbers_of(self, values: Sequence[Any], where: str) -> np.ndarray:
        """Class numbers of labels that are numbers or class names, int64.

        Raises
        ------
        LabelError
            As `auditor.data.intake.encode_supplied`, and for a missing value.
        """
        encoded = encode_supplied(np.array([*values, None], dtype=object)[:-1], self.class_names, where)
        if self.class_names is None and not encoded.names[-1].isdigit():
            raise LabelError(f"{where}: {encoded.names[-1]!r} is no class number, and the class names are not known.")
        return encoded.complete(where)


def load_given_labels(path: Path, index: Path | None = None, class_names: Sequence[str] | None = None) -> GivenLabels:
    """Read given labels.

    Parameters
    ----------
    path : Path
        ``.npy``, ``.npz`` (``labels``), ``.txt``, or a table with a column ``label``, whose column ``id``, if there
        is one, names the rows.
    index : Path, optional
        ``index.json``: what each row is called.
    class_names : sequence of str, optional
        In the order of the label numbers; needed where labels are names.

    Raises
    ------
    AuditorError
        If a file cannot be read, or labels are missing.
    """
    where = repr(str(path))
    column = read_labels(path)
    ids = None if column.row_names is None else [str(name) for name in column.row_names]
    if ids is not None and all(whole_number(name) == k for k, name in enumerate(ids)):
        ids = None  # plain row numbers
    names = read_index(index) if index is not None else ids
    encoded = encode_supplied(one_column(column.values, where), class_names, where)
    numbered = class_names is None and encoded.names == tuple(map(str, range(len(encoded.names))))
    labels = encoded.complete(where).astype(np.int64)
    return GivenLabels(labels, where, None if numbered else encoded.names, None if names is None else tuple(names))


def labels_of_dataset(dataset: Dataset) -> GivenLabels:
    """Labels and names of a data set of one split, in the order of its rows."""
    if not np.array_equal(dataset.items.index, np.arange(len(dataset))):
        last = len(dataset) - 1
        raise DataError(f"the rows of {dataset.name!r} are not numbered from 0 to {last} in order.", "Name one split.")
    ids, paths = tuple(map(str, dataset.items.ids)), dataset.items.paths
    other = None if paths is None else tuple(map(str, paths))
    labels = np.asarray(dataset.labels, np.int64)
    return GivenLabels(labels, repr(dataset.name), tuple(dataset.class_names), ids, other)
