"""What is measured of a picture: brightness, contrast, edges, information, colour, and what tells copies apart.

All numbers come from integer histograms of the brightness, so that they are functions of one picture alone: not of
the block it is measured in, nor of the processor.
"""

from __future__ import annotations

import numpy as np

from auditor.quality.hashes import BITS, LUMA, grey_thumbnails, image_hashes
from auditor.quality.thumbnails import COLOUR, FINE, fine_thumbnails

#: Pictures with more pixels are averaged over blocks first; the arrays beside them stay below 100 MB.
LARGEST = 1 << 22
#: Side of the brightness picture kept for comparing; smaller pictures than `SMALLEST_SIDE` hold too little to be
#: told from look-alikes and are compared by content only.
THUMBNAIL, SMALLEST_SIDE = 32, 16
HASH_BYTES = BITS // 8
#: Columns of `measure_pictures`, float32; brightness values in [0, 1].
COLUMNS = ("brightness", "contrast", "p05", "p99", "sharpness", "entropy", "colour")
#: Grey levels between the darkest and the lightest per cent below which edges say nothing.
LEAST_RANGE = 16


def measure_pictures(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of pictures of one size.

    Parameters
    ----------
    images : uint8 array (b, H, W, 3)

    Returns
    -------
    dict
        float32 (b,) each: ``brightness`` (mean), ``contrast`` (difference of the 99th and 1st percentile), ``p05``
        and ``p99`` (percentiles) of the brightness (ITU-R BT.601) in [0, 1]; ``sharpness``: the steepest edges
        (99.5th percentile of the difference of neighbouring pixels) as a share of the contrast, about
        1 / (2.5 sigma) after a Gaussian blur of sigma pixels, NaN where there is hardly any contrast; ``entropy``
        of the brightness histogram as a share of what the picture could hold; ``colour``: mean difference of the
        largest and smallest of red, green and blue in [0, 1], 0 for grey. And uint8 (b, HASH_BYTES) ``hash`` and
        ``mirrored`` (perceptual hashes, of the picture and of its mirror image), int16 (b, THUMBNAIL, THUMBNAIL)
        ``thumbnail`` (brightness in quarters of a grey level), and ``fine`` and ``tint`` as
        `auditor.quality.thumbnails.fine_thumbnails` gives them; zeros where a side is below `SMALLEST_SIDE`.
    """
    images = _reduced(images)
    grey = ((images @ LUMA.astype(np.int32)) // 1000).astype(np.uint8)
    flat = grey.reshape(len(grey), -1)
    counts = _histogram(flat)
    share = counts.cumsum(axis=1) / flat.shape[1]
    low, dark, light = (_percentile(share, q) for q in (0.01, 0.05, 0.99))
    levels = np.arange(256)
    spread = images.max(axis=3).astype(np.int16) - images.min(axis=3)
    result = {
        "brightness": (counts @ levels) / flat.shape[1] / 255,
        "contrast": (light - low) / 255,
        "p05": dark / 255,
        "p99": light / 255,
        "sharpness": _sharpness(grey, light - low),
        "entropy": _entropy(counts),
        "colour": spread.reshape(len(images), -1).mean(axis=1) / 255,
    }
    return {name: values.astype(np.float32) for name, values in result.items()} | _compared(images)


def _reduced(images: np.ndarray) -> np.ndarray:
    """Large pictures averaged over equal blocks, to at most `LARGEST` pixels; an incomplete last block is left out."""
    height, width = images.shape[1:3]
    if height * width <= LARGEST:
        return images
    factor = int(np.ceil(np.sqrt(height * width / LARGEST)))
    down = min(height, factor)
    right = min(width, -(-(height // down) * width // LARGEST))
    down = min(height, max(down, -(-height * (width // right) // LARGEST)))
    rows, columns = height // down, width // right
    sums = np.zeros((len(images), rows, columns, 3), np.uint32)
    for i in range(down):
        for j in range(right):
            sums += images[:, i : i + rows * down : down, j : j + columns * right : right]
    return (sums // (down * right)).astype(np.uint8)


def _histogram(values: np.ndarray) -> np.ndarray:
    """Counts of each row's values, int64 (b, 256)."""
    at = values.astype(np.int64) + (np.arange(len(values)) * 256)[:, None]
    return np.bincount(at.ravel(), minlength=256 * len(values)).reshape(len(values), 256)


def _percentile(share: np.ndarray, q: float) -> np.ndarray:
    """First level at which the cumulated share reaches `q`, int64 (b,)."""
    return (share >= q - 1e-12).argmax(axis=1)


def _sharpness(grey: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    steps = []
    for axis in (1, 2):
        if grey.shape[axis] > 1:
            difference = np.abs(np.diff(grey.astype(np.int16), axis=axis)).astype(np.uint8)
            steps.append(_histogram(difference.reshape(len(grey), -1)))
    if not steps:
        return np.full(len(grey), np.nan)
    counts = np.sum(steps, axis=0)
    steepest = _percentile(counts.cumsum(axis=1) / counts[:1].sum(), 0.995)
    return np.where(contrast >= LEAST_RANGE, steepest / np.maximum(contrast, 1), np.nan)


def _entropy(counts: np.ndarray) -> np.ndarray:
    pixels = counts[:1].sum()
    p = counts / pixels
    bits = -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1)
    return bits / max(1.0, min(8.0, float(np.log2(pixels))))


def _compared(images: np.ndarray) -> dict[str, np.ndarray]:
    """Hashes and thumbnails; see `measure_pictures`."""
    n, height, width = images.shape[:3]
    if min(height, width) < SMALLEST_SIDE:
        empty = np.zeros((n, HASH_BYTES), np.uint8)
        blank = np.zeros((n, FINE, FINE), np.uint8), np.zeros((n, COLOUR, COLOUR, 2), np.uint8)
        small = np.zeros((n, THUMBNAIL, THUMBNAIL), np.int16)
        return {"hash": empty, "mirrored": empty, "thumbnail": small, "fine": blank[0], "tint": blank[1]}
    fine, tint = fine_thumbnails(images)
    rows = np.arange(n)
    enlarged = images
    if min(height, width) < THUMBNAIL:
        # Blocks of a third of a pixel would repeat rows unevenly; whole factors keep every pixel's weight.
        factor = -(-THUMBNAIL // min(height, width))
        enlarged = images.repeat(factor, axis=1).repeat(factor, axis=2)
    return {
        "hash": image_hashes(images, rows),
        "mirrored": image_hashes(np.ascontiguousarray(images[:, :, ::-1]), rows),
        "thumbnail": grey_thumbnails(enlarged, rows, THUMBNAIL),
        "fine": fine,
        "tint": tint,
    }
