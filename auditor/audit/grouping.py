"""Groups of items that must stay on one side of every fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.content import IMAGES
from auditor.core.files import load_npy
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.quality.duplicates import find_duplicates
from auditor.runs.tables import write_array
from auditor.train.folds import merge_groups

__all__ = ["find_groups"]


def find_groups(dataset: Dataset, folder: Path, path: str, bad: np.ndarray, near: bool) -> dict[str, Any]:
    """Write the group number of every item to `path` in the run folder.

    Exact duplicates (equal content hash), near duplicates of images and texts, and the user's own groups are
    joined: whoever shares any of them shares a number.
    """
    images = load_npy(folder / IMAGES, mmap=True) if isinstance(dataset, ImageDataset) and near else None
    texts = dataset.texts if isinstance(dataset, TextDataset) and near else None
    duplicates = find_duplicates(dataset.content_hashes, images=images, texts=texts, skip=bad)
    groups = merge_groups(len(dataset), duplicates.group, dataset.items.groups)
    write_array(folder / path, groups)
    counts = {"n_exact_duplicate_groups": duplicates.n_exact, "n_near_duplicate_groups": duplicates.n_near}
    user = ", joined with your groups" if dataset.items.groups is not None else ""
    detail = f"{duplicates.n_exact} exact and {duplicates.n_near} near duplicate group(s){user}"
    return {"counts": counts, "detail": detail}
