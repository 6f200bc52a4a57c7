"""Perceptual hashes of images and shingle sketches of texts: the candidates for near duplicates.

All arithmetic is on integers (held in float64 where BLAS needs it, far below 2**53), so that a hash is a function
of one item's content alone: not of its place in a block, of the processor or of the other items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from scipy.fft import dctn

#: Hash length and band width. Photographs of 32 px shifted by a pixel differ in an eighth of the bits (median);
#: they then agree on one of the 32 bands of 16 bits with probability 0.98, pictures saved anew (a sixteenth of
#: the bits) practically always.
BITS, BAND = 256, 16
GRID = 8
LUMA = np.array([299, 587, 114])  # ITU-R BT.601, in thousandths
#: Buckets above this size are split by the next band before pairs are formed: pictures of nothing (black, white)
#: would otherwise pair up quadratically.
LARGEST_BUCKET = 512


def block_sums(images: np.ndarray, side: int) -> np.ndarray:
    """Integer sums of `images` over a side x side grid of nearly equal blocks.

    Parameters
    ----------
    images : uint8 array (n, H, W, C)
    side : int
        At most H and W; larger values are lowered to them.

    Returns
    -------
    int64 array (n, rows, columns, C)
        Block sums scaled to the same number of pixels per block where blocks differ in size.
    """
    rows, columns = (np.linspace(0, size, min(side, size) + 1).astype(np.int64) for size in images.shape[1:3])
    sums = np.add.reduceat(images.astype(np.int64), rows[:-1], axis=1)
    sums = np.add.reduceat(sums, columns[:-1], axis=2)
    area = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    if area.min() != area.max():
        sums = sums * int(area.max()) // area[None, :, :, None]
    return sums


def _brightness(images: np.ndarray, rows: np.ndarray, side: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Brightness of `block_sums` of some images, and their places in `rows`; int64 copies stay below about 100 MB."""
    step = int(np.clip((1 << 23) // max(1, int(np.prod(images.shape[1:]))), 1, 4096))
    for start in range(0, len(rows), step):
        yield slice(start, start + step), block_sums(np.asarray(images[rows[start : start + step]]), side) @ LUMA


def grey_thumbnails(images: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Brightness of some images over at most side x side blocks, in quarters of a grey level, int16 (m, h, w)."""
    height, width = min(side, images.shape[1]), min(side, images.shape[2])
    out = np.empty((len(rows), height, width), np.int16)
    area = -(-images.shape[1] // height) * -(-images.shape[2] // width)
    for here, brightness in _brightness(images, rows, side):
        # Four steps per grey level keep the detail of dark pictures.
        out[here] = brightness * 4 // (1000 * area)
    return out


def image_hashes(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sign bits of random frequency-weighted projections of the brightness layout.

    Parameters
    ----------
    images : uint8 array (n, H, W, 3)
    rows : int array (m,)
        Which images.

    Returns
    -------
    uint8 array (m, BITS / 8)
        Packed bits; equal for images that differ in brightness or contrast only.
    """
    planes = _planes(min(GRID, images.shape[1]), min(GRID, images.shape[2]))
    out = np.empty((len(rows), BITS // 8), np.uint8)
    for here, brightness in _brightness(images, rows, GRID):
        flat = brightness.reshape(len(brightness), -1).astype(np.float64)
        out[here] = np.packbits(flat @ planes > 0, axis=1)
    return out


def _planes(height: int, width: int) -> np.ndarray:
    """Integer-valued projections, float64 (height * width, BITS); each sums to 0, so brightness drops out.

    Natural images have power that falls with the square of the frequency. Weighting a frequency by its length
    makes all of them count alike; unweighted bits would all describe the same smooth gradient.
    """
    generator = np.random.default_rng(20240607)  # part of the definition of the hash
    vertical, horizontal = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    weight = np.sqrt(vertical**2 + horizontal**2)
    spectrum = generator.standard_normal((BITS, height, width)) * weight
    planes = np.rint(dctn(spectrum, axes=(1, 2), norm="ortho", type=3) * 256).reshape(BITS, -1)
    planes[:, 0] -= planes.sum(axis=1)
    return planes.T


def candidate_pairs(hashes: np.ndarray, most_bits: int) -> np.ndarray:
    """Pairs that agree on a whole band and differ in at most `most_bits` bits altogether.

    Parameters
    ----------
    hashes : uint8 array (n, BITS / 8)
    most_bits : int

    Returns
    -------
    int64 array (pairs, 2)
        Positions, smaller first, sorted, each pair once. Independent of the order of the items.
    """
    words = np.ascontiguousarray(hashes).view(np.uint64)
    rows = np.ascontiguousarray(hashes).view(np.uint16)
    # The same bits once more, read down the columns of the 16 x 16 square: twice the chances to agree.
    square = np.unpackbits(hashes, axis=1).reshape(len(hashes), BITS // BAND, BAND)
    turned = np.packbits(square.transpose(0, 2, 1).reshape(len(hashes), BITS), axis=1)
    bands = np.hstack([rows, np.ascontiguousarray(turned).view(np.uint16)])
    proposed = [np.empty((0, 2), np.int64)]
    for first, second in pairs_in_buckets(bands):
        close = np.bitwise_count(words[first] ^ words[second]).sum(axis=1) <= most_bits
        proposed.append(np.column_stack([first[close], second[close]]))
    return np.unique(np.concatenate(proposed), axis=0)


def pairs_in_buckets(bands: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows that agree in a column, in pieces of a few million; a pair may come once per column.

    Parameters
    ----------
    bands : unsigned int array (n, columns)
        Buckets of more than `LARGEST_BUCKET` rows are split by the next columns first. A bucket depends on the
        set of items, never on their order.
    """
    todo = [(np.arange(len(bands)), column, 0) for column in range(bands.shape[1])]
    while todo:
        members, column, depth = todo.pop()
        keys = bands[members, column]
        order = np.lexsort((members, keys))
        members, keys = members[order], keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
        sizes = np.diff(np.r_[starts, len(keys)])
        # Split at most thrice: copies of one picture agree in every column and cannot be told apart.
        large = sizes > LARGEST_BUCKET if depth < 3 else np.zeros(len(sizes), bool)
        for start, size in zip(starts[large], sizes[large], strict=True):
            todo.append((members[start : start + size], (column + 1) % bands.shape[1], depth + 1))
        yield from _pairs_of(members, starts[~large], sizes[~large])


def _pairs_of(
    members: np.ndarray, starts: np.ndarray, sizes: np.ndarray, most: int = 2_000_000
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (smaller, larger) inside consecutive runs of `members`; runs of one size are handled together."""
    for size in np.unique(sizes[(sizes > 1) & (sizes <= 4 * LARGEST_BUCKET)]):
        left, right = np.triu_indices(int(size), 1)
        here = starts[sizes == size]
        step = max(1, most // len(left))
        for at in range(0, len(here), step):
            base = here[at : at + step, None]
            yield members[base + left].ravel(), members[base + right].ravel()


def normalised_text(text: str) -> str:
    """Case, width variants, punctuation and white space taken out of a text."""
    import unicodedata

    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def text_sketches(texts: list[str], shingle: int, hashes: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """MinHash sketches of word shingles.

    Parameters
    ----------
    texts : list of str
        Already normalised.
    shingle : int
        Words per shingle; shorter texts are one shingle.
    hashes : int
        Length of a sketch.

    Returns
    -------
    sketches : uint64 array (n, hashes)
    shingles : list of uint64 arrays
        Sorted distinct shingle hashes of each text, for the exact Jaccard similarity.
    """
    generator = np.random.default_rng(20240608)
    odd = generator.integers(0, 2**63, hashes, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shift = generator.integers(0, 2**63, hashes, dtype=np.uint64)
    sketches = np.empty((len(texts), hashes), np.uint64)
    shingles = []
    for row, text in enumerate(texts):
        words = text.split()
        parts = {" ".join(words[i : i + shingle]) for i in range(max(1, len(words) - shingle + 1))}
        codes = np.array(
            sorted(int.from_bytes(hashlib.blake2b(p.encode(), digest_size=8).digest(), "little") for p in parts),
            np.uint64,
        )
        shingles.append(codes)
        mixed = codes[:, None] * odd + shift  # wraps around on purpose
        sketches[row] = (mixed ^ (mixed >> np.uint64(29))).min(axis=0)
    return sketches, shingles
