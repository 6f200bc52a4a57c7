"""Groups of items that must stay on one side of every fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.audit.context import IMAGES, Context
from auditor.audit.manifest import StageResult, done
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.runs import layout
from auditor.runs.tables import write_array

#: Group number of every item, int64 (n,).
GROUPS = layout.WORK + "/groups.npy"


def group_duplicates(context: Context, bad: np.ndarray) -> StageResult[np.ndarray]:
    """Number the groups that must stay together, int64 (n,).

    Exact duplicates (equal content hash), near duplicates of images and texts, and the user's own groups are
    joined: items that share any of them share a number. `bad` items have no content to compare.
    """
    context.progress.stage("duplicates", "so that copies never lie on both sides of a fold")
    dataset, near = context.dataset, context.config.near_duplicates

    def produce() -> dict[str, Any]:
        from auditor.quality.duplicates import find_duplicates
        from auditor.train.folds import merge_groups

        images = load_npy(context.folder / IMAGES, mmap=True) if isinstance(dataset, ImageDataset) and near else None
        texts = dataset.texts if isinstance(dataset, TextDataset) and near else None
        duplicates = find_duplicates(dataset.content_hashes, images=images, texts=texts, skip=bad)
        write_array(context.folder / GROUPS, merge_groups(len(dataset), duplicates.group, dataset.items.groups))
        user = ", joined with your groups" if dataset.items.groups is not None else ""
        return {
            "counts": {"n_exact_duplicate_groups": duplicates.n_exact, "n_near_duplicate_groups": duplicates.n_near},
            "detail": f"{duplicates.n_exact} exact and {duplicates.n_near} near duplicate group(s){user}",
        }

    inputs = context.inputs(near=near, bad=hash_array(bad))
    info = context.stages.run("duplicates", inputs, [GROUPS], produce).info
    groups = load_npy(context.folder / GROUPS)
    return StageResult(groups, [done("duplicates", info["detail"])], sections={"counts": info["counts"]})
