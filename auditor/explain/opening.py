"""What can be said before torch is imported: whether a run holds networks, and the picture of an item."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, MissingExtraError, UsageError
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.report.find_errors import SHOWN
from auditor.runs import layout
from auditor.runs.run import Run

if TYPE_CHECKING:
    from PIL.Image import Image

    from auditor.data.base import Dataset

__all__ = ["has_networks", "item_image", "need_torch", "report_maps"]


def need_torch() -> None:
    """Raise `MissingExtraError` where torch is not installed."""
    if find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "explaining a network")


def has_networks(run: Run) -> bool:
    """Whether the run kept networks, and torch is here to ask them."""
    kept = any((run.path / layout.TASKS / "results").glob("*.weights.npz"))
    return kept and find_spec("torch") is not None


def report_maps(run: Run, dataset: Dataset) -> dict[str, str]:
    """What the networks looked at in the suspects a report shows, as data URIs by id; empty where none were kept."""
    if dataset.modality != "image" or not has_networks(run):
        return {}
    from auditor.explain.item import suspect_pictures

    return suspect_pictures(run, dataset, SHOWN)


def item_image(run: Run, item: str, settings: Settings) -> Image:
    """The picture of an item, checked against the hash the run recorded.

    Raises
    ------
    UsageError
        If the run's items are no pictures.
    DataError
        If the run has no such item, or the data holds something else in its place by now.
    """
    data = run.manifest["data"]
    if data["modality"] != "image":
        raise UsageError(f"Grad-CAM explains images; this run holds {data['modality']} items.")
    row = np.flatnonzero(run.items["id"].to_numpy() == item)
    if not len(row):
        raise DataError(f"the run has no item {item!r}.", f"Ids are in {layout.ITEMS}.")
    dataset = open_dataset(data["reference"], settings)
    place = np.flatnonzero(dataset.ids == item)
    recorded = str(run.items["content_hash"].iloc[int(row[0])])
    if not isinstance(dataset, ImageDataset) or not len(place):
        raise DataError(f"{data['reference']!r} no longer holds the item {item!r}.")
    one = dataset.subset(place[:1])
    if one.content_hashes[0] != recorded:
        raise DataError(f"item {item!r} of {data['reference']!r} is no longer the one this run saw.")
    return one.item(0)
