"""Masks and probabilities of the same pictures, in arrays, folders or a COCO document, read picture by picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError, ProbabilityError, UnreadableError, UsageError
from auditor.core.files import load_npy, read_json
from auditor.core.reading import local_path, regular_file, usable_paths
from auditor.data.decode import UndecodableImage, decode_numbers
from auditor.data.labels import listed
from auditor.engine.semantics import ROW_SUM_TOLERANCE
from auditor.kinds.mask_coco import VOID, CocoMasks, read_coco_masks

_PICTURES: Final = (".png", ".bmp", ".tif", ".tiff", ".npy")
#: A mask is some kilobytes as PNG, and at most eight bytes a pixel.
_MOST_BYTES: Final = 1 << 30
_NUMBERS = "Save class numbers, 0, 1, .., as grey values or palette indices (8 or 16 bits), or as integers in .npy."
_SOFTMAX = "Give probabilities (K, height, width) whose K values sum to 1 in every pixel: softmax over the classes."


@dataclass(frozen=True, eq=False)
class MaskedPicture:
    """One picture, checked.

    Attributes
    ----------
    mask : int64 array (H, W)
        Class numbers; where the mask is void, the class that the model sees.
    probabilities : float array (K, H, W)
    seen : int64 array (H, W)
        The likeliest class.
    judged : bool array (H, W)
        Where the mask is not void.
    """

    mask: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray
    judged: np.ndarray


class _Source(Protocol):
    @property
    def names(self) -> Sequence[tuple[str, ...]] | None:
        """What each picture may be called by the other side; None where pictures have positions only."""

    @property
    def ids(self) -> Sequence[Any]:
        """What each picture is called."""

    def load(self, k: int, n_classes: int) -> tuple[np.ndarray, str]:
        """A picture's array, and what it is called in messages."""


@dataclass(frozen=True, eq=False)
class MaskedPictures:
    """Masks and probabilities of the same pictures; each is opened and checked when it is looked at.

    Attributes
    ----------
    ids : tuple
        Of each picture: its id in a COCO document, the name of its file without the suffix, or its position.
    labels, pred_probs : sources
    partners : list of int
        Position in `pred_probs` of each picture of `labels`.
    """

    ids: tuple[Any, ...]
    labels: _Source
    pred_probs: _Source
    partners: list[int]

    def __iter__(self) -> Iterator[MaskedPicture]:
        n_classes = 0
        for k in range(len(self.ids)):
            picture = self.picture(k, n_classes)
            n_classes = len(picture.probabilities)
            yield picture

    def picture(self, k: int, n_classes: int) -> MaskedPicture:
        """Open and check the picture at position `k`, of so many classes; 0 where that is not known yet.

        Raises
        ------
        LabelError, ProbabilityError, UnreadableError, UnsafeFileError
            As of `Masks.read`.
        """
        p, p_where = self.pred_probs.load(self.partners[k], 0)
        _refuse_form(p, p_where, n_classes)
        mask, where = self.labels.load(k, len(p))
        _refuse_mask_form(mask, where, p, p_where)
        return _checked(mask, where, p, _likeliest(p, p_where))

    def file(self, k: int) -> str | None:
        """The picture's own file, where the labels name it."""
        return self.labels.file(k) if isinstance(self.labels, CocoMasks) else None

    def class_names(self, n_classes: int) -> list[Any]:
        """What each class is called: a name of the document, else its number."""
        return self.labels.class_names(n_classes) if isinstance(self.labels, CocoMasks) else list(range(n_classes))


