"""A folder of class folders, optionally below train/ and test/: ``pets/train/cat/1.png``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, LabelError, UnreadableError, UsageError
from auditor.data.base import FormOfReference, ItemTable
from auditor.data.decode import LOSSLESS_SUFFIXES
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset
from auditor.data.labels import listed, look_alikes
from auditor.data.reference import Reference
from auditor.data.sources import FileSource, inside, leaving

IMAGE_SUFFIXES = LOSSLESS_SUFFIXES | {".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".jp2", ".avif"}
#: Folder names that are splits, under their own name.
SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
#: Longer names of splits: ``training_set``, ``seg_train``, ``test-images``, ``fold1``.
_LONGER_SPLIT = re.compile(
    r"(?:seg[ _-]?)?(?:(train|test|val|dev)(?:ing|id|idation)?(?:[ _-]?(?:set|data|images?|imgs?|split|\d+))*"
    r"|(?:fold|split)[ _-]?\d+)"
)
#: ``trainA`` and ``testA``: a split and something else.
_SPLIT_START = re.compile(r"train|test|val")


class Folder(FormOfReference):
    """Adapter of ``folder://PATH`` and of plain paths of folders."""

    summary = "a folder of class folders with images, optionally below train/ and test/"
    example = "folder:///data/pets"
    options = frozenset({"layout", "root"})

    def open(self, reference: Reference, settings: Settings) -> ImageDataset:
        """Scan the folder; ids are paths relative to it, with forward slashes."""
        root = reference.path
        if not root.exists():
            raise UnreadableError(f"folder {str(root)!r} does not exist.", "Check the path.")
        if not root.is_dir():
            raise UnreadableError(f"{str(root)!r} is a file, not a folder of class folders.")
        notes: list[str] = []
        images = scan(root, notes, reference.options)
        if not images:
            raise EmptyDataError(
                f"no images in class folders below {str(root)!r}{''.join(f'; {note}' for note in notes)}.",
                "Expected root/CLASS/image.png or root/train/CLASS/image.png; "
                f"suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}.",
            )
        names = sorted({image.label for image in images})
        if len(names) < 2:
            raise LabelError(
                f"{str(root)!r} has one class folder with images only: {names[0]!r}.",
                "Give the folder that holds at least two class folders.",
            )
        notes += look_alikes([*map(printable, names)])
        ids, splits = np.array([printable(i.relative) for i in images]), np.array([i.split for i in images])
        labels = np.searchsorted(names, [image.label for image in images]).astype(np.int64)
        items = ItemTable(ids, labels, splits, index_in_split(splits), paths=ids)
        suffixes = {Path(image.relative).suffix.lower() for image in images}
        paths = [os.path.join(root.absolute(), image.relative) for image in images]
        refused = leaving(paths, bounds := _bounds(root, reference.options))
        if len(refused) == len(paths):
            raise UsageError(
                f"all images below {str(root)!r} are links that lead out of {bounds!r}.",
                "Name the folder that they may lead into with root=FOLDER.",
            )
        return ImageDataset(
            name=printable(root.absolute().name) or "folder",
            reference=str(reference.with_path(root)),
            class_names=tuple(map(printable, names)),
            items=items,
            notes=notes,
            source=FileSource(paths, refused),
            hash_scheme=RGB_SCHEME if suffixes <= LOSSLESS_SUFFIXES else FILE_SCHEME,
        )


@dataclass(frozen=True)
class FoundFile:
    """One image file: its split, class folder and path relative to the root."""

    split: str
    label: str
    relative: str


def scan(root: Path, notes: list[str], options: Mapping[str, str]) -> list[FoundFile]:
    """Find all images, train before test, then by class and path, so that the order is the same on every file system.

    Parameters
    ----------
    root : Path
    notes : list of str
        What was passed over is added to it.
    options : mapping
        ``layout``: what the top folders are, ``"splits"`` or ``"classes"``; by default splits where all that hold
        images are named so. ``root``: links are followed inside this folder; by default the data set's own.

    Raises
    ------
    UnreadableError
        If a folder may not be read.
    LabelError
        If the top folders could be either.
    """
    tree, folders, others = _walk(root, _bounds(root, options), notes)
    tops: dict[str, set[str]] = {}  # those that hold images, with their subfolders that do
    for parts in tree:
        if len(parts) > 1:
            tops.setdefault(parts[0], set()).update(parts[1:-1][:1])
    layout = options.get("layout") or _layout(root, tops)
    if layout not in ("splits", "classes"):
        raise UsageError(f"layout={layout} is neither splits nor classes.")
    split_of: dict[str, str] = {}
    if layout == "splits":
        named = {top: name for top in tops if (name := split_name(top)) and tops[top]}
        split_of = named or {top: top for top in tops if tops[top]}
        repeated = {name for name, n in Counter(split_of.values()).items() if n > 1}
        split_of = {top: top if name in repeated else name for top, name in split_of.items()}
        if told := [f"{top}/ is split {name}" for top, name in split_of.items() if top != name]:
            notes.append(printable(", ".join(told)))
    depth = 1 if split_of else 0
    images, loose, nested = [], [], []
    for parts in tree:
        if len(parts) < depth + 2 or (depth and parts[0] not in split_of):
            loose.append(parts)
            continue
        if len(parts) > depth + 2:
            nested.append(parts)
        images.append(FoundFile(split_of.get(parts[0], "all") if depth else "all", parts[depth], "/".join(parts)))
    images.sort(
        key=lambda i: (
            not i.split.lower().startswith("train"),
            not i.split.lower().startswith("test"),
            i.split,
            i.label,
        )
    )
    for passed, what in (
        (loose, "images outside class folders were passed over"),
        (nested, "images lie in a folder inside a class folder, and were taken into its class"),
    ):
        if passed:
            notes.append(f"{len(passed)} {what} (first: {printable('/'.join(passed[0]))})")
    if others:
        notes.append(f"{others} files that are not images by their suffix were passed over")
    holding = {parts[:k] for parts in tree for k in range(len(parts))}
    empty = [f for f in folders if f not in holding and f[:-1] in holding and len(f) <= depth + 1]
    if empty:
        notes.append(f"folders without images: {listed([printable('/'.join(parts)) for parts in empty], 10)}")
    return images


