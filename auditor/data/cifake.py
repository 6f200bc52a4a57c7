"""CIFAKE: 60,000 photographs of CIFAR-10 (REAL) and 60,000 generated images of the same ten classes (FAKE).

``cifake`` has the classes FAKE and REAL; ``cifake:class`` has the ten classes that the file names carry. File
name, zero padding and number range give REAL or FAKE away, so they are ids only and never features.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError
from auditor.data.base import ItemTable
from auditor.data.cifar10 import CLASSES
from auditor.data.columns import parquet_file, read_column
from auditor.data.folder import index_in_split
from auditor.data.kinds import FILE_SCHEME, ImageDataset
from auditor.data.locate import NamedFiles, find_folder, missing_error
from auditor.data.reference import Reference
from auditor.data.sources import ColumnSource, FileSource, Source, leaving

SPLITS = ("train", "test")
PARQUET = NamedFiles("cifake", ("cifake", "CIFAKE"), "{split}-*.parquet", "{split}-00000-of-00001.parquet")
#: The published archive, unpacked.
UNPACKED = NamedFiles("cifake", ("cifake", "CIFAKE"), "{split}/REAL", "{split}/REAL")
_NAME = re.compile(r"^(train|test)/(REAL|FAKE)/(\d+)(?: \((\d+)\))?\.jpg$")


class Cifake:
    """Adapter of ``cifake``."""

    summary = "CIFAKE: 120,000 images, 32x32, classes FAKE and REAL"
    example = "cifake?split=test"
    options: frozenset[str] = frozenset()
    name = "cifake"
    class_names: tuple[str, ...] = ("FAKE", "REAL")

    def open(self, reference: Reference, settings: Settings) -> ImageDataset:
        """Open from parquet or the unpacked archive; ids are the published file names in both."""
        wanted = reference.options.get("split")
        splits = (wanted,) if wanted in SPLITS else SPLITS
        source: Source
        if (folder := find_folder(PARQUET, splits, settings)) is not None:
            files = [parquet_file(path) for split in splits for path in PARQUET.files(folder, split)]
            names, source = list(map(str, read_column(files, "image.path").to_pylist())), ColumnSource(files, "image")
        elif (folder := find_folder(UNPACKED, splits, settings)) is not None:
            names = _unpacked_names(folder, splits)
            paths = [str((folder / name).absolute()) for name in names]
            source = FileSource(paths, leaving(paths, str(folder)))
        else:
            raise missing_error(
                PARQUET, splits, settings, "it is not on the Hub with its file names; fetch the published archive"
            )
        matches = [_match(name, folder) for name in names]
        ids, split_of_item = np.array(names), np.array([match[1] for match in matches])
        labels = np.array([self.label(match) for match in matches], dtype=np.int64)
        items = ItemTable(ids, labels, split_of_item, index_in_split(split_of_item), paths=ids)
        name = self.name.replace(":", "-")
        return ImageDataset(name, str(reference), self.class_names, items, source=source, hash_scheme=FILE_SCHEME)

    def status(self, settings: Settings) -> tuple[str, str]:
        """Where the files are."""
        folder = find_folder(PARQUET, SPLITS, settings) or find_folder(UNPACKED, SPLITS, settings)
        if folder is not None:
            return "found", str(folder)
        return "missing", "cifake/train-00000-of-00001.parquet or cifake/train/REAL; put it below a data folder"

    def label(self, match: re.Match[str]) -> int:
        """Label of a file, from its name."""
        return self.class_names.index(match[2])


class CifakeClass(Cifake):
    """Adapter of ``cifake:class``: which object, whether real or generated."""

    summary = "CIFAKE with the ten CIFAR-10 classes of its file names, real and generated together"
    example = "cifake:class?split=test"
    name = "cifake:class"
    class_names = CLASSES

    def label(self, match: re.Match[str]) -> int:
        """No suffix is airplane, (2) is automobile, .. (10) is truck."""
        position = int(match[4] or 1) - 1
        if position >= len(CLASSES):
            raise UnreadableError(f"CIFAKE file {match[0]!r}: its suffix stands for none of the ten classes.")
        return position


def _match(name: str, folder: Path) -> re.Match[str]:
    match = _NAME.match(name)
    if match is None:
        raise UnreadableError(
            f"{str(folder)!r}: {name!r} is not a file name of CIFAKE.",
            "Names look like 'test/REAL/0000 (10).jpg'; to audit other data of this layout give its path.",
        )
    return match


def _unpacked_names(folder: Path, splits: tuple[str, ...]) -> list[str]:
    """Names in the order of the parquet files: train first, then by number, suffix, FAKE before REAL."""
    entries = []
    for split in splits:
        for path in folder.glob(f"{split}/*/*.jpg"):
            name = path.relative_to(folder).as_posix()
            match = _match(name, folder)
            entries.append((splits.index(split), int(match[3]), int(match[4] or 1), match[2], name))
    return [entry[-1] for entry in sorted(entries)]
