"""The rows a gate looks at: from a data set as it is now, or as a run recorded it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.core.hashing import hash_strings
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.quality.duplicates import find_duplicates
from auditor.runs.run import Run

__all__ = ["Rows", "rows_of_dataset", "rows_of_run"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Items with what the gate needs of them; all arrays have shape (n,).

    Attributes
    ----------
    name, reference : str
        Of the data set.
    hash_scheme : str
    ids, content, labels, splits : str arrays
        Item id, content hash, label as a class name, split.
    paths : str array or None
    group : int64 array
        Copies share a number, the smallest position among them.
    readable : bool array
    """

    name: str
    reference: str
    hash_scheme: str
    ids: np.ndarray
    content: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    paths: np.ndarray | None
    group: np.ndarray
    readable: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def keys(self) -> list[str]:
        """Identity of each row for a baseline: hash of content, label and split."""
        return [
            hash_strings(list(map(str, row))).removeprefix("sha256:")[:32]
            for row in zip(self.content, self.labels, self.splits, strict=True)
        ]


def rows_of_dataset(reference: str, settings: Settings, near: bool) -> Rows:
    """Read a data set and find its copies. Errors as `auditor.data.open.open_dataset`."""
    dataset = open_dataset(reference, settings)
    readable = np.ones(len(dataset), bool)
    images = texts = None
    if isinstance(dataset, ImageDataset):
        pixels, bad = dataset.load_images()
        readable[[item.position for item in bad]] = False
        images = pixels if near else None
    elif isinstance(dataset, TextDataset) and near:
        texts = dataset.texts
    group = find_duplicates(dataset.content_hashes, images=images, texts=texts, skip=~readable).group
    return _rows(dataset, group, readable)


def _rows(dataset: Dataset, group: np.ndarray, readable: np.ndarray) -> Rows:
    names = np.array(dataset.class_names, dtype=object)
    paths = dataset.items.paths
    return Rows(
        dataset.name,
        dataset.reference,
        dataset.hash_scheme,
        dataset.ids.astype(str).astype(object),
        dataset.content_hashes.astype(object),
        names[dataset.labels],
        dataset.items.splits.astype(str).astype(object),
        None if paths is None else paths.astype(object),
        group,
        readable,
    )


def rows_of_run(run: Run, near: bool) -> Rows:
    """As the run recorded them; near copies are those its folds kept together.

    Raises
    ------
    DataError
        If it was made from probabilities alone.
    """
    data, items = run.manifest["data"], run.items
    if data["modality"] == "probabilities":
        raise DataError(
            f"the run {run.id!r} was made from probabilities alone: it holds no items to compare.",
            "Give the data set, with the run in the policy (run = ..).",
        )
    readable = (items["status"] != "undecodable").to_numpy()
    content = items["content_hash"].to_numpy(object)
    group = find_duplicates(content.astype(str), skip=~readable).group
    # A group column of the user ties items together that are no copies.
    if near and "group=" not in data["reference"]:
        stored = items["group"].to_numpy()
        _, first, inverse = np.unique(stored, return_index=True, return_inverse=True)
        group = first[inverse].astype(np.int64)
    paths = items["path"].to_numpy(object) if items["path"].notna().any() else None
    return Rows(
        data["name"],
        data["reference"],
        data.get("hash_scheme", ""),
        items["id"].to_numpy(object),
        content,
        items["given"].to_numpy(object),
        items["split"].to_numpy(object),
        paths,
        group,
        readable,
    )
