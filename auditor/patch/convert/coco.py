"""COCO: the class of a whole picture as an annotation, as classification projects export it.

Source: cocodataset.org, "Data format". ``images`` by ``file_name``, an annotation for each label, classes by name in
``categories``. Boxes and masks are not looked at: labels of objects are of the kind `boxes` (docs/label-kinds.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError
from auditor.core.files import read_json, write_json
from auditor.patch.convert.base import Correction, DataView, Options
from auditor.patch.convert.listed import DROP, corrections_of_list, drops_note, listed_rows
from auditor.patch.records import Patch

_KEYS = {"images": ("id", "file_name"), "annotations": ("image_id", "category_id"), "categories": ("id", "name")}


class Coco:
    """Annotations of whole pictures; several categories are several labels."""

    summary = "COCO document whose annotations give whole pictures their classes"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        document = read_json(path)
        parts = {name: _entries(document, name, keys, path) for name, keys in _KEYS.items()}
        names = {entry.get("id"): entry.get("name") for entry in parts["categories"]}
        labels: dict[Any, list[Any]] = {}
        for number, entry in enumerate(parts["annotations"]):
            if entry.get("category_id") not in names:
                raise DataError(f"{str(path)!r}, annotation {number}: no category {entry.get('category_id')!r}.")
            labels.setdefault(entry.get("image_id"), []).append(names[entry["category_id"]])
        if unknown := labels.keys() - {image.get("id") for image in parts["images"]}:
            raise DataError(f"{str(path)!r}: annotations of {len(unknown):,} images that it does not list.")
        said = [
            (str(image.get("file_name")), labels.get(image.get("id"), []), image.get(DROP)) for image in parts["images"]
        ]
        return corrections_of_list(said, data, path)

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        category = {name: k for k, name in enumerate(patch.header.classes, start=1)}
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, int]] = []
        for number, (name, labels, reason) in enumerate(listed_rows(patch, data), start=1):
            images.append({"id": number, "file_name": name} | ({} if reason is None else {DROP: reason}))
            for label in labels:
                annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category[label]})
        categories = [{"id": k, "name": name} for name, k in category.items()]
        write_json(path, {"images": images, "annotations": annotations, "categories": categories})
        return drops_note(patch, data)


def _entries(document: Any, name: str, keys: tuple[str, ...], path: Path) -> list[Mapping[str, Any]]:
    """A list of the document; `keys` name what its entries are called and refer to by number or text.

    Raises
    ------
    DataError
    """
    entries = document.get(name) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(
            f"{str(path)!r} is no COCO document: {name!r} is no list of objects.",
            "It needs images, annotations and categories.",
        )
    for number, entry in enumerate(entries):
        if wrong := [key for key in keys if not isinstance(entry.get(key), int | str)]:
            raise DataError(f"{str(path)!r}, {name}[{number}]: {wrong[0]!r} is no number and no text.")
    return entries
