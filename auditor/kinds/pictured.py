"""Flagged pictures with what is drawn over them: what is given, what is suspicious, and what is suggested instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, UnreadableError, UsageError
from auditor.core.reading import local_path, regular_file, usable_paths
from auditor.data.decode import UndecodableImage, image_size

#: How the names of pictures end.
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
#: A picture of more bytes is none that anybody labels in a browser.
MOST_BYTES: Final = 1 << 30


@dataclass(frozen=True, eq=False)
class Shape:
    """Something in a picture.

    Attributes
    ----------
    label : str
        Its class.
    box : tuple of float
        x, y, width, height in pixels.
    given : bool
        It stands in the labels; else it is what should stand there.
    finding : int or None
        Position among the findings of the picture, of what is wrong or put right.
    outlines : tuple of float arrays (k, 2)
        Corners x, y in pixels, of what is no box: of the line around it, then of those around its holes.
    """

    label: str
    box: tuple[float, float, float, float]
    given: bool
    finding: int | None = None
    outlines: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class FlaggedPicture:
    """A picture in which something is flagged.

    Attributes
    ----------
    id : int or str
    file : str or None
        Its name or path below a folder of pictures, where the labels say it.
    size : (float, float) or None
        Width and height in pixels, where the labels say them.
    score : float
        Of the picture, higher = more likely wrong.
    findings : tuple of mapping
        What is flagged, as in ``items`` of the document, most suspicious first.
    shapes : tuple of Shape
    """

    id: Any
    file: str | None
    size: tuple[float, float] | None
    score: float
    findings: tuple[Mapping[str, Any], ...]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, eq=False)
class Pictured:
    """The flagged pictures of a kind, and its classes.

    Attributes
    ----------
    classes : tuple of str
    forms : str
        What shapes are: ``"boxes"`` or ``"outlines"``.
    count : int
        How many pictures there are.
    each : callable
        Gives them, the one with the most suspicious finding first; worked out when it is asked.
    """

    classes: tuple[str, ...]
    forms: str
    count: int
    each: Callable[[], Iterator[FlaggedPicture]] = field(repr=False)

    def __iter__(self) -> Iterator[FlaggedPicture]:
        return self.each()

    def __len__(self) -> int:
        return self.count


def findings_by_picture(items: Sequence[Mapping[str, Any]]) -> dict[Any, list[Mapping[str, Any]]]:
    """The flagged ones of `items`, most suspicious first, by picture, in the order in which pictures come up."""
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for item in items:
        if item["flagged"]:
            found.setdefault(item["id"], []).append(item)
    return found


class PictureFolder:
    """A folder of pictures, in which each is found by its file's name or by its id.

    Parameters
    ----------
    folder : path
        Pictures may lie in folders below it.

    Raises
    ------
    UnreadableError
        No folder.
    EmptyDataError
        No picture lies in it.
    """

    @usable_paths()
    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(local_path(str(folder))).expanduser()
        if not self.folder.is_dir():
            raise UnreadableError(f"{str(self.folder)!r} is no folder.", "Name the folder of the pictures.")
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                for called in {path.name, path.stem}:
                    self._by_name.setdefault(called, []).append(path)
        if not self._by_name:
            raise EmptyDataError(
                f"{str(self.folder)!r} holds no pictures.", f"They end in {', '.join(sorted(SUFFIXES))}."
            )

    def find(self, picture: FlaggedPicture) -> Path:
        """Where a picture lies: at the path that the labels name, else the only file of that name, else of that id.

        Raises
        ------
        UnreadableError
            It is not there.
        DataError
            Several files are called so, or the path leads out of the folder.
        """
        if picture.file is not None:
            path = self.folder / picture.file
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise DataError(f"the file {picture.file!r} of picture {picture.id!r} lies outside of the folder.")
            if path.is_file():
                return path
        for called in (picture.file and Path(picture.file).name, str(picture.id)):
            found = self._by_name.get(called or "", [])
            if len(found) > 1:
                raise DataError(
                    f"picture {picture.id!r}: {str(self.folder)!r} holds {len(found)} files called {called!r}.",
                    "Name the folder in which one of them lies.",
                )
            if found:
                return found[0]
        raise UnreadableError(
            f"picture {picture.id!r} is not in {str(self.folder)!r}.",
            "Files are called as file_name of the labels says, or by the id of the picture.",
        )


def size_of(picture: FlaggedPicture, folder: PictureFolder | None) -> tuple[float, float]:
    """Width and height in pixels, from the labels or from the picture's file.

    Raises
    ------
    UsageError
        Neither is there.
    UnreadableError
        The file is no picture; else as `PictureFolder.find`.
    """
    if picture.size is not None:
        return picture.size
    if folder is None:
        raise UsageError(
            f"the labels do not say how large picture {picture.id!r} is.", "Name the folder of the pictures: --images."
        )
    path = folder.find(picture)
    try:
        height, width = image_size(regular_file(path, MOST_BYTES).read_bytes())
    except UndecodableImage as error:
        raise UnreadableError(f"{str(path)!r}: {error}.") from error
    return float(width), float(height)
