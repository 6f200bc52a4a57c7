"""CIFAR-10: 60,000 images of 32x32 pixels in ten classes, 50,000 train and 10,000 test.

The rows are brought into the usual order (torchvision, Keras, the published label arrays), whatever order the
source has, so that ``test/2405`` is the same photograph everywhere.
"""

from __future__ import annotations

import hashlib
from itertools import permutations
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError
from auditor.data.base import ItemTable
from auditor.data.columns import int_labels, parquet_file
from auditor.data.kinds import RGB_SCHEME, ImageDataset
from auditor.data.locate import NamedFiles, find_folder, missing_error, offline_reason
from auditor.data.reference import Reference
from auditor.data.sources import ColumnSource

__all__ = ["CLASSES", "Cifar10"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = ("train", "test")
FILES = NamedFiles("cifar10", ("cifar10", "cifar-10"), "{split}-*.parquet", "{split}-00000-of-00001.parquet")
#: sha256 of the label column as uint8 in the usual order; computed from the published files.
LABEL_ORDER = {
    "train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}


class Cifar10:
    """Adapter of ``cifar10``."""

    summary = "CIFAR-10: 60,000 photographs, 32x32, 10 classes"
    example = "cifar10?split=test"
    options: frozenset[str] = frozenset()

    def open(self, reference: Reference, settings: Settings) -> ImageDataset:
        """Open both splits, or only the files of the one asked for."""
        wanted = reference.options.get("split")
        splits = (wanted,) if wanted in SPLITS else SPLITS
        folder = find_folder(FILES, splits, settings)
        if folder is None:
            why = offline_reason(settings) or "downloading is not available"
            raise missing_error(FILES, splits, settings, why)
        return open_parquet(folder, splits, reference)

    def status(self, settings: Settings) -> tuple[str, str]:
        """Where the parquet files are."""
        folder = find_folder(FILES, SPLITS, settings)
        if folder is not None:
            return "found", str(folder)
        if why := offline_reason(settings):
            return "missing", f"{FILES.folders[0]}/{FILES.example.format(split='test')}; {why}"
        return "download", "about 110 MB, on first use"


def open_parquet(folder: Path, splits: tuple[str, ...], reference: Reference) -> ImageDataset:
    """CIFAR-10 from parquet files in the Hub's layout."""
    notes: list[str] = []
    files, rows, labels, base = [], [], [], 0
    for split in splits:
        parts = [parquet_file(path) for path in FILES.files(folder, split)]
        given = int_labels(parts, "label")
        order = usual_order(given, split)
        if order is None:
            notes.append(f"{split}: the labels are not those of CIFAR-10 in any known order; rows kept as found")
            order = np.arange(len(given))
        files += parts
        rows.append(base + order)
        labels.append(given[order])
        base += len(given)
    sizes = [len(part) for part in labels]
    source = ColumnSource(files, _image_column(files[0].path), np.concatenate(rows))
    return ImageDataset(
        name="cifar10", reference=str(reference), class_names=CLASSES, source=source, notes=notes,
        items=_items(splits, sizes, np.concatenate(labels)), hash_scheme=RGB_SCHEME,
    )  # fmt: skip


def _items(splits: tuple[str, ...], sizes: list[int], labels: np.ndarray) -> ItemTable:
    return ItemTable(
        ids=np.array([f"{s}/{i}" for s, n in zip(splits, sizes, strict=True) for i in range(n)]),
        labels=labels.astype(np.int64),
        splits=np.repeat(np.array(splits), sizes),
        index=np.concatenate([np.arange(n) for n in sizes]),
    )


def _image_column(path: str) -> str:
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    for name in ("img", "image"):
        if name in names:
            return name
    raise UnreadableError(f"{path!r} has no image column 'img' or 'image'; columns: {', '.join(names)}.")


def usual_order(labels: np.ndarray, split: str) -> np.ndarray | None:
    """Rows that bring `labels` of one split into the usual order, or None if they are other data.

    The Hub's copy was made from the published archive member by member; its training batches of 10,000 need not
    stand in the usual order, so all orders of whole batches are tried against the known label column.
    """
    if len(labels) == 0 or labels.min() < 0 or labels.max() > 255:
        return None
    column = labels.astype(np.uint8)
    if len(column) % 10_000 or len(column) > 50_000:
        return None
    blocks = np.arange(len(column)).reshape(-1, 10_000)
    for order in permutations(range(len(blocks))):
        rows = blocks[list(order)].ravel()
        if hashlib.sha256(column[rows].tobytes()).hexdigest() == LABEL_ORDER[split]:
            return rows
    return None
