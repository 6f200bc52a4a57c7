"""The items themselves: pictures, texts and table rows of a run, checked against the content hash it recorded."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, UnreadableError
from auditor.explain.opening import same_item
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.ui.keywords import MOST_TEXTS, Keywords
from auditor.ui.rows import RunRows

if TYPE_CHECKING:
    from PIL.Image import Image

    from auditor.data.base import Dataset
    from auditor.explain.item import RunNetworks

#: Widths a picture can be asked for, so that the cache on disk cannot be made to grow without end.
WIDTHS: Final = (96, 192, 384, 768, 1536)
#: The longest side of a WebP. Asked for as a width it means the picture's own resolution: made anew each time, because
#: the browser keeps it.
FULL: Final = 16_383
#: Pictures no longer than this are sent without loss: every pixel counts.
LOSSLESS_SIDE: Final = 256
#: Texts are cut here; a reviewer does not read further, and the browser stays quick.
LONGEST_TEXT: Final = 6000
MOST_COLUMNS: Final = 200


class Contents:
    """Contents of a run's items. The data set is opened once, when first needed."""

    def __init__(self, run: Run, rows: RunRows, settings: Settings) -> None:
        self.run = run
        self.rows = rows
        self.settings = settings
        self.kind: str = run.manifest["data"]["modality"]
        self._lock = threading.Lock()

    @cached_property
    def _dataset(self) -> Dataset:
        return self.run.open_data(self.settings)

    def warm(self) -> None:
        """Open the data set now, so that the first visitor does not wait for it."""
        if self.kind != "probabilities":
            with self._lock:
                _ = self._dataset

    def content(self, content_hash: str) -> Image | str | dict[str, Any]:
        """The item with this content.

        Raises
        ------
        DataError
            If the run has no such item, or the data set holds something else in its place by now.
        UnreadableError
            If it cannot be decoded.
        """
        row = self._row(content_hash)
        with self._lock:
            dataset = self._dataset
        # What is shown is what was audited, also when files changed since.
        item: Image | str | dict[str, Any] = same_item(dataset, row, self.rows.facts(row)["id"], content_hash).item(0)
        return item

    def _row(self, content_hash: str) -> int:
        if (row := self.rows.row_of_hash(content_hash)) is None:
            raise DataError("this run has no item with that content.")
        return row

    def _picture(self, content_hash: str) -> Image:
        if isinstance(item := self.content(content_hash), str | dict):
            raise DataError("this item is no picture.")
        return item

    def keywords(self) -> Keywords:
        """Word weights of the run's texts, from at most `MOST_TEXTS` of them."""
        with self._lock:
            dataset = self._dataset
        step = max(1, len(dataset) // MOST_TEXTS)
        part = dataset.subset(np.arange(0, len(dataset), step))
        return Keywords([str(part.item(k)) for k in range(len(part))], part.labels, self.run.class_names)

    def picture(self, content_hash: str, width: int | None) -> bytes:
        """A picture as WebP, at most `width` pixels wide, never enlarged; kept on disk unless it is `FULL`. Errors as
        `content`."""
        if width not in (None, FULL, *WIDTHS):
            raise DataError(f"width {width} is not offered.", f"Widths: {', '.join(map(str, (*WIDTHS, FULL)))}.")
        if width == FULL:
            return encode(self._picture(content_hash), FULL, FULL)
        self._row(content_hash)
        name = f"{content_hash.removeprefix('sha256:')}-{width or WIDTHS[-1]}.webp"
        path = self.run.path / layout.WORK / "pictures" / name[:2] / name
        if (data := _cached(path)) is None:
            data = encode(self._picture(content_hash), width or WIDTHS[-1])
            _cache(path, data)
        return data

    def class_map(self, content_hash: str, label: int) -> bytes:
        """A picture with what its network looked at for a class laid over it, as WebP.

        Raises
        ------
        DataError
            As `content`; for an unknown class, an item that no network predicted, or a run that kept none.
        """
        if not 0 <= label < len(self.run.class_names):
            raise DataError("this run has no such class.")
        row, image = self._row(content_hash), self._picture(content_hash)
        from auditor.explain.overlays import overlay

        with self._lock:
            class_map = self._networks.of(row, image, [label])[0]
        return encode(overlay(image, class_map.values, WIDTHS[1]), WIDTHS[1])

    @cached_property
    def _networks(self) -> RunNetworks:
        from auditor.explain.item import RunNetworks

        return RunNetworks(self.run)

    def words(self, content_hash: str) -> dict[str, Any]:
        """A text or table row for the card: ``text``, or ``row`` as pairs of column and value, or ``error``."""
        try:
            item = self.content(content_hash)
        except (DataError, UnreadableError) as error:
            return {"error": error.what}
        return _words_of(item)

    def letters(self, start: int, stop: int) -> list[str]:
        """What a search looks through, of rows `start` to `stop` of the run: the words that the card shows."""
        with self._lock:
            dataset = self._dataset
        shown = [_words_of(dataset.item(row)) for row in range(start, min(stop, len(dataset)))]
        return [s.get("text") or "\n".join(f"{name} {value}" for name, value in s.get("row", ())) for s in shown]


def _words_of(item: object) -> dict[str, Any]:
    if isinstance(item, str):
        cut = len(item) > LONGEST_TEXT
        return {"text": item[:LONGEST_TEXT] + (" [..]" if cut else ""), "cut": cut}
    if isinstance(item, dict):
        text = lambda v: "" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v)[:500]  # noqa: E731
        rows = [[str(name), text(value)] for name, value in item.items()]
        return {"row": rows[:MOST_COLUMNS], "cut": len(rows) > MOST_COLUMNS}
    return {}


def _cached(path: Path) -> bytes | None:
    """A picture from the cache; None where it is not there, or a power cut left a part of it."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    # A WebP file says how long it is.
    whole = data[:4] == b"RIFF" and len(data) >= 12 and int.from_bytes(data[4:8], "little") + 8 == len(data)
    return data if whole else None


def _cache(path: Path, data: bytes) -> None:
    """Put a picture into the cache, without waiting for the disk as verdicts do.

    Measured: a synced write takes 7 ms beside 0.5 ms for making the picture, and far more while others write; pictures
    then came slower than keys.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        # The cache only saves time; a run on a full or read-only disk can be reviewed as well.
        with contextlib.suppress(OSError):
            temporary.unlink()


def encode(image: Image, width: int, height: int = 4 * WIDTHS[-1]) -> bytes:
    """WebP of a picture, scaled down to `width` and `height` where it is larger; no loss where it is small."""
    from PIL import Image as Pillow

    # A strip of 1 x 80,000 pixels has no width to scale by.
    scale = min(1.0, width / image.width, height / image.height)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Pillow.Resampling.LANCZOS)
    small = max(image.size) <= LOSSLESS_SIDE
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=small, quality=100 if small else 88, method=2)
    return buffer.getvalue()
