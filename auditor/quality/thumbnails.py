"""Small pictures for comparing in detail: brightness finely, colour coarsely."""

from __future__ import annotations

import numpy as np

from auditor.quality.hashes import LUMA, block_sums

#: Sides of the brightness and of the colour.
FINE, COLOUR = 64, 16


def area_weights(size: int, side: int) -> np.ndarray:
    """Area averaging of `size` pixels to `side`, float64 (side, size); rows sum to 1."""
    edges = np.linspace(0, size, side + 1)
    at = np.arange(size)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    overlap = np.maximum(overlap, 0)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))


def fine_thumbnails(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and colour of pictures of one size.

    Parameters
    ----------
    images : uint8 array (b, H, W, 3)

    Returns
    -------
    fine : uint8 array (b, FINE, FINE)
        Brightness (ITU-R BT.601).
    colour : uint8 array (b, COLOUR, COLOUR, 2)
        Half of red and of blue minus the brightness, plus 128: 128 where there is no colour.
    """
    light = (images @ LUMA.astype(np.int32)) // 1000
    red, blue = images[..., 0] - light, images[..., 2] - light
    fine = _means(light, FINE)
    colour = np.stack([_means(red, COLOUR), _means(blue, COLOUR)], axis=3) / 2 + 128
    return _rounded(fine), _rounded(colour)


def _means(channel: np.ndarray, side: int) -> np.ndarray:
    """Means over side x side equal areas, float64 (b, side, side)."""
    height, width = channel.shape[1:]
    if min(height, width) >= 8 * side:
        # An area's edge lies within an eighth of it on a pixel's edge: whole pixels are summed, which costs less.
        area = -(-height // side) * -(-width // side)
        return block_sums(channel[..., None], side)[..., 0] / area
    return np.matmul(np.matmul(area_weights(height, side), channel), area_weights(width, side).T)


def _rounded(values: np.ndarray) -> np.ndarray:
    # Means of few pixels end in .5 often, and the last bit of a sum depends on the processor.
    return np.clip(np.floor(values + 0.5 + 1e-6), 0, 255).astype(np.uint8)
