"""FiftyOne: ``labels.json`` of a FiftyOneImageClassificationDataset.

Source: FiftyOne's exporter of that name: ``{"classes": [..] or null, "labels": {key: target}}``. A key is the image's
path without its suffix (or an absolute path); a target is a class number or name, null for an unlabelled sample, an
object with ``label`` (and ``confidence``, ``attributes``), or a list of these for several labels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError
from auditor.core.files import read_json, write_json
from auditor.patch.convert.base import MISSING, Correction, DataView, Options, labels_after
from auditor.patch.records import REASONS, Patch

#: Attribute of the label of an item to be dropped, which FiftyOne has no other place for.
_DROP = "auditor_drop"


class FiftyOne:
    """A target for every image."""

    summary = "FiftyOne labels.json (FiftyOneImageClassificationDataset)"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        value = read_json(path)
        labels = value.get("labels") if isinstance(value, dict) else None
        if not isinstance(labels, dict):
            raise DataError(f"{str(path)!r} is no labels.json of FiftyOne: it has no object 'labels'.")
        classes = value.get("classes")
        if classes is not None and (not isinstance(classes, list) or not all(isinstance(c, str) for c in classes)):
            raise DataError(f"{str(path)!r}: 'classes' is not a list of names.")
        corrections, unlabelled, absent = [], 0, 0
        for key, target in labels.items():
            where = f"{str(path)!r}, {key[:80]!r}"
            if isinstance(target, dict) and isinstance(target.get("classifications"), list):
                target = target["classifications"]
            if target is None or target == [] or (isinstance(target, dict) and target.get("label") is None):
                unlabelled += 1
                continue
            row = data.rows.by_id(key)
            row = data.row_of_path(key, where) if row is None else row
            if row is None:
                absent += 1
                continue
            several = target if isinstance(target, list) else [target]
            dropped = [reason for label in several if (reason := _dropped(label)) is not None]
            names = [data.class_name(_class(label, classes, where), where) for label in several]
            ordered = sorted(set(names), key=lambda n: (n != data.names[row], names.index(n)))
            corrections.append(Correction(row, () if dropped else tuple(ordered), dropped[0] if dropped else None))
        if absent and not corrections:
            raise DataError(f"{str(path)!r}: none of its {absent:,} samples is in {data.part.name!r}.", MISSING)
        notes = [f"{unlabelled} unlabelled samples were passed over"] * bool(unlabelled)
        notes += [f"{absent} samples that are not in the data were passed over"] * bool(absent)
        return corrections, notes

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        labels, changed = labels_after(patch, data)
        number = {name: k for k, name in enumerate(patch.header.classes)}
        targets: dict[str, Any] = {}
        paths = data.part.items.paths
        for row, names in enumerate(labels):
            key = str(data.part.ids[row]) if paths is None else os.path.splitext(str(paths[row]))[0]
            if key in targets:
                raise DataError(f"two images are called {key!r} without their suffix.", "Rename one of them.")
            if len(names) == 1:
                targets[key] = number[names[0]]
            elif names:
                targets[key] = [number[name] for name in names]
            else:
                attributes = {_DROP: changed[row].reason}
                targets[key] = {"label": number[changed[row].from_label], "attributes": attributes}
        write_json(path, {"classes": list(patch.header.classes), "labels": targets})
        drops = sum(not names for names in labels)
        return [f"{drops} items to be dropped keep their label with the attribute {_DROP}"] if drops else []


def _dropped(target: Any) -> str | None:
    attributes = target.get("attributes") if isinstance(target, dict) else None
    reason = attributes.get(_DROP) if isinstance(attributes, dict) else None
    return reason if reason in REASONS else None


def _class(target: Any, classes: list[str] | None, where: str) -> Any:
    """Class name of a target; numbers are places in the file's own list of classes."""
    if isinstance(target, dict):
        target = target.get("label")
    if isinstance(target, int) and not isinstance(target, bool) and classes is not None:
        if not 0 <= target < len(classes):
            raise DataError(f"{where}: class number {target} is outside the {len(classes)} classes.")
        return classes[target]
    return target
