"""The items' content in the run folder: decoded once, memory-mapped by everything later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.audit.context import IMAGES, Context
from auditor.audit.manifest import StageResult
from auditor.core.errors import EmptyDataError
from auditor.data.base import BadItem, item_word
from auditor.data.kinds import ImageDataset
from auditor.runs.tables import write_array


@dataclass(frozen=True)
class Decoded:
    """Which items could not be decoded, and the same as bool (n,)."""

    bad_items: tuple[BadItem, ...]
    bad: np.ndarray


def decode(context: Context) -> StageResult[Decoded]:
    """Decode every item; images are written to the run folder.

    Raises
    ------
    EmptyDataError
        If not one item can be decoded.
    """
    dataset, n = context.dataset, len(context.dataset)
    context.progress.stage("decode", f"{n:,} {item_word(dataset.modality)}s")
    if not isinstance(dataset, ImageDataset):
        return StageResult(Decoded((), np.zeros(n, bool)))

    def produce() -> dict[str, Any]:
        notes_before = len(dataset.notes)
        images, bad = dataset.load_images(np.arange(n), progress=context.progress)
        write_array(context.folder / IMAGES, images)
        return {
            "bad": [[b.position, b.reason] for b in bad],
            "shape": list(images.shape),
            "notes": dataset.notes[notes_before:],
        }

    info = context.stages.run("decode", context.inputs(), [IMAGES], produce).info
    bad_items = tuple(BadItem(int(position), str(reason)) for position, reason in info["bad"])
    if len(bad_items) == n:
        raise EmptyDataError(
            f"not one of the {n} items of {dataset.name!r} can be decoded; "
            f"the first: {str(dataset.ids[bad_items[0].position])!r}: {bad_items[0].reason}."
        )
    bad = np.zeros(n, bool)
    bad[[b.position for b in bad_items]] = True
    if bad_items:
        context.progress.note(f"{len(bad_items)} item(s) cannot be decoded; listed as DQ001, the run goes on")
    return StageResult(Decoded(bad_items, bad), notes=info["notes"])