@usable_paths()
def open_masks(labels: Any, pred_probs: Any) -> MaskedPictures:
    """Find the pictures of both sides, and which belong together: by their names, or by their order where one side
    is an array.

    Raises
    ------
    EmptyDataError
        No pictures.
    LabelError, ProbabilityError
        A picture without a partner; other numbers of pictures; arrays of other shapes.
    UnreadableError, UnsafeFileError
        A file that is no array or document.
    UsageError
        Several files in place of one folder.
    """
    given = _opened(labels, "labels", 3, _PICTURES, LabelError)
    found = _opened(pred_probs, "predictions", 4, (".npy",), ProbabilityError)
    if given.names is None or found.names is None:
        if len(given.ids) != len(found.ids):
            raise LabelError(
                f"there are {len(given.ids):,} masks, and probabilities of {len(found.ids):,} pictures.",
                "Give one (K, height, width) for every mask, in the same order.",
            )
        ids = given.ids if given.names is not None else found.ids
        return MaskedPictures(tuple(ids), given, found, list(range(len(ids))))
    at = {name[0]: k for k, name in enumerate(found.names)}
    partners = [next((at[name] for name in names if name in at), -1) for names in given.names]
    if -1 in partners:
        lone = [names[0] for names, partner in zip(given.names, partners, strict=True) if partner < 0]
        raise ProbabilityError(
            f"{len(lone):,} of {len(partners):,} masks have no probabilities, e.g. {lone[0]!r}.",
            f"Call the probabilities of a picture as its mask: {lone[0]}.npy.",
        )
    if unused := set(range(len(found.names))) - set(partners):
        lone = [found.names[k][0] for k in sorted(unused)]
        raise LabelError(
            f"{len(lone):,} of {len(found.names):,} files of probabilities have no mask, e.g. {lone[0]!r}.",
            "Give a mask of the same name, or leave the file out.",
        )
    if len(set(partners)) < len(partners):
        raise LabelError("two pictures of the labels have the same file of probabilities.", "Give every one its own.")
    return MaskedPictures(tuple(given.ids), given, found, partners)


# --- sources ---------------------------------------------------------------------------------------------------------


class _Arrays:
    """Pictures in memory, or in one mapped file."""

    names = None

    def __init__(self, pictures: Any, where: str) -> None:
        self._pictures, self._where = pictures, where
        self.ids = range(len(pictures))

    def load(self, k: int, n_classes: int) -> tuple[np.ndarray, str]:
        return np.asarray(self._pictures[k]), f"{self._where}[{k}]"


class _Files:
    """One file a picture, called like it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.ids = [path.stem for path in paths]
        self.names = [(name,) for name in self.ids]

    def load(self, k: int, n_classes: int) -> tuple[np.ndarray, str]:
        path = self._paths[k]
        if path.suffix.lower() == ".npy":
            return load_npy(regular_file(path), mmap=True), repr(str(path))
        try:
            return decode_numbers(regular_file(path, _MOST_BYTES).read_bytes()), repr(str(path))
        except UndecodableImage as error:
            raise UnreadableError(f"{str(path)!r} is no mask: {error}.", _NUMBERS) from error


def _opened(given: Any, where: str, axes: int, suffixes: tuple[str, ...], error: type[DataError]) -> _Source:
    form = "(n, height, width)" if axes == 3 else "(n, K, height, width)"
    if isinstance(given, Path | str):
        path = Path(local_path(str(given))).expanduser()
        if path.is_dir():
            return _files_of(path, suffixes, error)
        where = repr(str(path))
        if axes == 3 and path.suffix.lower() == ".json":
            return read_coco_masks(read_json(path), where)
        given = load_npy(regular_file(path), mmap=True)
    elif axes == 3 and isinstance(given, Mapping):
        return read_coco_masks(given, where)
    if isinstance(given, list | tuple):
        if any(isinstance(one, Path | str) for one in given):
            raise UsageError(f"{where} are {len(given)} paths.", "Give one folder with a file a picture, or one array.")
        given = [np.asarray(one) for one in given]
    elif not isinstance(given, np.ndarray) or given.ndim != axes:
        shape = getattr(given, "shape", type(given).__name__)
        raise error(f"{where} has shape {shape}, not {form}.", "One mask, or K maps of probabilities, a picture.")
    if not len(given):
        raise EmptyDataError(f"{where} holds no pictures: there is nothing to compare.")
    return _Arrays(given, where)


def _files_of(folder: Path, suffixes: tuple[str, ...], error: type[DataError]) -> _Files:
    """The files of a folder by their names, numbers by their value."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
    if not paths:
        raise EmptyDataError(
            f"{str(folder)!r} holds no {', '.join(suffixes)}.", "One file a picture, called like the picture."
        )
    named: dict[str, Path] = {}
    for path in paths:
        if named.setdefault(path.stem, path) != path:
            raise error(
                f"{str(folder)!r} holds {named[path.stem].name!r} and {path.name!r} of the same picture.",
                "Keep one file a picture.",
            )
    if all(name.isascii() and name.isdecimal() and len(name) < 19 for name in named):
        paths.sort(key=lambda path: int(path.stem))
    return _Files(paths)


