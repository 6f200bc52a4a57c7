"""Bytes of an image file in, uint8 RGB pixels out; everything that can be wrong with a file becomes a reason.

One rule for every source, so that the same file gives the same pixels, the same hash and the same prediction
wherever it is read from: the first frame; transparency laid over white, as a viewer shows it; 16-bit grey scaled
to 8 bits (Pillow alone would clip it to white); CMYK and grey converted; the EXIF orientation applied.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

T = TypeVar("T")

#: Images with more pixels are refused before decoding: 268 MB of RGB. A 100-kilobyte PNG can claim 10 gigapixels.
MAX_PIXELS = 89_478_485

#: Pillow's names of the formats that are decoded, AVIF and HEIF where their plug-ins are installed. Its others are
#: never asked: one of them hands PostScript to Ghostscript, which runs it.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")

#: Files whose decoded pixels do not depend on the decoder.
LOSSLESS_SUFFIXES = frozenset({".png", ".bmp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".gif"})

_EXIF_ORIENTATION = 0x0112
#: Pillow's name of a format and how its files begin.
_STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
}


class UndecodableImage(Exception):
    """Why one file gives no pixels. Internal: the data kinds turn it into a `BadItem`."""


def _format_of(head: bytes) -> str | None:
    """Pillow's format name from the first 16 bytes, or None where only trying those of `FORMATS` helps.

    Naming it saves Pillow from trying its plug-ins one after the other, which costs more than decoding a
    32x32 image (measured: 350 us against 130 us a file).
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for name, starts in _STARTS.items() if head.startswith(starts)), None)


@cache
def _installed_formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def is_lossless(data: bytes) -> bool:
    """Whether an image file keeps pixels exactly, judged by its first bytes."""
    name = _format_of(data[:16])
    if name == "WEBP":
        # VP8X is a container that may hold either kind; only the plain lossless stream is certain.
        return data[12:16] == b"VP8L"
    return name in {"PNG", "BMP", "GIF", "TIFF"}


def _opened(data: bytes, use: Callable[[Image.Image], T]) -> T:
    if len(data) == 0:
        raise UndecodableImage("the file is empty (0 bytes)")
    name = _format_of(data[:16])
    try:
        with Image.open(io.BytesIO(data), formats=[name] if name else _installed_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width}x{image.height}"
                raise UndecodableImage(f"the image claims {size} pixels, more than {MAX_PIXELS:,}; it was not decoded")
            return use(image)
    except UndecodableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UndecodableImage(f"the image is too large: {error}") from error
    except Image.UnidentifiedImageError as error:
        known = ", ".join(_installed_formats())
        raise UndecodableImage(f"not an image file ({known}), or damaged at its start") from error
    except Exception as error:
        # Decoders fed damaged bytes raise nearly anything (SyntaxError, struct.error, IndexError); it is reported.
        raise UndecodableImage(f"damaged or truncated: {error or type(error).__name__}") from error


def image_size(data: bytes) -> tuple[int, int]:
    """(height, width) after the EXIF orientation, from the header alone.

    Raises
    ------
    UndecodableImage
    """
    return image_header(data)[:2]


def image_header(data: bytes) -> tuple[int, int, str]:
    """(height, width, mode) from the header alone: size after the EXIF orientation, mode as Pillow names it.

    Raises
    ------
    UndecodableImage
    """

    def header(image: Image.Image) -> tuple[int, int, str]:
        width, height = image.size[::-1] if _orientation(image) in (5, 6, 7, 8) else image.size
        return height, width, image.mode

    return _opened(data, header)


def decode_rgb(data: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    size : (height, width), optional
        Resize to this with an area-averaging bilinear filter.

    Returns
    -------
    uint8 array (H, W, 3)

    Raises
    ------
    UndecodableImage
        With the reason in words.
    """
    return decode_with_mode(data, size)[0]


def decode_with_mode(data: bytes, size: tuple[int, int] | None = None) -> tuple[np.ndarray, str]:
    """As `decode_rgb`, and the mode the file stores (``"RGB"``, ``"L"``, ``"CMYK"``, ...)."""

    def pixels(image: Image.Image) -> tuple[np.ndarray, str]:
        mode = image.mode
        if size is not None and image.format == "JPEG" and _orientation(image) == 1:
            # Lets the JPEG decoder skip detail that the resize would average away; never below the target.
            image.draft("RGB", (size[1], size[0]))
        rgb = _to_rgb(image)
        if size is not None and (rgb.height, rgb.width) != size:
            rgb = rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(rgb), mode

    return _opened(data, pixels)


def pixels_of(image: Image.Image) -> np.ndarray:
    """An open image as uint8 RGB (H, W, 3), by the rules of files.

    Raises
    ------
    UndecodableImage
    """
    try:
        return np.asarray(_to_rgb(image))
    except UndecodableImage:
        raise
    except Exception as error:  # a file that is read only now, or was closed
        raise UndecodableImage(f"damaged or truncated: {error or type(error).__name__}") from error


def _orientation(image: Image.Image) -> int:
    # Only files with an EXIF block are asked: getexif() on each of 60,000 small files would cost seconds.
    if "exif" not in image.info and image.format != "TIFF":
        return 1
    return int(image.getexif().get(_EXIF_ORIENTATION, 1))


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode == "RGB":
        return image
    if mode == "F":
        raise UndecodableImage("32-bit float pixels have no agreed brightness range")
    if mode == "I" or mode.startswith("I;16"):
        return _from_deep_grey(image)
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, (255, 255, 255, 255)), over).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        raise UndecodableImage(f"grey values from {low} to {high} do not fit into 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")


def decode_numbers(data: bytes) -> np.ndarray:
    """The numbers that an image file stores for its pixels, as they are: positions in a palette, grey levels, bits.

    Returns
    -------
    integer array (H, W)
        After the EXIF orientation.

    Raises
    ------
    UndecodableImage
        Also for colours and fractions, which are no numbers of classes.
    """

    def numbers(image: Image.Image) -> np.ndarray:
        image.load()
        if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
            raise UndecodableImage(f"it stores colours or fractions (mode {image.mode}), not one whole number a pixel")
        pixels = np.asarray(ImageOps.exif_transpose(image) if _orientation(image) != 1 else image)
        return pixels.astype(np.uint8) if pixels.dtype == bool else pixels

    return _opened(data, numbers)
