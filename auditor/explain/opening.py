"""What can be said before torch is imported: whether a run holds networks, and the picture of an item."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import AuditorError, DataError, UsageError
from auditor.report.find_errors import SHOWN
from auditor.runs import layout
from auditor.runs.run import Run

if TYPE_CHECKING:
    from PIL.Image import Image

    from auditor.data.base import Dataset


def has_networks(run: Run) -> bool:
    """Whether the run kept networks, and torch is here to ask them."""
    weights = any((run.path / layout.TASKS / "results").glob("*.weights.npz"))
    return weights and find_spec("torch") is not None


def report_maps(run: Run, dataset: Dataset) -> dict[str, str]:
    """What the networks looked at in the suspects a report shows, as data URIs by id; empty where none were kept."""
    if dataset.modality != "image" or not has_networks(run):
        return {}
    from auditor.explain.item import suspect_pictures

    return suspect_pictures(run, dataset, SHOWN)


def item_content(run: Run, item: str, settings: Settings) -> Any:
    """An item as the run saw it: picture, text or row, as `Dataset.item` gives it.

    Raises
    ------
    UsageError
        If the run has probabilities only.
    UnknownNameError
        If the run has no such item.
    DataError
        As `same_item`.
    """
    if run.manifest["data"]["modality"] == "probabilities":
        raise UsageError("this run has probabilities only, not the items themselves.")
    (content,) = items_of(run, [item], settings)
    if isinstance(content, AuditorError):
        raise content
    return content


def items_of(
    run: Run, ids: Sequence[str], settings: Settings | None = None, dataset: Dataset | None = None
) -> list[Any]:
    """Some items as the run saw them, each as `Dataset.item` gives it; an `AuditorError` in place of one that is gone,
    changed or cannot be read. The data set is opened once, unless it is given.
    """
    rows = [run.row(item) for item in ids]
    try:
        dataset = run.open_data(settings) if dataset is None else dataset
    except AuditorError as error:
        return [error] * len(ids)
    items: list[Any] = []
    for row, item, content in zip(rows, ids, run.items["content_hash"].iloc[rows], strict=True):
        try:
            items.append(same_item(dataset, row, item, str(content)).item(0))
        except AuditorError as error:
            items.append(error)
    return items


def same_item(dataset: Dataset, row: int, item: str, content_hash: str) -> Dataset:
    """The one item of a data set that a run recorded in this row under this id, with this content.

    Raises
    ------
    DataError
        If the data set holds no such item, or something else under its id by now.
    """
    # A run of supplied probabilities holds one split of its data set: its rows are then not those of the data set.
    rows = np.array([row])
    if row >= len(dataset) or dataset.ids[row] != item:
        rows = np.flatnonzero(dataset.ids == item)[:1]
    # The hash of this one item: hashing all of a large data set takes minutes.
    single = dataset.subset(rows) if len(rows) else None
    if single is None or single.content_hashes[0] != content_hash:
        raise DataError(
            f"item {item!r} of {dataset.reference!r} is no longer the one this run saw.",
            "Repeat auditor find-errors on the data as it is now.",
        )
    return single


def item_image(run: Run, item: str, settings: Settings) -> Image:
    """The picture of an item. Errors as `item_content`; `UsageError` too if the run's items are no pictures."""
    if (modality := run.manifest["data"]["modality"]) != "image":
        raise UsageError(f"Grad-CAM explains images; this run holds {modality} items.")
    image: Image = item_content(run, item, settings)
    return image
