"""Exact and near duplicates: which items must stay on one side of every fold.

Exact: equal content hash. Near: for images a perceptual hash proposes pairs and the pixels decide; for texts
shingle sketches propose and the Jaccard similarity decides; table rows have exact duplicates only. Every
decision about a pair rests on the two items alone, so the groups do not depend on the order of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from auditor.checks.hashes import (
    candidate_pairs,
    grey_thumbnails,
    image_hashes,
    normalised_text,
    pairs_in_buckets,
    text_sketches,
)
from auditor.core.errors import DataError

__all__ = ["DuplicateGroup", "Duplicates", "find_duplicates"]

#: Pairs whose hashes differ in more of the 256 bits are not looked at (half the bits differ by chance).
MOST_BITS = 56
#: Least correlation of the brightness gradients of two images, over the whole picture and over its middle. Found
#: on contact sheets of CIFAR-10, 80 random pairs a band: above .75 all show one photograph (recompressed,
#: recoloured, shifted by a pixel); from .70 to .75 all but two; from .65 to .70 seven are look-alikes (ships).
LEAST_CORRELATION = 0.7
AXIS_SLACK = 0.15
#: Least correlation at half the resolution for a pair to be looked at in full; a pixel's shift is half a one there.
LEAST_AT_HALF = 0.4
#: Images are compared at this size; smaller ones than `SMALLEST_SIDE` hold too little to tell a copy from a
#: look-alike (8x8 digits of one class correlate above .9), so only exact duplicates count there.
COMPARED_SIDE, SMALLEST_SIDE = 32, 16
#: A chain of pairs longer than this share of the items (or than 50) is no set of copies; it is cut by asking for
#: more similarity.
LARGEST_SHARE = 0.01
STRICTER = (0.85, 0.92, 0.97)
#: Pictures that look alike by nature (handwriting, scans, microscopy) are told from copies by two signs together:
#: many items have a partner, and partners of one item are not partners of each other, as all copies of one thing
#: are. Then more similarity is asked for. Measured at .70: of 600 handwritten digits 94 % have a partner and 4 % of
#: the pairs inside the groups hold; of the 60,000 CIFAR-10 photographs 2.3 % have one.
LOOKALIKE_SHARE, COPY_COMPLETENESS = 0.1, 0.6
#: Least Jaccard similarity of the three-word shingles of two texts.
LEAST_JACCARD = 0.8
SHINGLE, SKETCH, ROWS_PER_BAND = 3, 64, 4


@dataclass(frozen=True)
class DuplicateGroup:
    """Items that belong together.

    Attributes
    ----------
    kind : str
        ``"exact"``: all have the same content. ``"near"``: at least two contents, alike enough to be copies.
    members : int64 array
        Ascending positions.
    """

    kind: Literal["exact", "near"]
    members: np.ndarray


@dataclass(frozen=True)
class Duplicates:
    """All duplicates of a data set.

    Attributes
    ----------
    group : int64 array (n,)
        Smallest position of the item's group; an item without duplicates has its own.
    groups : tuple of DuplicateGroup
        The largest groups (exact and near joined), by smallest member. Each item is in at most one.
    n_exact : int
        Sets of two or more items with equal content, inside near groups or not.
    n_near : int
        Groups that hold more than one content.
    """

    group: np.ndarray
    groups: tuple[DuplicateGroup, ...]
    n_exact: int
    n_near: int


def find_duplicates(
    content_hashes: np.ndarray,
    images: np.ndarray | None = None,
    texts: Sequence[str] | None = None,
    skip: np.ndarray | None = None,
) -> Duplicates:
    """Group items with equal or nearly equal content.

    Parameters
    ----------
    content_hashes : str array (n,)
    images : uint8 array (n, H, W, 3), optional
        Look for near duplicates among these; a memory map is read block by block.
    texts : sequence of n str, optional
        Look for near duplicates among these.
    skip : bool array (n,), optional
        Items without content (undecodable); each is a group of its own.

    Returns
    -------
    Duplicates

    Raises
    ------
    DataError
        If the lengths differ.
    """
    content_hashes = np.asarray(content_hashes)
    n = len(content_hashes)
    for name, given in (("images", images), ("texts", texts), ("skip", skip)):
        if given is not None and len(given) != n:
            raise DataError(f"{len(given)} {name} for {n} content hashes.")
    usable = np.ones(n, bool) if skip is None else ~np.asarray(skip, bool)
    rows = np.flatnonzero(usable)
    _, first, content = np.unique(content_hashes[rows], return_index=True, return_inverse=True)
    same = np.column_stack([rows[first][content], rows])
    # One item per content from here on: copies are joined already.
    unique = np.sort(rows[first])
    near = [np.empty((0, 2), np.int64)]
    if images is not None and min(images.shape[1:3]) >= SMALLEST_SIDE:
        near.append(_near_images(images, unique))
    if texts is not None:
        near.append(_near_texts(texts, unique))
    group = _components(n, np.concatenate([same, *near]))
    return _describe(group, content_hashes, rows)


def _components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Smallest position of each item's connected component, int64 (n,)."""
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _describe(group: np.ndarray, content_hashes: np.ndarray, rows: np.ndarray) -> Duplicates:
    _, sizes = np.unique(content_hashes[rows], return_counts=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0]) if len(order) else np.empty(0, np.int64)
    groups = []
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            one = len(set(content_hashes[members].tolist())) == 1
            groups.append(DuplicateGroup("exact" if one else "near", members.astype(np.int64)))
    n_near = sum(g.kind == "near" for g in groups)
    return Duplicates(group, tuple(groups), int(np.sum(sizes > 1)), n_near)


