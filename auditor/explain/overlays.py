"""Maps laid over pictures, for cards, reports and files."""

from __future__ import annotations

import numpy as np
from PIL import Image

from auditor.core.errors import DataError
from auditor.report.pictures import fitted

#: Colours of a map from 0 to 1: clear, blue, red, yellow. Legible without red and green side by side.
_STOPS = np.array([0.0, 0.35, 0.7, 1.0])
_COLOURS = np.array([[40, 60, 160], [60, 60, 220], [220, 40, 60], [255, 230, 60]], float)
#: Opacity where the map is 1; where it is 0 the picture is untouched.
STRONGEST = 0.65


def heat(maps: np.ndarray) -> np.ndarray:
    """Colours of map values in [0, 1]: uint8 (..., 3)."""
    maps = np.clip(np.asarray(maps, float), 0, 1)
    return np.stack([np.interp(maps, _STOPS, _COLOURS[:, c]) for c in range(3)], axis=-1).round().astype(np.uint8)


def overlay(image: Image.Image, values: np.ndarray, side: int = 160) -> Image.Image:
    """The picture with the map over it.

    Parameters
    ----------
    image : PIL image
    values : float array (h, w) in [0, 1]
        Stretched over the whole picture.
    side : int
        Pixels of the longer side of the result; a small picture is enlarged by a whole factor.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError(f"a map must be finite with shape (h, w), not {values.shape}.")
    base = fitted(image, side)
    grey = Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))
    large = np.asarray(grey.resize(base.size, Image.Resampling.BILINEAR), float) / 255
    alpha = (STRONGEST * large)[..., None]
    mixed = (1 - alpha) * np.asarray(base, float) + alpha * heat(large)
    return Image.fromarray(mixed.round().astype(np.uint8))
