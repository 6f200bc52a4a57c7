"""Items in small, as a page shows them: pictures as data URIs, texts and rows as excerpts."""

from __future__ import annotations

import base64
import io
import mimetypes
from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

    from auditor.data.base import Dataset

#: Longer side of a thumbnail in pixels.
THUMBNAIL = 96
#: Characters of a text or a row.
EXCERPT = 1_000


def fitted(image: Image, side: int) -> Image:
    """An RGB copy of at most `side` pixels on its longer side; a small picture is enlarged by a whole factor, so that
    its pixels stay square."""
    from PIL.Image import Resampling

    small = image.convert("RGB")
    if (factor := side // max(small.size)) > 1:
        return small.resize((small.width * factor, small.height * factor), Resampling.NEAREST)
    small.thumbnail((side, side), Resampling.LANCZOS)
    return small


def data_uri(data: bytes, name: str) -> str:
    """``data:<type>;base64,...``; the type is that of the file `name`."""
    return f"data:{mimetypes.guess_type(name)[0]};base64,{base64.b64encode(data).decode()}"


def thumbnail_uri(image: Image) -> str:
    """Data URI of a picture of `THUMBNAIL` pixels."""
    buffer = io.BytesIO()
    fitted(image, THUMBNAIL).save(buffer, "PNG", optimize=True)
    return data_uri(buffer.getvalue(), "x.png")


def picture_of(dataset: Dataset, position: int) -> tuple[str | None, str | None]:
    """Thumbnail as a data URI, or an excerpt of the text or the row; neither where a data set holds no contents."""
    return (None, None) if dataset.modality == "probabilities" else in_small(dataset.item(position))


def in_small(item: Any, length: int = EXCERPT) -> tuple[str | None, str | None]:
    """Thumbnail of a picture as a data URI, or a text or the values of a row in `length` characters."""
    return (None, excerpt(item, length)) if isinstance(item, str | Mapping) else (thumbnail_uri(item), None)


def excerpt(item: str | Mapping[str, Any], length: int = EXCERPT) -> str:
    """A text, or the values of a row, numbers in six digits, on one line of at most `length` characters."""
    text = item if isinstance(item, str) else ", ".join(f"{name} = {_short(value)}" for name, value in item.items())
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)
