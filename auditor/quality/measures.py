"""One pass over the items: each is read and decoded once, measured, and let go."""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from auditor.core.files import load_npy
from auditor.core.machine import cpu_count
from auditor.core.processes import in_processes
from auditor.core.progress import Progress
from auditor.data.decode import UndecodableImage, decode_with_mode, image_header
from auditor.data.sources import Content, Source, Unreadable
from auditor.quality.image_measures import COLUMNS, HASH_BYTES, SMALLEST_SIDE, THUMBNAIL, measure_pictures
from auditor.quality.thumbnails import COLOUR, FINE

TASK = "measure images"
#: Items of one task of a worker, and the fewest for which starting workers pays (about a second each).
CHUNK, LEAST_FOR_WORKERS = 1000, 8000
#: Decoded pixels held before they are measured.
PENDING_BYTES = 32 << 20
#: Thumbnails above this size lie in a file without a name that the system takes back by itself.
IN_MEMORY = 512 << 20


_ARRAYS = ("file_hash", "pixel_hash", "size", "mode", "hash", "mirrored", "thumbnail", "fine", "tint", "file_bytes")


def _room(shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
    """An array of zeros, in memory or in a file without a name."""
    if int(np.prod(shape)) * np.dtype(kind).itemsize > IN_MEMORY:
        return np.memmap(tempfile.TemporaryFile(), kind, "w+", shape=shape)
    return np.zeros(shape, kind)


@dataclass(frozen=True, eq=False)
class ImageMeasures:
    """Measures of n images; rows of undecodable ones are zero (NaN in the float columns).

    Attributes
    ----------
    reasons : dict of int to str
        Why a position could not be decoded.
    file_hash, pixel_hash : bytes array (n,)
        Hexadecimal sha256 of the file, and of size and decoded pixels; empty where there is no file, or no pixels.
    size : int32 array (n, 2)
        Height and width as stored, after the EXIF orientation.
    mode : str array (n,)
        Pillow's name of the stored pixel format; ``"RGB"`` for arrays.
    columns : dict of str to float32 array (n,)
        As `auditor.quality.image_measures.measure_pictures`.
    hash, mirrored : uint8 array (n, 32)
    thumbnail : int16 array (n, 32, 32)
    fine : uint8 array (n, 64, 64)
    tint : uint8 array (n, 16, 16, 2)
        As `auditor.quality.thumbnails.fine_thumbnails`.
    file_bytes : int64 array (n,)
        Size of the file; 0 where there is none.
    """

    reasons: dict[int, str]
    file_hash: np.ndarray
    pixel_hash: np.ndarray
    size: np.ndarray
    mode: np.ndarray
    columns: dict[str, np.ndarray]
    hash: np.ndarray
    mirrored: np.ndarray
    thumbnail: np.ndarray
    fine: np.ndarray
    tint: np.ndarray
    file_bytes: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    @property
    def comparable(self) -> np.ndarray:
        """Which are large enough to be compared by their looks, bool (n,)."""
        return self.size.min(axis=1) >= SMALLEST_SIDE

    @classmethod
    def empty(cls, n: int) -> ImageMeasures:
        """Room for n images."""
        thumbnail = _room((n, THUMBNAIL, THUMBNAIL), np.int16)
        fine, tint = _room((n, FINE, FINE), np.uint8), _room((n, COLOUR, COLOUR, 2), np.uint8)
        columns = {name: np.full(n, np.nan, np.float32) for name in COLUMNS}
        file_hash, pixel_hash = np.zeros((2, n), "S64")
        hashes, mirrored = np.zeros((2, n, HASH_BYTES), np.uint8)
        size, mode, sizes = np.zeros((n, 2), np.int32), np.zeros(n, "U8"), np.zeros(n, np.int64)
        return cls({}, file_hash, pixel_hash, size, mode, columns, hashes, mirrored, thumbnail, fine, tint, sizes)

    def put(self, start: int, part: ImageMeasures) -> None:
        """Copy the measures of the items from `start` on."""
        here = slice(start, start + len(part))
        self.reasons.update({start + k: why for k, why in part.reasons.items()})
        for name in _ARRAYS:
            getattr(self, name)[here] = getattr(part, name)
        for name, values in part.columns.items():
            self.columns[name][here] = values


def joined_measures(parts: Sequence[ImageMeasures]) -> ImageMeasures:
    """Measures of several sources, one after the other."""
    if len(parts) == 1:
        return parts[0]
    whole, start = ImageMeasures.empty(sum(map(len, parts))), 0
    for part in parts:
        whole.put(start, part)
        start += len(part)
    return whole


def measure_images(
    source: Source, progress: Progress, decoded: Path | None = None, workers: int | None = None
) -> ImageMeasures:
    """Measure every image of a source.

    Parameters
    ----------
    source : Source
    progress : Progress
    decoded : Path, optional
        ``.npy`` of pixels uint8 (n, H, W, 3) decoded before. Taken instead of decoding again for items whose stored
        size is (H, W); a resized picture says nothing about its original.
    workers : int, optional
        Processes; by default one per core. Never changes the result.
    """
    n = len(source)
    whole = ImageMeasures.empty(n)
    progress.start(TASK, n, "images")
    wanted = workers or cpu_count()
    parallel = wanted > 1 and n >= LEAST_FOR_WORKERS and not source.in_memory
    done = 0
    for start, part in in_processes(partial(_Chunks, source, decoded), range(0, n, CHUNK), wanted if parallel else 1):
        whole.put(start, part)
        done += len(part)
        progress.advance(TASK, done)
    bad = len(whole.reasons)
    progress.finish(TASK, f"{bad} could not be decoded" if bad else "")
    return whole


class _Chunks:
    """Measures chunks of a source, pictures of one size together."""

    def __init__(self, source: Source, decoded: Path | None) -> None:
        self.source = source
        self.pixels = None if decoded is None else load_npy(decoded, mmap=True)

    def __call__(self, start: int, send: object = None) -> ImageMeasures:
        """The items from `start` to the end of its chunk."""
        positions = np.arange(start, min(start + CHUNK, len(self.source)))
        out = ImageMeasures.empty(len(positions))
        pending: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = defaultdict(list)
        held = 0
        for k, content in self.source.read(positions):
            image = self._pixels(int(positions[k]), k, content, out)
            if image is None:
                continue
            out.size[k] = image.shape[:2]
            out.pixel_hash[k] = _digest(image)
            pending[image.shape[0], image.shape[1]].append((k, image))
            held += image.nbytes
            if held > PENDING_BYTES:
                _measure(pending, out)
                held = 0
        _measure(pending, out)
        return out

    def _pixels(self, position: int, k: int, content: Content, out: ImageMeasures) -> np.ndarray | None:
        if isinstance(content, Unreadable):
            out.reasons[k] = content.reason
            return None
        if isinstance(content, np.ndarray):
            out.mode[k] = "RGB"
            return content
        out.file_bytes[k] = len(content)
        out.file_hash[k] = hashlib.sha256(content).hexdigest().encode()
        try:
            if self.pixels is not None:
                height, width, mode = image_header(content)
                # A black row may be an item that could not be decoded; that is found out by decoding.
                if (height, width) == self.pixels.shape[1:3] and self.pixels[position].any():
                    out.mode[k] = mode
                    return np.asarray(self.pixels[position])
            image, out.mode[k] = decode_with_mode(content)
        except UndecodableImage as error:
            out.reasons[k] = str(error)
            return None
        return image


def _digest(image: np.ndarray) -> bytes:
    digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest().encode()


def _measure(pending: dict[tuple[int, int], list[tuple[int, np.ndarray]]], out: ImageMeasures) -> None:
    """Measure what is pending, and forget it."""
    for waiting in pending.values():
        places = [k for k, _ in waiting]
        measured = measure_pictures(np.stack([image for _, image in waiting]))
        for name, values in measured.items():
            (out.columns[name] if name in COLUMNS else getattr(out, name))[places] = values
    pending.clear()
