"""Pictures that are no files: PIL images, arrays and tensors of any range and layout, as uint8 RGB pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from auditor.data.decode import UndecodableImage, pixels_of
from auditor.data.sources import Content, Unreadable, followed

_CHANNELS = (1, 3, 4)
#: Numbers up to this, above 1, are no pixels from 0 to 255 but some other range, such as the digits from 0 to 16.
_DARK = 64


@dataclass(frozen=True)
class PixelForm:
    """How arrays are read as pictures, all of a column alike.

    Attributes
    ----------
    channels_first : bool
        (c, h, w) instead of (h, w, c).
    low, high : float
        What becomes 0 and 255.
    """

    channels_first: bool = False
    low: float = 0.0
    high: float = 255.0

    @property
    def note(self) -> str | None:
        """What a user should know of it."""
        if (self.low, self.high) in ((0, 255), (0, 1), (0, 65535)):
            return None
        return f"pixels from {self.low:.6g} to {self.high:.6g} were scaled to 0 to 255"

    def pixels(self, array: np.ndarray) -> np.ndarray:
        """uint8 (h, w, 3); a view where nothing has to be changed.

        Raises
        ------
        UndecodableImage
        """
        if array.ndim == 3 and self.channels_first:
            array = np.moveaxis(array, 0, -1)
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)) or not array.size:
            raise UndecodableImage(f"an array of shape {array.shape} is no image")
        if array.dtype != np.uint8 and self.high == 65535:
            array = (array.astype(np.int64) >> 8).astype(np.uint8)
        elif array.dtype != np.uint8:
            if not np.isfinite(array).all():
                raise UndecodableImage("it has pixels that are not finite")
            scaled = (array.astype(np.float64) - self.low) * (255 / ((self.high - self.low) or 1))
            array = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        if array.ndim == 2:
            return np.repeat(array[..., None], 3, axis=2)
        return pixels_of(Image.fromarray(array)) if array.shape[2] == 4 else array


def is_picture(value: Any) -> bool:
    """Whether a value is a picture, or an array that could be one."""
    return isinstance(value, Image.Image) or _is_array(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and len(getattr(value, "shape", ())) in (2, 3)


def pixel_form(items: np.ndarray | Iterable[Any]) -> PixelForm | None:
    """How some items, or an array of them (n, h, w[, c]) or (n, c, h, w), are read; None if they are no pictures.

    Arrays without channels are pictures where they hold no negative number; with one, three or four channels always.
    """
    arrays = [items] if isinstance(items, np.ndarray) else [_as_array(v) for v in items if _is_array(v)]
    arrays = [array for array in arrays if array.size]
    if not arrays:
        return PixelForm()
    shapes = {array.shape[1:] if isinstance(items, np.ndarray) else array.shape for array in arrays}
    if not all((len(shape) in (2, 3) and min(shape[:2]) > 1) or _first_or_last(shape) for shape in shapes):
        return None
    layouts = {_first_or_last(shape) for shape in shapes if len(shape) == 3}
    if None in layouts or any(array.dtype.kind not in "buif" for array in arrays):
        return None
    channels_first = layouts == {"first"}
    if all(array.dtype == np.uint8 for array in arrays):
        return PixelForm(channels_first)
    lows, highs = ([float(extreme(array)) for array in arrays] for extreme in (np.min, np.max))
    low, high = (min(filter(np.isfinite, lows), default=0.0), max(filter(np.isfinite, highs), default=1.0))
    if low < 0 and not layouts:
        return None
    if low >= 0 and high <= 1:
        return PixelForm(channels_first, 0, 1)
    if low >= 0 and _DARK < high <= 255:
        return PixelForm(channels_first)
    if low >= 0 and high > 255 and all(array.dtype.kind in "ui" for array in arrays) and high <= 65535:
        return PixelForm(channels_first, 0, 65535)
    return PixelForm(channels_first, min(low, 0.0), high)


def _first_or_last(shape: tuple[int, ...]) -> str | None:
    """Where the channels of (h, w, c) or (c, h, w) are."""
    if len(shape) != 3:
        return None
    return "last" if shape[2] in _CHANNELS else "first" if shape[0] in _CHANNELS else None


def _as_array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def image_content(item: Any, form: PixelForm | None = None, root: str | None = None) -> Content:
    """What is in memory of one picture: its pixels, or the bytes of its file; paths are followed inside `root`."""
    if item is None:
        return Unreadable("there is no image")
    if isinstance(item, bytes):
        return item
    if isinstance(item, dict):
        stored: bytes | None = item.get("bytes")
        return followed(item.get("path"), root) if stored is None else stored
    try:
        if isinstance(item, Image.Image):
            return pixels_of(item)
        if hasattr(item, "shape"):
            return (form or PixelForm()).pixels(_as_array(item))
    except UndecodableImage as error:
        return Unreadable(str(error))
    return Unreadable(f"no image, but a value of the type {type(item).__name__}")
