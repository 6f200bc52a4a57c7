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

from auditor.core.errors import DataError
from auditor.quality.hashes import (
    candidate_pairs,
    grey_thumbnails,
    image_hashes,
    normalised_text,
    pairs_in_buckets,
    text_sketches,
)
from auditor.quality.pair_verification import components, cut_chains, gradient_correlation, kept_pairs

__all__ = ["DuplicateGroup", "Duplicates", "find_duplicates", "near_text_pairs"]

#: Pairs whose hashes differ in more of the 256 bits are not looked at (half the bits differ by chance).
MOST_BITS = 56
#: Images are compared at this size; smaller ones than `SMALLEST_SIDE` hold too little to tell a copy from a
#: look-alike (8x8 digits of one class correlate above .9), so only exact duplicates count there.
COMPARED_SIDE, SMALLEST_SIDE = 32, 16
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
        near.append(near_text_pairs(texts, unique))
    group = components(n, np.concatenate([same, *near]))
    return _describe(group, content_hashes, rows)


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
    shown, places = np.unique(pairs, return_inverse=True)
    pictures = grey_thumbnails(images, shown, COMPARED_SIDE)
    score = gradient_correlation(pictures, places.reshape(pairs.shape))
    return kept_pairs(pairs, score, len(images), len(rows))


def near_text_pairs(texts: Sequence[str], rows: np.ndarray) -> np.ndarray:
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
    kept = cut_chains(rows[several[pairs[close]]], score[close], len(texts))
    return np.concatenate([equal, kept])


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