# --- what a picture holds --------------------------------------------------------------------------------------------


def _refuse_form(p: np.ndarray, where: str, n_classes: int) -> None:
    """Refuse what is no array of maps, or has other maps than the pictures before."""
    if p.ndim != 3 or not p.size:
        raise ProbabilityError(f"{where} has shape {p.shape}, not (K, height, width).", _SOFTMAX)
    if p.dtype.kind != "f":
        raise ProbabilityError(f"{where} holds {p.dtype} values, no probabilities.", _SOFTMAX)
    if len(p) < 2 or (n_classes and len(p) != n_classes):
        others = f", those before {n_classes}" if n_classes else ""
        raise ProbabilityError(f"{where} has {len(p)} maps{others}.", "Give one map for each class, the same for all.")


def _likeliest(p: np.ndarray, where: str) -> np.ndarray:
    """The likeliest class of each pixel, int64 (H, W), of probabilities that are some; map by map, without a copy."""
    total = np.zeros(p.shape[1:], np.float32)
    for number, one in enumerate(p):
        low, high = float(one.min()), float(one.max())
        if not (low >= 0 and high <= 1 + ROW_SUM_TOLERANCE):  # also NaN
            raise ProbabilityError(f"{where}: map {number} holds values from {low:.4g} to {high:.4g}.", _SOFTMAX)
        total += one
    off = np.abs(total - 1)
    if off.max() > ROW_SUM_TOLERANCE:
        y, x = np.unravel_index(int(off.argmax()), off.shape)
        raise ProbabilityError(f"{where}: the probabilities at x {x}, y {y} sum to {total[y, x]:.4g}.", _SOFTMAX)
    return np.asarray(p.argmax(axis=0), np.int64)


def _refuse_mask_form(mask: np.ndarray, where: str, p: np.ndarray, p_where: str) -> None:
    """Refuse what is no array of class numbers, or of another size than the maps."""
    if mask.ndim != 2 or not mask.size:
        raise LabelError(f"{where} has shape {mask.shape}, not (height, width).", _NUMBERS)
    if mask.dtype.kind not in "iub":
        raise LabelError(f"{where} holds {mask.dtype} values, no class numbers.", _NUMBERS)
    if mask.shape != p.shape[1:]:
        height, width = mask.shape
        turned = p.shape[:2] == mask.shape
        raise ProbabilityError(
            f"{p_where} has shape {p.shape}, its mask {where} is {height} high and {width} wide.",
            "Classes come first: np.moveaxis(p, -1, 0)."
            if turned
            else "Resize the probabilities to the mask (bilinear), and not the mask.",
        )


def _checked(mask: np.ndarray, where: str, p: np.ndarray, seen: np.ndarray) -> MaskedPicture:
    """The picture, if its numbers are classes or void (LabelError)."""
    n_classes = len(p)
    judged = mask != VOID if n_classes <= VOID else np.ones(mask.shape, bool)
    outside = judged & ((mask < 0) | (mask >= n_classes))
    if outside.any():
        numbers = [str(number) for number in np.unique(mask[outside])[:50].tolist()]
        raise LabelError(
            f"{where}: {listed(numbers)} in {int(outside.sum()):,} pixels is no class; predictions have {n_classes}.",
            f"Number classes 0 to {n_classes - 1}, as the maps are; pixels that are not to be judged are {VOID}.",
        )
    return MaskedPicture(np.where(judged, mask, seen).astype(np.int64), p, seen, judged)
