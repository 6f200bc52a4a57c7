"""A folder of class folders, optionally below train/ and test/: ``pets/train/cat/1.png``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, LabelError, UnreadableError
from auditor.data.base import FormOfReference, ItemTable
from auditor.data.decode import LOSSLESS_SUFFIXES
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset
from auditor.data.reference import Reference
from auditor.data.sources import FileSource

IMAGE_SUFFIXES = LOSSLESS_SUFFIXES | {".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".jp2", ".avif"}
#: Folder names that are splits when all top folders are such names.
SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})


class Folder(FormOfReference):
    """Adapter of ``folder://PATH`` and of plain paths of folders."""

    summary = "a folder of class folders with images, optionally below train/ and test/"
    example = "folder:///data/pets"

    def open(self, reference: Reference, settings: Settings) -> ImageDataset:
        """Scan the folder; ids are paths relative to it, with forward slashes."""
        root = reference.path
        if not root.exists():
            raise UnreadableError(f"folder {str(root)!r} does not exist.", "Check the path.")
        if not root.is_dir():
            raise UnreadableError(f"{str(root)!r} is a file, not a folder of class folders.")
        notes: list[str] = []
        images = scan(root, notes)
        if not images:
            raise EmptyDataError(
                f"no images in class folders below {str(root)!r}.",
                "Expected root/CLASS/image.png or root/train/CLASS/image.png; "
                f"suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}.",
            )
        names = sorted({image.label for image in images})
        if len(names) < 2:
            raise LabelError(
                f"{str(root)!r} has one class folder with images only: {names[0]!r}.",
                "Give the folder that holds at least two class folders.",
            )
        ids, splits = np.array([printable(i.relative) for i in images]), np.array([i.split for i in images])
        labels = np.searchsorted(names, [image.label for image in images]).astype(np.int64)
        items = ItemTable(ids, labels, splits, index_in_split(splits), paths=ids)
        suffixes = {Path(image.relative).suffix.lower() for image in images}
        return ImageDataset(
            name=printable(root.absolute().name) or "folder",
            reference=str(reference.with_path(root)),
            class_names=tuple(map(printable, names)),
            items=items,
            notes=notes,
            source=FileSource([os.path.join(root.absolute(), image.relative) for image in images]),
            hash_scheme=RGB_SCHEME if suffixes <= LOSSLESS_SUFFIXES else FILE_SCHEME,
        )


@dataclass(frozen=True)
class FoundFile:
    """One image file: its split, class folder and path relative to the root."""

    split: str
    label: str
    relative: str


def scan(root: Path, notes: list[str]) -> list[FoundFile]:
    """Find all images, train before test, then by class and path, so that the order is the same on every file system.

    Adds to `notes` what was passed over.

    Raises
    ------
    UnreadableError
        If a folder may not be read.
    """
    tops = _folders(root)
    as_splits = bool(tops) and all(name.lower() in SPLIT_NAMES for name in tops)
    if as_splits:
        tops.sort(key=lambda name: (not name.lower().startswith("train"), not name.lower().startswith("test"), name))
    splits = [(name, os.path.join(root, name)) for name in tops] if as_splits else [("all", str(root))]
    images: list[FoundFile] = []
    skipped, empty = 0, []
    for split, folder in splits:
        for label in _folders(Path(folder)):
            files, others = _files_below(os.path.join(folder, label))
            skipped += others
            if not files:
                empty.append(f"{split}/{label}" if as_splits else label)
            images += [FoundFile(split, label, os.path.relpath(path, root).replace(os.sep, "/")) for path in files]
    if skipped:
        notes.append(f"{skipped} files that are not images by their suffix were passed over")
    if empty:
        notes.append(f"class folders without images: {', '.join(map(printable, empty[:10]))}")
    return images


def printable(name: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 become ``\\xNN``, which no two names share."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def index_in_split(splits: np.ndarray) -> np.ndarray:
    """0-based row of each item within its split, int64 (n,)."""
    index = np.empty(len(splits), dtype=np.int64)
    for split in np.unique(splits):
        where = np.flatnonzero(splits == split)
        index[where] = np.arange(len(where))
    return index


def _folders(place: Path) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise UnreadableError(f"cannot list folder {str(place)!r}: {error.strerror or error}.") from error


def _files_below(place: str) -> tuple[list[str], int]:
    """Image files below `place`, sorted, and the number of other files. Hidden files count as neither."""

    def refuse(error: OSError) -> None:
        raise UnreadableError(f"cannot list folder {error.filename!r}: {error.strerror or error}.") from error

    images, others = [], 0
    for folder, subfolders, names in os.walk(place, onerror=refuse):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        for name in names:
            if name.startswith(".") or name in ("Thumbs.db", "desktop.ini"):
                continue
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                images.append(os.path.join(folder, name))
            else:
                others += 1
    return sorted(images), others
