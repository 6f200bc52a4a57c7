"""Labels of items that have several: arrays of arrays, read without running anything the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError, UnreadableError
from auditor.core.files import load_npy, read_json, unpickle_arrays
from auditor.core.reading import reading


def holds_objects(path: Path) -> bool:
    """Whether a file is a ``.npy`` array of Python objects."""
    try:
        return path.suffix == ".npy" and _open_objects(path)[0].hasobject
    except UnreadableError:
        return False  # whoever loads it says what is wrong


def _open_objects(path: Path) -> tuple[np.dtype[Any], bytes]:
    """Type of a ``.npy`` array, and what follows its header."""
    with reading(path, "a NumPy array") as file, open(file, "rb") as handle:
        np.lib.format.read_magic(handle)
        return np.lib.format.read_array_header_1_0(handle)[2], handle.read()


def load_label_lists(path: Path) -> list[list[int]]:
    """Class numbers of every row, from ``.json`` (lists) or ``.npy`` (an array of integer arrays).

    The array is a pickle inside; a file that would run code is refused.

    Raises
    ------
    UnreadableError, UnsafeFileError, DataError
    """
    where = repr(str(path))
    if path.suffix == ".json":
        value = read_json(path)
    elif holds_objects(path):
        value = unpickle_arrays(_open_objects(path)[1], where)
    else:
        value = load_npy(path)
    try:
        rows = [np.atleast_1d(np.asarray(row)) for row in value]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is not a list of lists of class numbers.") from error
    if any(row.ndim != 1 or (len(row) and row.dtype.kind not in "iu") for row in rows):
        raise DataError(f"{where} is not a list of lists of class numbers.")
    return [row.tolist() for row in rows]