def split_name(folder: str) -> str | None:
    """The split a folder is named as: ``train`` for ``training_set``; None if it is not named as one."""
    if folder.lower() in SPLIT_NAMES:
        return folder
    match = _LONGER_SPLIT.fullmatch(folder.lower())
    return None if match is None else match[1] or folder


def _layout(root: Path, tops: Mapping[str, set[str]]) -> str:
    """Whether the top folders of images are ``"splits"`` or ``"classes"``; `scan` says what is refused."""
    named = [top for top in tops if split_name(top)]
    halves = {match[0] for top in tops if (match := _SPLIT_START.match(top.lower()))}
    inner = Counter(name for names in tops.values() for name in names)
    if inner and all(map(split_name, inner)):
        why = f"the folders inside them are named as splits too: {listed(sorted(inner))}"
    elif named and len(named) == len(tops):
        return "splits"
    elif "train" in halves and len(halves) > 1 and all(_SPLIT_START.match(top.lower()) for top in tops):
        why = "all their names begin as those of splits do"
    elif named and inner:
        why = f"{listed(sorted(named))} are named as splits, and {listed(sorted(tops.keys() - named))} are not"
    elif len(inner) > 1 and sum(n > 1 for n in inner.values()) > len(inner) / 2:
        why = f"they hold folders of the same names: {listed(sorted(inner))}"
    else:
        return "classes"
    raise LabelError(
        f"{str(root)!r}: its top folders {listed(sorted(map(printable, tops)))} could be splits or classes: "
        f"{printable(why)}.",
        "Add ?layout=splits or ?layout=classes to its reference (where some are named as splits, layout=splits passes "
        "over the others), give the folder that holds the class folders, or move what is no data away.",
    )


def _bounds(root: Path, options: Mapping[str, str]) -> str:
    """The folder that no link may lead out of."""
    return os.path.expanduser(options.get("root", str(root)))


def holds_images(folder: Path) -> bool:
    """Whether there is an image file in a folder, or below it."""
    return any(os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES for *_, names in os.walk(folder) for n in names)


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


def _walk(root: Path, bounds: str, notes: list[str]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], int]:
    """All images and all folders below `root`, each as the parts of its path, sorted, and the number of other files.

    Hidden files count as neither. Links to folders are followed inside `bounds`, each folder once, and never upwards.
    """
    images, folders, others, left, followed = [], [], 0, [], set()
    queue: list[tuple[str, ...]] = [()]
    while queue:
        parts = queue.pop()
        place = os.path.join(root, *parts)
        try:
            with os.scandir(place) as listing:
                entries = [(entry.name, entry.is_dir(), entry.is_symlink()) for entry in listing]
        except OSError as error:
            raise UnreadableError(f"cannot list folder {place!r}: {error.strerror or error}.") from error
        for name, is_folder, is_link in entries:
            path = (*parts, name)
            if name.startswith(".") or name in ("Thumbs.db", "desktop.ini"):
                continue
            if not is_folder:
                if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                    images.append(path)
                else:
                    others += 1
            elif is_link and (
                (real := os.path.realpath(os.path.join(place, name))) in followed
                or not inside(real, bounds)
                or inside(place, real)
            ):
                left.append(path)
            else:
                if is_link:
                    followed.add(real)
                folders.append(path)
                queue.append(path)
    if left:
        notes.append(
            f"{len(left)} links to folders outside {bounds!r}, or above themselves, were not followed (first: "
            f"{printable('/'.join(min(left)))}); root=FOLDER names a folder that holds them all"
        )
    return sorted(images, key="/".join), sorted(folders), others
