"""Labels of items that have several: arrays of arrays, read without running anything the file says."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError, UnreadableError, UnsafeFileError
from auditor.core.files import load_npy, read_json

__all__ = ["holds_objects", "load_label_lists"]

#: What an array of integer arrays is rebuilt from; nothing else is looked up.
_ALLOWED = {
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def holds_objects(path: Path) -> bool:
    """Whether a file is a ``.npy`` array of Python objects."""
    if path.suffix != ".npy":
        return False
    try:
        with open(path, "rb") as handle:
            np.lib.format.read_magic(handle)
            return np.lib.format.read_array_header_1_0(handle)[2].hasobject
    except (OSError, ValueError):
        return False  # whoever loads it says what is wrong


def load_label_lists(path: Path) -> list[list[int]]:
    """Class numbers of every row, from ``.json`` (lists) or ``.npy`` (an array of integer arrays).

    The array is a pickle inside. Only what NumPy needs to rebuild integer arrays is let through, so a file that would
    run code is refused.

    Raises
    ------
    UnreadableError, UnsafeFileError, DataError
    """
    where = repr(str(path))
    if path.suffix == ".json":
        value = read_json(path)
    elif holds_objects(path):
        with open(path, "rb") as handle:
            np.lib.format.read_magic(handle)
            np.lib.format.read_array_header_1_0(handle)
            content = handle.read()
        try:
            value = _Arrays(io.BytesIO(content)).load()
        except pickle.UnpicklingError as error:
            raise UnsafeFileError(
                f"{where} holds Python objects other than arrays ({error}); it was not loaded.",
                "Save the labels as JSON: a list of lists of class numbers.",
            ) from error
        except (EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise UnreadableError(f"{where} is a damaged array: {error}.") from error
    else:
        value = load_npy(path)
    try:
        rows = [np.atleast_1d(np.asarray(row)) for row in value]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is not a list of lists of class numbers.") from error
    if any(row.ndim != 1 or (len(row) and row.dtype.kind not in "iu") for row in rows):
        raise DataError(f"{where} is not a list of lists of class numbers.")
    return [row.tolist() for row in rows]
