"""The rows a gate judges: of a data set as it is now, or as a run recorded them, with what its checks found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError
from auditor.core.hashing import hash_strings
from auditor.data.base import Dataset
from auditor.runs.run import Run


@dataclass(frozen=True, eq=False)
class Rows:
    """Items with what the gate needs of them; all arrays have shape (n,).

    Attributes
    ----------
    name, reference : str
        Of the data set.
    hash_scheme : str
    ids, content, labels, splits : object arrays of str
        Item id, content hash, label as a class name, split.
    paths : object array of str, or None
    """

    name: str
    reference: str
    hash_scheme: str
    ids: np.ndarray
    content: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    paths: np.ndarray | None

    def __len__(self) -> int:
        return len(self.ids)

    def keys(self) -> list[str]:
        """Identity of each row for a baseline: hash of content, label and split."""
        return [
            hash_strings(list(map(str, row))).removeprefix("sha256:")[:32]
            for row in zip(self.content, self.labels, self.splits, strict=True)
        ]


def rows_of_dataset(dataset: Dataset) -> Rows:
    """The rows as they are now."""
    names, paths = np.array(dataset.class_names, dtype=object), dataset.items.paths
    return Rows(
        dataset.name,
        dataset.reference,
        dataset.hash_scheme,
        dataset.ids.astype(str).astype(object),
        dataset.content_hashes.astype(object),
        names[dataset.labels],
        dataset.items.splits.astype(str).astype(object),
        None if paths is None else paths.astype(object),
    )


def rows_of_run(run: Run) -> Rows:
    """The rows as the run recorded them.

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
    ids, content, labels, splits = (items[name].to_numpy(object) for name in ("id", "content_hash", "given", "split"))
    paths = items["path"].to_numpy(object) if items["path"].notna().any() else None
    return Rows(data["name"], data["reference"], data.get("hash_scheme", ""), ids, content, labels, splits, paths)
