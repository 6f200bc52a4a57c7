"""Boxes: what is given about pictures and what is predicted, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError, ProbabilityError
from auditor.core.files import read_json
from auditor.core.reading import local_path, usable_paths

#: Coordinates beyond this many pixels are damage: no picture is as large.
_FARTHEST: Final = 1e7
_XYWH = "A box is [x, y, width, height] in pixels; of corners give [x1, y1, x2 - x1, y2 - y1]."


@dataclass(frozen=True, eq=False)
class GivenBoxes:
    """The labels of pictures.

    Attributes
    ----------
    ids : tuple
        Id of each picture, a number or a text, in the order of the file or of the names.
    sizes : float64 array (n, 2)
        Width and height in pixels; NaN where nothing says them.
    names : tuple of str
        Of the classes.
    category_ids : tuple
        What predictions call the classes.
    image, category : int64 arrays (m,)
        Picture and class of each box.
    boxes : float64 array (m, 4)
        x, y, width, height in pixels.
    box_ids : tuple
        Id of each box; its position where it has none.
    ignored : bool array (m,)
        A crowd, or marked as not to be judged.
    files : tuple of str or None
        File of each picture, below the folder of the pictures; None where nothing says it.
    """

    ids: tuple[Any, ...]
    sizes: np.ndarray
    names: tuple[str, ...]
    category_ids: tuple[Any, ...]
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    box_ids: tuple[Any, ...]
    ignored: np.ndarray
    files: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class PredictedBoxes:
    """What a model found in the same pictures: arrays (m,) and (m, 4) as in `GivenBoxes`, and `score` in [0, 1]."""

    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    score: np.ndarray


def read_coco(given: Any) -> GivenBoxes:
    """The labels of a COCO document.

    Parameters
    ----------
    given : path or dict
        ``images`` (id; width and height where they are known), ``categories`` (id, name) and ``annotations`` (image_id,
        category_id, bbox; id, iscrowd, ignore).

    Raises
    ------
    EmptyDataError
        No pictures, classes or boxes.
    LabelError
        Unknown or repeated ids; a box that is none, or lies outside its picture. With the place.
    UnreadableError
        No JSON, or no such file.
    """
    document, where = _document(given, "labels")
    if not isinstance(document, Mapping):
        raise LabelError(
            f"{where} is a list, no COCO document." if isinstance(document, list) else f"{where} is no COCO document.",
            "It needs images, categories and annotations; predictions go to --predictions.",
        )
    lists = {name: coco_rows(document, name, where) for name in ("images", "categories", "annotations")}
    for name in ("images", "categories", "annotations"):
        if not lists[name]:
            raise EmptyDataError(f"{where}: {name!r} is empty: there is nothing to compare.")
    pictures = coco_positions(lists["images"], f"{where}: images")
    classes = coco_positions(lists["categories"], f"{where}: categories")
    sizes = np.array([_size(row, f"{where}: images[{k}]") for k, row in enumerate(lists["images"])])
    names = tuple(str(row.get("name", row["id"])) for row in lists["categories"])
    rows = lists["annotations"]
    image, category, boxes = _located(rows, pictures, classes, f"{where}: annotations", LabelError)
    refuse_outside(boxes, sizes[image], tuple(pictures), image, f"{where}: annotations", LabelError)
    box_ids = [row.get("id", k) for k, row in enumerate(rows)]
    seen: dict[Any, int] = {}
    for k, called in enumerate(box_ids):
        if not is_coco_id(called):
            raise LabelError(f"{where}: annotations[{k}].id is {shown(called)}, neither a whole number nor a text.")
        if seen.setdefault(called, k) != k:
            raise LabelError(
                f"{where}: annotations[{k}] and [{seen[called]}] have the id {shown(called)}.",
                "Give every box an id of its own.",
            )
    ignored = np.array([bool(row.get("iscrowd")) or bool(row.get("ignore")) for row in rows])
    called_files = (row.get("file_name") for row in lists["images"])
    files = tuple(file if isinstance(file, str) and file else None for file in called_files)
    ids = tuple(pictures)
    return GivenBoxes(ids, sizes, names, tuple(classes), image, category, boxes, tuple(box_ids), ignored, files)


def read_results(given: Any, labels: GivenBoxes) -> PredictedBoxes:
    """Predictions in COCO's results form.

    Parameters
    ----------
    given : path or list of dict
        ``image_id, category_id, bbox, score`` each. Ids may be written as texts; the id of a picture of a folder is its
        name without the suffix, with or without leading zeros, and a class of a folder may be called by its name.

    Raises
    ------
    EmptyDataError
        No predictions.
    ProbabilityError
        An unknown id, a box that is none or lies outside its picture, a score outside [0, 1]; with the place.
    UnreadableError
        No JSON, or no such file.
    """
    rows, where = _document(given, "predictions")
    if isinstance(rows, Mapping) and "annotations" in rows:
        raise ProbabilityError(
            f"{where} is a COCO document of labels.", "Predictions are a list of {image_id, category_id, bbox, score}."
        )
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ProbabilityError(
            f"{where} is no list of objects.", "Predictions are a list of {image_id, category_id, bbox, score}."
        )
    if not rows:
        raise EmptyDataError(f"{where} holds no predictions: there is nothing to compare the labels with.")
    pictures = _aliases(labels.ids)
    classes = _aliases(labels.category_ids)
    image, category, boxes = _located(rows, pictures, classes, where, ProbabilityError)
    refuse_outside(boxes, labels.sizes[image], labels.ids, image, where, ProbabilityError)
    score = np.empty(len(rows))
    for k, row in enumerate(rows):
        value = _number(row.get("score"))
        if value is None or not 0 <= value <= 1:
            raise ProbabilityError(
                f"{where}[{k}].score is {shown(row.get('score'))}, no probability.",
                "Every prediction needs a confidence in [0, 1]; of logits z give 1 / (1 + exp(-z)).",
            )
        score[k] = value
    return PredictedBoxes(image, category, boxes, score)


def refuse_outside(
    boxes: np.ndarray, sizes: np.ndarray, ids: Sequence[Any], image: np.ndarray, where: str, error: type[DataError]
) -> None:
    """Refuse the first box that does not touch its picture; one that sticks out is common and counts as it is.

    Parameters
    ----------
    boxes, sizes : float64 arrays (m, 4) and (m, 2)
        Where a size is NaN nothing is said.
    ids : sequence
        Of the pictures.
    image : int64 array (m,)
        Picture of each box.
    where : str
        For the message.
    error : type
        What is raised.
    """
    x, y, width, height = boxes.T
    outside = (x >= sizes[:, 0]) | (y >= sizes[:, 1]) | (x + width <= 0) | (y + height <= 0)
    if outside.any():
        k = int(outside.argmax())
        size = "x".join(f"{side:g}" for side in sizes[k])
        raise error(
            f"{where}[{k}].bbox {boxes[k].tolist()} lies outside of picture {ids[image[k]]!r} of {size} pixels; "
            f"{int(outside.sum()):,} such boxes.",
            _XYWH,
        )


@usable_paths()
def _document(given: Any, where: str) -> tuple[Any, str]:
    if isinstance(given, Path | str):
        path = Path(local_path(str(given))).expanduser()
        return read_json(path), repr(str(path))
    return given, where


def coco_rows(document: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    """The list `name` of a COCO document, of objects; `where` names the document (LabelError)."""
    rows = document.get(name)
    if not isinstance(rows, list):
        raise LabelError(
            f"{where} has no list {name!r}." if rows is None else f"{where}: {name!r} is no list.",
            "A COCO document of labels needs images, categories and annotations.",
        )
    for k, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise LabelError(f"{where}: {name}[{k}] is {shown(row)}, no object.")
    return rows


def coco_positions(rows: list[Mapping[str, Any]], where: str) -> dict[Any, int]:
    """Id -> position of objects that have ids of their own, in order; `where` names the list (LabelError)."""
    positions: dict[Any, int] = {}
    for k, row in enumerate(rows):
        called = row.get("id")
        if not is_coco_id(called):
            raise LabelError(f"{where}[{k}].id is {shown(called)}, neither a whole number nor a text.")
        if called in positions:
            raise LabelError(f"{where}[{k}] and [{positions[called]}] have the id {shown(called)}.", "Ids are unique.")
        positions[called] = k
    return positions


def _aliases(ids: Sequence[Any]) -> dict[Any, int]:
    """As `_positions`, with the other ways in which tools write an id, as far as they mean one alone."""
    positions: dict[Any, int] = {called: k for k, called in enumerate(ids)}
    others: dict[Any, set[int]] = {}
    for k, called in enumerate(ids):
        text = str(called)
        others.setdefault(text, set()).add(k)
        if text.isascii() and text.isdecimal() and len(text) < 19:
            others.setdefault(int(text), set()).add(k)
    return {other: min(meant) for other, meant in others.items() if len(meant) == 1} | positions


def _located(
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[Any, int],
    classes: Mapping[Any, int],
    where: str,
    error: type[DataError],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, class and box of each row."""
    image, category = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    boxes = np.empty((len(rows), 4))
    for k, row in enumerate(rows):
        for name, known, into in (("image_id", pictures, image), ("category_id", classes, category)):
            called = row.get(name)
            if not is_coco_id(called) or called not in known:
                what = "names no picture" if name == "image_id" else "names no class"
                raise error(
                    f"{where}[{k}].{name} is {shown(called)}, which {what} of the labels.",
                    f"Known: {', '.join(shown(one) for one in list(known)[:5])}{', ..' if len(known) > 5 else ''}.",
                )
            into[k] = known[called]
        boxes[k] = checked_box(row.get("bbox"), f"{where}[{k}].bbox", error)
    return image, category, boxes


