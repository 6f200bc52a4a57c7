"""Many images into one uint8 array: the common size, the memory it takes, and two cores where they help."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from PIL import Image

from auditor.core.errors import EmptyDataError, MemoryGuardError, UsageError
from auditor.core.machine import available_memory, cpu_count
from auditor.core.progress import Progress, SilentProgress
from auditor.data.decode import UndecodableImage, decode_rgb, image_size
from auditor.data.sources import Content, Source, Unreadable

#: Longest side of a size chosen by us. Larger is for the user to ask for.
LONGEST_SIDE = 256
#: Share of the free memory the pixel array may take; training needs the rest.
MEMORY_SHARE = 0.7
TASK = "load images"
_BLOCK = 256
#: Below this many bytes a file, threads only fight for the interpreter lock (measured on 32x32 files: two threads
#: took 1.5 s where one took 1.3 s).
_THREADS_FROM = 8 << 10


@dataclass
class LoadedImages:
    """Result of `load_pixels`: pixels, index into the asked positions -> reason, and what was done."""

    pixels: np.ndarray
    bad: dict[int, str] = field(default_factory=dict)
    note: str = ""
    resized: bool = False


class _SizesDiffer(Exception):
    pass


def load_pixels(
    source: Source, positions: np.ndarray, size: int | tuple[int, int] | None, progress: Progress
) -> LoadedImages:
    """Decode ``positions`` of `source`; contract as `auditor.data.kinds.ImageDataset.load_images`."""
    progress.start(TASK, len(positions), "images")
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else map(int, size)
        if not (1 <= height <= 4096 and 1 <= width <= 4096):
            raise UsageError(f"image size {size!r} is not between 1 and 4096 pixels.")
        target = height, width
        loaded = _decode_all(source, positions, target, progress)
        loaded.resized = True
    else:
        try:
            loaded = _decode_all(source, positions, None, progress)
        except _SizesDiffer:
            target, note = median_size(source, positions)
            loaded = _decode_all(source, positions, target, progress)
            loaded.resized, loaded.note = True, note
    progress.finish(TASK, f"{len(loaded.bad)} could not be decoded" if loaded.bad else "")
    return loaded


def load_uniform(source: Source, limit: int) -> LoadedImages | None:
    """All images if they have one size and take at most `limit` bytes together, else None."""
    positions = np.arange(len(source))
    first = next((content for _, content in source.read(positions[:1])), None)
    shape = _shape_of(first)
    if shape is None or len(source) * shape[0] * shape[1] * 3 > limit:
        return None
    try:
        return _decode_all(source, positions, None, SilentProgress())
    except _SizesDiffer:
        return None


def _shape_of(content: Content | None) -> tuple[int, int] | None:
    if isinstance(content, np.ndarray):
        return content.shape[0], content.shape[1]
    try:
        return image_size(content) if isinstance(content, bytes) else None
    except UndecodableImage:
        return None


def _allocate(n: int, shape: tuple[int, int], given: bool) -> np.ndarray:
    need, free = n * shape[0] * shape[1] * 3, available_memory()
    if need > MEMORY_SHARE * free:
        raise MemoryGuardError(
            f"{n:,} images of {shape[0]}x{shape[1]} pixels need {need / 2**30:.1f} GiB; "
            f"{free / 2**30:.1f} GiB are free.",
            f"Give a {'smaller' if given else 'common'} image size, or audit one split or a part of the data.",
        )
    return np.zeros((n, *shape, 3), dtype=np.uint8)


def _decode_all(
    source: Source, positions: np.ndarray, target: tuple[int, int] | None, progress: Progress
) -> LoadedImages:
    """Decode in blocks. Without a target, the first good image sets the size and another one raises."""
    pixels = None if target is None else _allocate(len(positions), target, given=True)
    bad: dict[int, str] = {}
    done = 0
    for block in _decoded_blocks(source, positions, target):
        for k, image in block:
            if isinstance(image, str):
                bad[k] = image
                continue
            if pixels is None:
                pixels = _allocate(len(positions), (image.shape[0], image.shape[1]), given=False)
            if image.shape != pixels.shape[1:]:
                raise _SizesDiffer
            pixels[k] = image
        done += len(block)
        progress.advance(TASK, done)
    if pixels is None:  # nothing could be decoded: there is no size to take
        pixels = np.zeros((len(positions), 1, 1, 3), dtype=np.uint8)
    return LoadedImages(pixels, bad)


def _decoded_blocks(
    source: Source, positions: np.ndarray, target: tuple[int, int] | None
) -> Iterator[list[tuple[int, np.ndarray | str]]]:
    contents = source.read(positions)

    def decode(content: tuple[int, Content]) -> tuple[int, np.ndarray | str]:
        return content[0], _decode_one(content[1], target)

    workers = cpu_count()
    with ThreadPoolExecutor(workers) as pool:
        while block := list(islice(contents, _BLOCK)):
            sizes = [len(c) for _, c in block if isinstance(c, bytes)]
            threaded = workers > 1 and sizes and sum(sizes) / len(sizes) >= _THREADS_FROM
            yield list(pool.map(decode, block) if threaded else map(decode, block))


def _decode_one(content: Content, target: tuple[int, int] | None) -> np.ndarray | str:
    if isinstance(content, Unreadable):
        return content.reason
    if isinstance(content, np.ndarray):
        if target is None or content.shape[:2] == target:
            return content
        resized = Image.fromarray(content).resize((target[1], target[0]), Image.Resampling.BILINEAR)
        return np.asarray(resized)
    try:
        return decode_rgb(content, target)
    except UndecodableImage as error:
        return str(error)


def median_size(source: Source, positions: np.ndarray) -> tuple[tuple[int, int], str]:
    """The common (height, width) that images of several sizes get, by their headers, and a sentence about it."""
    shapes = (_shape_of(content) for _, content in source.read(positions))
    sizes = np.array([shape for shape in shapes if shape])  # the others are reported by the decoding pass
    if not len(sizes):
        raise EmptyDataError("none of the images has a size that can be read.")
    median = np.median(sizes, axis=0)
    scale = min(1.0, LONGEST_SIDE / median.max())
    height, width = (max(1, round(float(side * scale))) for side in median)
    low, high, distinct = sizes.min(axis=0), sizes.max(axis=0), len(np.unique(sizes, axis=0))
    why = "the median size" if scale == 1.0 else f"the median size, reduced to {LONGEST_SIDE} pixels at most"
    note = (
        f"images come in {distinct} sizes, {low[0]}x{low[1]} to {high[0]}x{high[1]} (height x width); "
        f"all were resized to {height}x{width} ({why})"
    )
    return (height, width), note
