"""Sets of items picked on the map, kept by their content: a name in an address finds the same items again."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from auditor.core.errors import DataError
from auditor.core.files import load_npy
from auditor.core.hashing import hash_bytes
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.tables import write_array

_NAME: Final = re.compile(r"[0-9a-f]{32}")


def _name_of(run: Run, numbers: np.ndarray) -> str:
    """Of the numbers in their order, and of what they are the numbers of."""
    return hash_bytes(run.audited_content.encode() + numbers.tobytes()).removeprefix("sha256:")[:32]


def keep_selection(run: Run, numbers: np.ndarray) -> str:
    """Keep some rows of ``run.pred_probs`` in their order, and give their name.

    Raises
    ------
    DataError
        If there are none, or they are not of the run.
    StorageError
        If the run folder cannot be written.
    """
    numbers = np.ascontiguousarray(numbers, dtype="<u4")
    if not len(numbers) or numbers.max() >= len(run.audited):
        raise DataError("a selection holds items of the run, and at least one.")
    name = _name_of(run, numbers)
    path = run.path / layout.SELECTIONS / f"{name}.npy"
    if not path.is_file():
        write_array(path, numbers)
    return name


def read_selection(run: Run, name: str) -> np.ndarray:
    """The rows that are kept under a name, uint32, in their order.

    Raises
    ------
    DataError
        If nothing is kept under it, or it was picked on other items.
    """
    path = run.path / layout.SELECTIONS / f"{name}.npy"
    numbers = load_npy(path) if _NAME.fullmatch(name) and path.is_file() else np.zeros(0, "<u4")
    if not len(numbers) or _name_of(run, numbers) != name:
        raise DataError("this run has no such selection.", "Select the items on the map anew.")
    return numbers