def _near_images(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Verified pairs of near duplicates among images of different content, int64 (pairs, 2) positions."""
    pairs = rows[candidate_pairs(image_hashes(images, rows), MOST_BITS)]
    score = _gradient_correlation(images, pairs)
    for least in (LEAST_CORRELATION, *STRICTER):
        pairs, score = pairs[score >= least], score[score >= least]
        if not _alike_by_nature(pairs, len(images), len(rows)):
            break
    return _cut_chains(pairs, score, len(images))


def _alike_by_nature(pairs: np.ndarray, n: int, n_looked_at: int) -> bool:
    """Whether these pairs are look-alikes rather than copies; see `LOOKALIKE_SHARE`."""
    size = np.bincount(_components(n, pairs), minlength=n)
    possible = (size * (size - 1) // 2).sum()
    many = size[size > 1].sum() > LOOKALIKE_SHARE * n_looked_at
    return bool(many and len(pairs) < COPY_COMPLETENESS * possible)


def _cut_chains(pairs: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """Drop the weaker pairs of components too large to be copies of one thing.

    Line drawings and the like are similar by the thousand, and chains of pairs would tie them into one group
    that no fold plan can place.
    """
    largest = max(50, int(LARGEST_SHARE * n))
    for least in STRICTER:
        group = _components(n, pairs)
        size = np.bincount(group, minlength=n)[group]
        keep = (size[pairs[:, 0]] <= largest) | (score >= least)
        pairs, score = pairs[keep], score[keep]
    group = _components(n, pairs)
    size = np.bincount(group, minlength=n)[group]
    return pairs[size[pairs[:, 0]] <= largest]


def _gradient_correlation(images: np.ndarray, pairs: np.ndarray, block: int = 1024) -> np.ndarray:
    """Similarity of the images of each pair in [-1, 1], float64 (pairs,).

    Correlation of the brightness gradients at the best of nine shifts by at most a pixel; of the whole picture
    and of its middle, whichever is smaller. Gradients, because smooth pictures (sky, sea) correlate whatever
    they show; the middle, because the edges of equal frames outweigh what they enclose. Sums of integers in
    float64 are exact: the value does not depend on how pairs are blocked. Pairs that do not even correlate at
    half the resolution keep -1.
    """
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    pictures = grey_thumbnails(images, rows, COMPARED_SIDE)
    result = np.full(len(pairs), -1.0)
    for start in range(0, len(pairs), block):
        chunk = places[start : start + block]
        first, second = pictures[chunk[:, 0]].astype(np.float64), pictures[chunk[:, 1]].astype(np.float64)
        likely = _correlation(_halved(first), _halved(second)) >= LEAST_AT_HALF
        first, second = first[likely], second[likely]
        best = np.full(len(first), -1.0)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                a, b = _overlap(first, down, right), _overlap(second, -down, -right)
                best = np.maximum(best, np.minimum(_correlation(a, b), _correlation(_middle(a), _middle(b))))
        result[start : start + block][likely] = best
    return result


def _halved(pictures: np.ndarray) -> np.ndarray:
    """Sums over 2 x 2 blocks; an odd last row or column is left out."""
    height, width = pictures.shape[1] // 2 * 2, pictures.shape[2] // 2 * 2
    even = pictures[:, :height, :width]
    return even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]


def _overlap(pictures: np.ndarray, down: int, right: int) -> np.ndarray:
    height, width = pictures.shape[1:]
    return pictures[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]


def _middle(pictures: np.ndarray) -> np.ndarray:
    height, width = pictures.shape[1] // 5, pictures.shape[2] // 5
    return pictures[:, height:-height, width:-width]


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of the gradients of two stacks of pictures; 0 where a picture has hardly any.

    Neither direction alone may fall more than `AXIS_SLACK` below: two different ships share the horizon, which
    is all of the vertical gradient, and nothing of the horizontal one.
    """
    parts = []
    for axis in (1, 2):
        a, b = np.diff(first, axis=axis), np.diff(second, axis=axis)
        a, b = (x.reshape(len(x), x.shape[1] * x.shape[2]) for x in (a, b))
        parts.append([np.einsum("nk,nk->n", u, v) for u, v in ((a, b), (a, a), (b, b))])
    one_axis = [_cosine(*part) + AXIS_SLACK for part in parts]
    dot, power_a, power_b = (x + y for x, y in zip(*parts, strict=True))
    # Half a grey level (in quarters) on average: below that it is compression noise on a flat picture.
    flat = np.minimum(power_a, power_b) < 8 * first[0].size if len(first) else np.zeros(0, bool)
    return np.where(flat, 0.0, np.minimum.reduce([_cosine(dot, power_a, power_b), *one_axis]))


def _cosine(dot: np.ndarray, power_a: np.ndarray, power_b: np.ndarray) -> np.ndarray:
    return dot / np.sqrt(np.maximum(power_a * power_b, 1.0))


def _near_texts(texts: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Pairs of texts that are equal but for case, punctuation and spaces, or share most of their shingles."""
    clean = [normalised_text(texts[i]) for i in rows]
    _, first, inverse = np.unique(np.array(clean, dtype=object), return_index=True, return_inverse=True)
    # An empty remainder says nothing about the text ("?!" and "..." are no copies).
    worded = np.array([bool(text) for text in clean], dtype=bool)
    equal = np.column_stack([rows[first][inverse], rows])[worded]
    several = np.array([i for i in np.sort(first) if len(clean[i].split()) >= SHINGLE + 2], dtype=np.int64)
    if len(several) < 2:
        return equal
    sketches, shingles = text_sketches([clean[i] for i in several], SHINGLE, SKETCH)
    bands = sketches.reshape(len(several), -1, ROWS_PER_BAND)
    mixed = np.zeros(bands.shape[:2], np.uint64)
    for column in range(ROWS_PER_BAND):
        mixed = (mixed ^ bands[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
    found = [np.column_stack(pair) for pair in pairs_in_buckets(mixed)]
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), np.int64)
    score = np.array([_jaccard(shingles[a], shingles[b]) for a, b in pairs])
    close = score >= LEAST_JACCARD if len(score) else np.zeros(0, bool)
    kept = _cut_chains(rows[several[pairs[close]]], score[close], len(texts))
    return np.concatenate([equal, kept])


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