def checked_box(given: Any, where: str, error: type[DataError]) -> list[float]:
    """x, y, width, height of one box, if it is one; `error` says what is wrong with it and where."""
    values = given.tolist() if isinstance(given, np.ndarray) else given
    numbers = [_number(value) for value in values] if isinstance(values, list | tuple) else []
    box = [number for number in numbers if number is not None]
    if len(box) != 4 or len(numbers) != 4:
        raise error(f"{where} is {shown(given)}, not four finite numbers.", _XYWH)
    if min(box[2:]) <= 0:
        raise error(f"{where} {box} has no area: width and height must be above 0.", _XYWH)
    if max(map(abs, box)) > _FARTHEST:
        raise error(f"{where} {box} lies beyond {_FARTHEST:g} pixels.", _XYWH)
    return box


def _size(row: Mapping[str, Any], where: str) -> tuple[float, float]:
    size = []
    for name in ("width", "height"):
        value = row.get(name)
        number = math.nan if value is None else _number(value)
        if number is None or number <= 0 or number > _FARTHEST:
            raise LabelError(f"{where}.{name} is {shown(value)}, no number of pixels.", "Leave it out, or correct it.")
        size.append(number)
    return size[0], size[1]


def _number(value: Any) -> float | None:
    """A finite number, or None; true and false are none, nor are texts."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_coco_id(value: Any) -> bool:
    """Whether a value can be an id: a whole number or a text."""
    return isinstance(value, int | str | np.integer) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A value of anybody's in a message, cut."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}.."
