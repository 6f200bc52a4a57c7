"""Flagged pieces of masks as outlines over their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from auditor.core.errors import DataError
from auditor.kinds.mask_files import MaskedPicture, MaskedPictures
from auditor.kinds.mask_regions import Regions, components
from auditor.kinds.outlines import outlines_of
from auditor.kinds.pictured import FlaggedPicture, Pictured, Shape


def pictured_masks(
    given: MaskedPictures,
    regions: Regions,
    image: np.ndarray,
    flagged: np.ndarray,
    items: Sequence[Mapping[str, Any]],
    image_scores: np.ndarray,
    names: Sequence[Any],
    background: int,
) -> Pictured:
    """The pictures with flagged pieces, each read again when it is asked for: objects of the mask without those pieces,
    and every piece as what the mask has there, and as what the model sees.

    Parameters
    ----------
    given : MaskedPictures
    regions : Regions
    image : int64 array (m,)
        Picture of each piece.
    flagged : int64 array (f,)
        Flagged pieces, most suspicious first.
    items : sequence of mapping
        Of these, what the document says, in this order; no more than there are items are drawn.
    image_scores : float array (n,)
    names : sequence
        Of the classes.
    background : int
        The class that is not drawn.

    Returns
    -------
    Pictured
    """
    ranks: dict[int, list[int]] = {}
    for rank, cell in enumerate(flagged[: len(items)].tolist()):
        ranks.setdefault(int(image[cell]), []).append(rank)

    def each() -> Iterator[FlaggedPicture]:
        for k, here in ranks.items():
            picture = given.picture(k, len(names))
            rest = np.where(picture.judged, picture.mask, background)
            pieces: list[Shape] = []
            for number, rank in enumerate(here):
                cell = flagged[rank]
                window, inside = _piece(picture, regions, int(cell))
                rest[window][inside] = background
                for value, is_given in ((regions.given[cell], True), (regions.seen[cell], False)):
                    if value != background:
                        pieces.append(_shape(names[value], window, inside, is_given, number))
            size = (float(rest.shape[1]), float(rest.shape[0]))
            findings = tuple(items[rank] for rank in here)
            shapes = (*_objects(rest, names, background), *pieces)
            yield FlaggedPicture(given.ids[k], given.file(k), size, float(image_scores[k]), findings, shapes)

    classes = tuple(str(name) for value, name in enumerate(names) if value != background)
    return Pictured(classes, "outlines", len(ranks), each)


def _piece(picture: MaskedPicture, regions: Regions, cell: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where a piece lies, and its pixels there: of the pieces of these two classes the one that fills its box
    (DataError where there is none: the picture is read a second time)."""
    x, y, width, height = regions.box[cell].tolist()
    window = (slice(y, y + height), slice(x, x + width))
    alike = (picture.mask[window] == regions.given[cell]) & (picture.seen[window] == regions.seen[cell])
    numbers, _ = ndimage.label(alike)
    whole = (slice(0, height), slice(0, width))
    # of two pieces only one can lead from side to side both ways
    found = ndimage.find_objects(numbers)
    if whole not in found:
        raise DataError(
            f"a flagged piece at x {x}, y {y} is not in its picture any more: masks or probabilities changed.",
            "Flag again.",
        )
    return window, numbers == 1 + found.index(whole)


def _objects(mask: np.ndarray, names: Sequence[Any], background: int) -> Iterator[Shape]:
    numbers, _ = components(mask)
    for number, window in enumerate(ndimage.find_objects(numbers), 1):
        inside = numbers[window] == number
        y, x = np.argwhere(inside)[0]
        value = mask[window][y, x]
        if value != background:
            yield _shape(names[value], window, inside, True, None)


def _shape(
    name: Any, window: tuple[slice, slice], inside: np.ndarray, is_given: bool, number: int | None
) -> Shape:  # fmt: skip
    top, left = window[0].start, window[1].start
    box = (float(left), float(top), float(inside.shape[1]), float(inside.shape[0]))
    return Shape(str(name), box, is_given, number, tuple(line + np.array([left, top]) for line in outlines_of(inside)))
