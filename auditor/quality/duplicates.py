"""Exact and near duplicates: which items must stay on one side of every fold.

Exact: equal content hash. Near: for images a perceptual hash proposes pairs and the pixels decide; for texts
shingle sketches propose and the Jaccard similarity decides; table rows have exact duplicates only. Every
decision about a pair rests on the two items alone, so the groups do not depend on the order of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.core.errors import DataError
from auditor.quality.groups import Group, components, equal_pairs, groups_of
from auditor.quality.hashes import (
    candidate_pairs,
    grey_thumbnails,
    image_hashes,
    normalised_text,
    pairs_in_buckets,
    text_sketches,
)
from auditor.quality.pair_verification import cut_chains, gradient_correlation, kept_pairs

#: Pairs whose hashes differ in more of the 256 bits are not looked at (half the bits differ by chance).
MOST_BITS = 56
#: Images are compared at this size; smaller ones than `SMALLEST_SIDE` hold too little to tell a copy from a
#: look-alike (8x8 digits of one class correlate above .9), so only exact duplicates count there.
COMPARED_SIDE, SMALLEST_SIDE = 32, 16
#: Least Jaccard similarity of the three-word shingles of two texts.
LEAST_JACCARD = 0.8
SHINGLE, SKETCH, ROWS_PER_BAND = 3, 64, 4


@dataclass(frozen=True)
class Duplicates:
    """All duplicates of a data set.

    Attributes
    ----------
    group : int64 array (n,)
        Smallest position of the item's group; an item without duplicates has its own.
    groups : tuple of Group
        Exact and near copies joined, by smallest member; each item is in at most one. Of kind ``"near"`` where it
        holds more than one content.
    n_exact : int
        Sets of two or more items with equal content, inside near groups or not.
    n_near : int
        Groups that hold more than one content.
    """

    group: np.ndarray
    groups: tuple[Group, ...]
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
    same = equal_pairs(content_hashes[rows], rows)
    # One item per content from here on: copies are joined already.
    unique, copies = np.unique(same[:, 0], return_counts=True)
    near = [np.empty((0, 2), np.int64)]
    if images is not None and min(images.shape[1:3]) >= SMALLEST_SIDE:
        near.append(_near_images(images, unique))
    if texts is not None:
        near.append(near_text_pairs(texts, unique))
    group = components(n, np.concatenate([same, *near]))
    groups = tuple(
        Group("near" if len(set(content_hashes[g.members].tolist())) > 1 else "exact", g.members)
        for g in groups_of(group)
    )
    return Duplicates(group, groups, int(np.sum(copies > 1)), sum(g.kind == "near" for g in groups))


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
    equal = equal_pairs(np.array(clean, dtype=object), rows)
    distinct = np.flatnonzero(equal[:, 0] == equal[:, 1])
    # An empty remainder says nothing about the text ("?!" and "..." are no copies).
    equal = equal[np.array([bool(text) for text in clean], dtype=bool)]
    several = np.array([i for i in distinct if len(clean[i].split()) >= SHINGLE + 2], dtype=np.int64)
    if len(several) < 2:
        return equal
    sketches, shingles = text_sketches([clean[i] for i in several], SHINGLE, SKETCH)
    bands = sketches.reshape(len(several), -1, ROWS_PER_BAND)
    mixed = np.zeros(bands.shape[:2], np.uint64)
    for column in range(ROWS_PER_BAND):
        mixed = (mixed ^ bands[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
    proposed = [np.empty((0, 2), np.int64), *map(np.column_stack, pairs_in_buckets(mixed))]
    pairs = np.unique(np.concatenate(proposed), axis=0)
    score = np.array([_jaccard(shingles[a], shingles[b]) for a, b in pairs], np.float64)
    close = score >= LEAST_JACCARD
    return np.concatenate([equal, cut_chains(rows[several[pairs[close]]], score[close], len(texts))])


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
