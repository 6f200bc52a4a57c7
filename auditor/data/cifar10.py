"""CIFAR-10: 60,000 images of 32x32 pixels in ten classes, 50,000 train and 10,000 test.

The rows are brought into the usual order (torchvision, Keras, the published label arrays), whatever order the
source has, so that ``test/2405`` is the same photograph everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import MissingExtraError, OfflineError, UnreadableError
from auditor.core.files import unpickle_arrays
from auditor.core.reading import regular_file
from auditor.data.base import ItemTable
from auditor.data.columns import parquet_file, read_column, schema_of
from auditor.data.hub import remote_splits
from auditor.data.kinds import RGB_SCHEME, ImageDataset
from auditor.data.locate import NamedFiles, find_folder, missing_error, offline_reason, search_folders
from auditor.data.reference import Reference
from auditor.data.sources import ArraySource, ColumnFile, ColumnSource, Source

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = ("train", "test")
#: Files of the folder ``cifar-10-batches-py``.
BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}
HUB_ID = "uoft-cs/cifar10"
PARQUET = NamedFiles("cifar10", ("cifar10", "cifar-10", HUB_ID), "{split}-*.parquet", "{split}-00000-of-00001.parquet")
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
        """Open both splits, or only the files of the one asked for: parquet, the Python batches, or the Hub."""
        wanted = reference.options.get("split")
        splits = (wanted,) if wanted in SPLITS else SPLITS
        if (folder := find_folder(PARQUET, splits, settings)) is not None:
            parts = {s: [parquet_file(path) for path in PARQUET.files(folder, s)] for s in splits}
            return from_columns(parts, reference)
        if (folder := _batches_folder(splits, settings)) is not None:
            return from_batches(folder, splits, reference)
        try:
            # Offline as well: an earlier download may be in the Hub's cache.
            files = {part.split: list(part.files) for part in remote_splits(HUB_ID, {}, settings)}
        except (OfflineError, MissingExtraError, UnreadableError) as error:
            raise missing_error(PARQUET, splits, settings, offline_reason(settings) or error.what) from error
        return from_columns({split: files[split] for split in splits}, reference)

    def status(self, settings: Settings) -> tuple[str, str]:
        """Where the files are."""
        folder = find_folder(PARQUET, SPLITS, settings) or _batches_folder(SPLITS, settings)
        if folder is not None:
            return "found", str(folder)
        if why := offline_reason(settings):
            return "missing", f"cifar10/{PARQUET.example.format(split='test')}; {why}"
        return "download", f"about 140 MB from the Hub ({HUB_ID}), on first use"


def _batches_folder(splits: tuple[str, ...], settings: Settings) -> Path | None:
    for base in search_folders(settings):
        for folder in (base / "cifar-10-batches-py", base / "cifar10" / "cifar-10-batches-py"):
            if all((folder / name).is_file() for split in splits for name in BATCHES[split]):
                return folder
    return None


def from_columns(parts: Mapping[str, Sequence[ColumnFile]], reference: Reference) -> ImageDataset:
    """CIFAR-10 from columnar files in the Hub's layout, by split."""
    notes: list[str] = []
    files, rows, labels, base = [], [], [], 0
    for split, given_files in parts.items():
        given = read_column(given_files, "label").cast("int64").fill_null(-1).to_numpy()
        order = usual_order(given, split)
        if order is None:
            notes.append(f"{split}: the labels are not those of CIFAR-10 in any known order; rows kept as found")
            order = np.arange(len(given))
        files += list(given_files)
        rows.append(base + order)
        labels.append(given[order])
        base += len(given)
    names = schema_of(files[0]).names
    image = next((name for name in ("img", "image") if name in names), None)
    if image is None:
        raise UnreadableError(f"{files[0].path!r} has no image column 'img' or 'image'; columns: {', '.join(names)}.")
    source = ColumnSource(files, image, np.concatenate(rows))
    return _dataset(tuple(parts), labels, source, reference, notes)


def from_batches(folder: Path, splits: tuple[str, ...], reference: Reference) -> ImageDataset:
    """CIFAR-10 from the folder ``cifar-10-batches-py`` that torchvision and Keras unpack."""
    parts = [read_batches(folder, split) for split in splits]
    pixels = np.concatenate([pixels for pixels, _ in parts])
    return _dataset(splits, [labels for _, labels in parts], ArraySource(pixels), reference, [])


def read_batches(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 32, 32, 3) and labels int64 (n,) of one split, in the usual order.

    Raises
    ------
    UnsafeFileError
        If a file asks for anything but plain arrays.
    UnreadableError
        If a file is absent, damaged or not a batch of CIFAR-10.
    """
    parts = [_read_batch(folder / name) for name in BATCHES[split]]
    return np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        raw = regular_file(path).read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    # A pickle, of which plain arrays only are resolved. Python 2 wrote it: byte strings everywhere.
    batch = unpickle_arrays(raw, repr(str(path)), encoding="bytes")
    batch = batch if isinstance(batch, dict) else {}
    data, labels = (batch.get(name.encode(), batch.get(name)) for name in ("data", "labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: it has no uint8 array of rows of 3,072.")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise UnreadableError(f"{str(path)!r} is no CIFAR-10 batch: {len(data)} images without as many labels.")
    pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)


def _dataset(
    splits: tuple[str, ...], labels: list[np.ndarray], source: Source, reference: Reference, notes: list[str]
) -> ImageDataset:
    sizes = [len(part) for part in labels]
    items = ItemTable(
        ids=np.array([f"{s}/{i}" for s, n in zip(splits, sizes, strict=True) for i in range(n)]),
        labels=np.concatenate(labels).astype(np.int64),
        splits=np.repeat(np.array(splits), sizes),
        index=np.concatenate([np.arange(n) for n in sizes]),
    )
    return ImageDataset("cifar10", str(reference), CLASSES, items, notes, source=source, hash_scheme=RGB_SCHEME)


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
