"""A page of flagged pictures with what is wrong drawn over them: self-contained, no script."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from PIL import Image

from auditor.core.errors import UnreadableError
from auditor.core.files import write_text
from auditor.core.reading import regular_file
from auditor.data.decode import UndecodableImage, decode_rgb
from auditor.kinds.base import KindFlags
from auditor.kinds.pictured import MOST_BYTES, FlaggedPicture, PictureFolder, Shape, size_of
from auditor.kinds.registry import KINDS
from auditor.kinds.tasks import pictured, words
from auditor.report.pictures import data_uri, fitted
from auditor.report.rendering import render

#: Pictures of a page; of a hundred kilobytes each it can still be sent by mail.
MOST_SHOWN: Final = 60
#: Longer side of a picture in pixels, and how it is packed.
SIDE: Final = 480
_QUALITY: Final = 85


def write_page(flags: KindFlags, path: Path, images: Path | str | None = None) -> int:
    """Write the page of the most suspicious pictures.

    Parameters
    ----------
    flags : KindFlags
        Of boxes or masks.
    path : Path
        Ends in ``.html``.
    images : path, optional
        Folder of the pictures; without it shapes lie on an empty ground, as large as the labels say.

    Returns
    -------
    int
        Pictures shown, at most `MOST_SHOWN`.

    Raises
    ------
    UsageError
        No pictures in this kind, or a size that neither labels nor `images` tell.
    UnreadableError, DataError
        A picture that is not there or damaged; as `PictureFolder`.
    """
    found, folder = pictured(flags), None if images is None else PictureFolder(images)
    shown = list(_cards(islice(found, MOST_SHOWN), folder))
    codes = KINDS.load(flags.kind).codes
    counts = [(code, codes[code], count) for code, count in flags.counts.items()]
    page = render("located.html.jinja", flags=flags, pictures=shown, counts=counts, total=len(found))
    write_text(path, page)
    return len(shown)


def _cards(pictures: Iterator[FlaggedPicture], folder: PictureFolder | None) -> Iterator[dict[str, Any]]:
    for picture in pictures:
        width, height = size_of(picture, folder)
        yield {
            "id": picture.id,
            "score": picture.score,
            "image": None if folder is None else _packed(folder.find(picture)),
            "width": width,
            "height": height,
            "unit": max(width, height) / SIDE,  # a pixel of the page
            "findings": [{"words": words(finding), "score": finding["score"]} for finding in picture.findings],
            "shapes": [_drawn(shape) for shape in picture.shapes],
        }


def _drawn(shape: Shape) -> dict[str, Any]:
    outlines = [" ".join(f"{x:.2f},{y:.2f}" for x, y in outline) for outline in shape.outlines]
    look = "as-given" if shape.finding is None else "wrong" if shape.given else "instead"
    number = None if shape.finding is None else shape.finding + 1
    return {"label": shape.label, "box": shape.box, "outlines": outlines, "look": look, "number": number}


def _packed(path: Path) -> str:
    """A picture of at most `SIDE` pixels as a data URI."""
    try:
        pixels = decode_rgb(regular_file(path, MOST_BYTES).read_bytes())
    except UndecodableImage as error:
        raise UnreadableError(f"{str(path)!r}: {error}.") from error
    buffer = io.BytesIO()
    fitted(Image.fromarray(pixels), SIDE).save(buffer, "JPEG", quality=_QUALITY)
    return data_uri(buffer.getvalue(), "x.jpg")
