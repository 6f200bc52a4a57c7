"""ReaL labels (``real.json``): for every image of the ImageNet validation set the list of its class numbers.

Source: Beyer et al. 2020, "Are we done with ImageNet?", repository google-research/reassessed-imagenet. Entry i
belongs to ``ILSVRC2012_val_<i+1, 8 digits>.JPEG``; an empty list means that no class fits.
"""

from __future__ import annotations

import json
from pathlib import Path

from auditor.core.errors import DataError
from auditor.core.files import write_text
from auditor.core.row_lookup import file_numbers
from auditor.data.label_lists import load_label_lists
from auditor.patch.convert.base import Correction, DataView, Options, labels_after
from auditor.patch.records import Patch


class Real:
    """One list of class numbers per row."""

    summary = "ReaL: a list with the list of class numbers of every image (real.json)"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        value = load_label_lists(path)
        entry_of = _entries(data)
        if len(value) != len(entry_of):
            raise DataError(
                f"{str(path)!r} has {len(value):,} entries, the data {len(entry_of):,} rows.", "Take the right split."
            )
        corrections = []
        for row, entry in enumerate(entry_of):
            numbers = value[entry]
            names = tuple(dict.fromkeys(data.class_name(k, f"{str(path)!r}, entry {entry}") for k in numbers))
            if len(names) > 1 and data.names[row] in names:  # the given label first: it stays in the column
                names = (data.names[row], *(n for n in names if n != data.names[row]))
            corrections.append(Correction(row, names, "neither"))
        return corrections, []

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        labels, changed = labels_after(patch, data)
        number = {name: k for k, name in enumerate(patch.header.classes)}
        lists: list[list[int]] = [[] for _ in labels]
        for row, entry in enumerate(_entries(data)):
            lists[entry] = [number[name] for name in labels[row]]
        write_text(path, json.dumps(lists))
        bad = sum(r.reason == "bad_item" for r in changed.values())
        return [f"{bad} broken items are written as empty lists, like items no class fits"] if bad else []


def _entries(data: DataView) -> list[int]:
    """Entry of each row: by the ImageNet file number where the data shows it, else by the row number."""
    paths = data.part.items.paths if data.part.items.paths is not None else data.part.ids
    numbers = file_numbers(map(str, paths))
    entries = [int(i) for i in data.part.items.index] if numbers is None else [number - 1 for number in numbers]
    if sorted(entries) != list(range(len(entries))):
        raise DataError("the rows of the data are not all of a numbered set.", "Give the whole validation set.")
    return entries
