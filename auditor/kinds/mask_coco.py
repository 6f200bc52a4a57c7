"""Masks of a COCO document: run-length encodings laid over one another, a class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError
from auditor.data.decode import MAX_PIXELS
from auditor.kinds.box_sets import coco_positions, coco_rows, is_coco_id, shown
from auditor.kinds.rle import decode_rle

#: The number of pixels that nobody judges, as data sets mark them.
VOID: Final = 255
_DOCUMENT = "It needs images (id, width, height), categories (id, name) and annotations (segmentation as RLE)."


class CocoMasks:
    """The masks of a document, made when they are asked for.

    Parameters
    ----------
    pictures : list of dict
        ``id, width, height`` and perhaps ``file_name`` of each.
    categories : list of dict
        ``id, name`` of each.
    annotations : list of list of (str, dict)
        Of each picture, in order: what it is called in messages, and the annotation.
    where : str
        For messages.
    """

    def __init__(
        self,
        pictures: list[Mapping[str, Any]],
        categories: list[Mapping[str, Any]],
        annotations: list[list[tuple[str, Mapping[str, Any]]]],
        where: str,
    ) -> None:
        self._pictures, self._categories, self._annotations, self._where = pictures, categories, annotations, where
        self.ids = [picture["id"] for picture in pictures]
        self.names = [_names(picture) for picture in pictures]

    def load(self, k: int, n_classes: int) -> tuple[np.ndarray, str]:
        """The mask of picture `k`, uint16 (H, W), and what it is called in messages; later annotations lie over earlier
        ones, and those with ``ignore`` make their pixels void.

        Raises
        ------
        LabelError
            An annotation that is no run-length encoding of the picture's size; categories that are not the `n_classes`
            of the predictions.
        """
        numbers, rest = self._numbers(n_classes)
        picture = self._pictures[k]
        if n_classes > VOID and (rest == VOID or any(one.get("ignore") for _, one in self._annotations[k])):
            raise LabelError(f"{self._where} has void pixels and {n_classes} classes.", f"At most {VOID} go with them.")
        where = f"{self._where}: picture {picture['id']!r}"
        mask = np.full((int(picture["height"]), int(picture["width"])), rest, np.uint16)
        for called, annotation in self._annotations[k]:
            segmentation = annotation.get("segmentation")
            if isinstance(segmentation, list):
                raise LabelError(
                    f"{called}.segmentation is a list of polygons.",
                    "Write it as RLE (pycocotools: COCO.annToRLE), or give PNGs of class numbers.",
                )
            inside = decode_rle(segmentation, f"{called}.segmentation")
            if inside.shape != mask.shape:
                raise LabelError(f"{called} has the size {inside.shape}, its picture {mask.shape}.", "Height, width.")
            mask[inside] = VOID if annotation.get("ignore") else numbers[annotation["category_id"]]
        return mask, where

    def file(self, k: int) -> str | None:
        """The file that the document names for picture `k`."""
        called = self._pictures[k].get("file_name")
        return called if isinstance(called, str) and called else None

    def class_names(self, n_classes: int) -> list[Any]:
        """Names of the classes by number; the number of one without."""
        names: list[Any] = list(range(n_classes))
        numbers, rest = self._numbers(n_classes)
        if rest == 0:
            names[0] = "background"
        for category in self._categories:
            names[numbers[category["id"]]] = str(category.get("name", category["id"]))
        return names

    def _numbers(self, n_classes: int) -> tuple[dict[Any, int], int]:
        """The class number of each category, and that of pixels without an annotation.

        Where all ids are among the maps' numbers they are these. Else categories follow one another as in the document,
        behind a background if there is one map more than categories.
        """
        ids = [category["id"] for category in self._categories]
        if all(isinstance(one, int) and 0 <= one < n_classes for one in ids):
            first = next((str(one.get("name")) for one in self._categories if one["id"] == 0), "background")
            return {one: one for one in ids}, 0 if first.lower().strip("_") == "background" else VOID
        if len(ids) + 1 == n_classes:
            return {one: k + 1 for k, one in enumerate(ids)}, 0
        if len(ids) == n_classes:
            return {one: k for k, one in enumerate(ids)}, VOID
        raise LabelError(
            f"{self._where} has {len(ids)} categories, the predictions {n_classes} maps.",
            "One map for each category, in the document's order, and one before them where there is a background.",
        )


def read_coco_masks(document: Any, where: str) -> CocoMasks:
    """Check the lists of a COCO document; its masks are decoded when they are asked for.

    Parameters
    ----------
    document : dict
        ``images`` (id, width, height; file_name), ``categories`` (id, name) and ``annotations`` (image_id, category_id,
        segmentation as RLE; ignore).
    where : str
        For messages.

    Raises
    ------
    EmptyDataError
        No pictures or categories.
    LabelError
        Another form; unknown or repeated ids; sizes that are none. With the place.
    """
    if not isinstance(document, Mapping):
        raise LabelError(f"{where} is no COCO document.", _DOCUMENT)
    lists: dict[str, list[Mapping[str, Any]]] = {}
    for name in ("images", "categories", "annotations"):
        lists[name] = coco_rows(document, name, where)
        if not lists[name] and name != "annotations":
            raise EmptyDataError(f"{where}: {name!r} is empty: there is nothing to compare.")
    at = {name: coco_positions(lists[name], f"{where}: {name}") for name in ("images", "categories")}
    for k, picture in enumerate(lists["images"]):
        sides = picture.get("height"), picture.get("width")
        if not all(isinstance(side, int) and 0 < side <= MAX_PIXELS for side in sides) or _area(sides) > MAX_PIXELS:
            raise LabelError(f"{where}: images[{k}] is {shown(sides[1])} wide, {shown(sides[0])} high.", _DOCUMENT)
    annotations: list[list[tuple[str, Mapping[str, Any]]]] = [[] for _ in lists["images"]]
    for k, row in enumerate(lists["annotations"]):
        called = f"{where}: annotations[{k}]"
        for name, known in (("image_id", at["images"]), ("category_id", at["categories"])):
            if not is_coco_id(row.get(name)) or row[name] not in known:
                raise LabelError(f"{called}.{name} is {shown(row.get(name))}, which the document does not list.")
        annotations[at["images"][row["image_id"]]].append((called, row))
    return CocoMasks(lists["images"], lists["categories"], annotations, where)


def _names(picture: Mapping[str, Any]) -> tuple[str, ...]:
    """What the files of a picture may be called: as its own file, its id, with zeros before it or without."""
    names = [str(picture["id"])]
    if isinstance(picture.get("file_name"), str) and picture["file_name"]:
        names.insert(0, PurePosixPath(picture["file_name"].replace("\\", "/")).stem)
    names += [f"{picture['id']:012d}"] if isinstance(picture["id"], int) else []
    return tuple(dict.fromkeys(names))


def _area(sides: tuple[Any, ...]) -> int:
    return int(sides[0]) * int(sides[1])
