"""COCO's run-length encoding of masks: runs of 0 and 1 in turn, down the columns, as numbers or as a text of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from auditor.core.errors import LabelError
from auditor.data.decode import MAX_PIXELS

_RLE = "A mask is {size: [height, width], counts: runs of 0 and 1 in turn, from 0, down the columns}, or its text."
#: Of a number's characters in the text: five bits each, and no picture has 2**30 pixels.
_MOST_CHARACTERS: Final = 6


def decode_rle(given: Any, where: str) -> np.ndarray:
    """The mask that an object of COCO's run-length encoding holds.

    Parameters
    ----------
    given : dict
        ``size`` [height, width] and ``counts``: a list of numbers (uncompressed), or the text that COCO's tools write.
    where : str
        For messages.

    Returns
    -------
    bool array (height, width)

    Raises
    ------
    LabelError
        Another form, sizes or runs that are none, or runs that do not fill the picture.

    Source
    ------
    COCO API, ``common/maskApi.c``: ``rleFrString`` and ``rleDecode``.
    """
    if not isinstance(given, Mapping) or "counts" not in given or "size" not in given:
        raise LabelError(f"{where} is no run-length encoding.", _RLE)
    size = given["size"]
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_count(side) and side > 0 for side in size):
        raise LabelError(f"{where}.size is {str(size)[:40]}, not [height, width].", _RLE)
    height, width = int(size[0]), int(size[1])
    if height * width > MAX_PIXELS:
        raise LabelError(f"{where} claims {width}x{height} pixels, more than {MAX_PIXELS:,}.", _RLE)
    counts = given["counts"]
    if isinstance(counts, str | bytes):
        runs = _runs_of_text(counts, where)
    elif isinstance(counts, list | tuple) and all(map(_is_count, counts)):
        runs = np.array([min(int(count), MAX_PIXELS + 1) for count in counts], np.int64)
    else:
        raise LabelError(f"{where}.counts is neither a list of whole numbers nor a text.", _RLE)
    if (runs < 0).any() or runs.sum() != height * width:
        raise LabelError(f"{where}: the runs cover {int(runs.sum()):,} pixels of {width}x{height}.", _RLE)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _runs_of_text(text: str | bytes, where: str) -> np.ndarray:
    """Every character holds five bits of a number, the lowest first, and whether more follow; the highest bit of its
    last one is the sign. From the fourth number on they are differences to the one before the last."""
    raw = np.frombuffer(text.encode("ascii", "replace") if isinstance(text, str) else text, np.uint8).astype(np.int64)
    raw = raw - 48
    if not len(raw) or (raw < 0).any() or (raw > 63).any() or raw[-1] & 32:
        raise LabelError(f"{where}.counts {text[:20]!r} is no text of runs, or it is cut off.", _RLE)
    last = raw & 32 == 0
    begins = np.flatnonzero(np.r_[True, last[:-1]])
    place = np.arange(len(raw)) - np.repeat(begins, np.diff(np.r_[begins, len(raw)]))
    if place.max() >= _MOST_CHARACTERS:
        raise LabelError(f"{where}.counts holds a number of more than {_MOST_CHARACTERS} characters.", _RLE)
    numbers = np.add.reduceat((raw & 31) << (5 * place), begins)
    numbers -= np.where(raw[last] & 16, 1 << (5 * (place[last] + 1)), 0)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)
