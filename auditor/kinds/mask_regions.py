"""Where a mask and what a model sees differ: connected pieces, what each is, and how much speaks against the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from auditor.kinds.formulas import given_class

#: What a piece is, in the order of the numbers of `kinds_of`.
MISSING, SURPLUS, SWAPPED, BORDER = range(4)
#: Pieces of fewer pixels are not looked at: along every border a mask and a model differ by one or two.
LEAST_AREA: Final = 4
#: A piece is about the whole of an object from this share of it on, not about its border.
WHOLE: Final = 0.5
#: A probability this small is as good as none; log-odds of single pixels stay within these.
_FLOOR: Final = 1e-6
_LARGEST: Final = 8.0
_NAMES: Final = ("given", "seen", "box", "area", "core", "thickness", "confidence", "of_given", "of_seen")


@dataclass(frozen=True, eq=False)
class Regions:
    """Pieces of pictures, in order.

    Attributes
    ----------
    given, seen : int64 arrays (m,)
        Class of the mask and class of the model, the same all over the piece.
    box : int64 array (m, 4)
        x, y, width, height in pixels.
    area : int64 array (m,)
        Pixels.
    core : float64 array (m,)
        Log-odds of the class seen against the given one, on average where the piece is thickest: at its border every
        model is unsure, and a mask a pixel off.
    thickness : float64 array (m,)
        Largest distance of a pixel to what is not of the piece, in pixels, at least 1.
    confidence : float64 array (m,)
        Probability of the class seen, there.
    of_given, of_seen : float64 arrays (m,)
        Its share of the object in the mask, and of the object that the model sees.
    """

    given: np.ndarray
    seen: np.ndarray
    box: np.ndarray
    area: np.ndarray
    core: np.ndarray
    thickness: np.ndarray
    confidence: np.ndarray
    of_given: np.ndarray
    of_seen: np.ndarray


def joined(parts: list[Regions]) -> Regions:
    """Those of several pictures, one after another; at least one part."""
    return Regions(*(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES))


def find_regions(mask: np.ndarray, probabilities: np.ndarray, seen: np.ndarray) -> Regions:
    """The connected pieces (of four neighbours) in which a model sees one class and the mask has another.

    Parameters
    ----------
    mask : int array (H, W)
        Class numbers.
    probabilities : float array (K, H, W)
        Of the classes, for each pixel.
    seen : int array (H, W)
        The likeliest class of each.

    Returns
    -------
    Regions
    """
    n_classes = len(probabilities)
    pieces, count = components(np.where(seen != mask, mask * n_classes + seen, -1))
    area = np.bincount(pieces.ravel(), minlength=count + 1)
    objects, seen_objects = components(mask)[0], components(seen)[0]
    object_area, seen_area = np.bincount(objects.ravel()), np.bincount(seen_objects.ravel())
    own = given_class(probabilities, mask).astype(np.float64)
    best = given_class(probabilities, seen).astype(np.float64)
    odds = np.clip(np.log((best + _FLOOR) / (own + _FLOOR)), -_LARGEST, _LARGEST)
    rows, boxes = [], []
    for number, window in enumerate(ndimage.find_objects(pieces, max_label=count), 1):
        if area[number] < LEAST_AREA:
            continue
        inside = pieces[window] == number
        framed = np.zeros((inside.shape[0] + 2, inside.shape[1] + 2), bool)
        framed[1:-1, 1:-1] = inside
        depth = ndimage.distance_transform_edt(framed)[1:-1, 1:-1]
        thickness = depth.max()
        core = depth >= thickness / 2
        y, x = np.unravel_index(int(depth.argmax()), inside.shape)
        at = (y + window[0].start, x + window[1].start)
        rows.append(
            (
                mask[at],
                seen[at],
                area[number],
                odds[window][core].mean(),
                thickness,
                best[window][core].mean(),
                area[number] / object_area[objects[at]],
                area[number] / seen_area[seen_objects[at]],
            )
        )
        boxes.append((window[1].start, window[0].start, inside.shape[1], inside.shape[0]))
    table = np.array(rows, np.float64).reshape(-1, 8).T
    given, found, pixels = table[:3].astype(np.int64)
    return Regions(given, found, np.array(boxes, np.int64).reshape(-1, 4), pixels, *table[3:])


def kinds_of(regions: Regions, background: int) -> np.ndarray:
    """What each piece is, int64 (m,): `MISSING`, `SURPLUS`, `SWAPPED` or `BORDER`.

    Parameters
    ----------
    regions : Regions
    background : int
        The class of what is no object.

    Returns
    -------
    int64 array (m,)
        Where the mask has background, an object is missing if the piece is most of what the model sees there; where the
        model sees background, a mask is surplus if the piece is most of it; between two other classes, a class is
        swapped if the piece is most of either. Every other piece is about a border.
    """
    whole, whole_seen = regions.of_given >= WHOLE, regions.of_seen >= WHOLE
    kind = np.where(whole | whole_seen, SWAPPED, BORDER)
    kind = np.where(regions.given == background, np.where(whole_seen, MISSING, BORDER), kind)
    return np.where(regions.seen == background, np.where(whole, SURPLUS, BORDER), kind)


def components(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected pieces (of four neighbours) of equal value.

    Parameters
    ----------
    values : int array (H, W)
        Below 0 where a pixel is of no piece.

    Returns
    -------
    numbers : int32 array (H, W)
        From 1 on; 0 of no piece.
    count : int
    """
    inside = values >= 0
    # twice as fine, with a cell between two neighbours that is open where they are equal: one labelling for all values
    cells = np.zeros((2 * values.shape[0] - 1, 2 * values.shape[1] - 1), bool)
    cells[::2, ::2] = inside
    cells[::2, 1::2] = inside[:, 1:] & (values[:, 1:] == values[:, :-1])
    cells[1::2, ::2] = inside[1:] & (values[1:] == values[:-1])
    numbers, count = ndimage.label(cells)
    return np.ascontiguousarray(numbers[::2, ::2], np.int32), int(count)
