"""Pairs of near copies: hashes and embeddings propose, the pixels decide; shingles propose and decide for texts."""

from __future__ import annotations

import numpy as np

from auditor.quality.duplicates import MOST_BITS
from auditor.quality.hashes import candidate_pairs
from auditor.quality.measures import ImageMeasures
from auditor.quality.pair_verification import cut_chains, gradient_correlation, kept_pairs
from auditor.quality.windows import LEAST_WINDOW, window_correlation


def near_image_pairs(
    images: ImageMeasures, rows: np.ndarray, proposed: np.ndarray | None
) -> tuple[np.ndarray, dict[str, int]]:
    """Pairs of near copies among pictures of different content.

    Parameters
    ----------
    images : ImageMeasures
    rows : int64 array (m,)
        Ascending positions, one of each content.
    proposed : int64 array (p, 2), optional
        Pairs of positions that embeddings propose besides; pairs that are not among `rows` are left out.

    Returns
    -------
    pairs : int64 array (q, 2)
        Smaller position first.
    sources : dict
        How many of them each search found.
    """
    rows = rows[images.comparable[rows]]
    m = len(rows)
    # Mirror images take part as items of their own: a pair of a picture and another's mirror image is a flip.
    both = np.concatenate([images.hash[rows], images.mirrored[rows]])
    alike = candidate_pairs(both, MOST_BITS)
    mirrored = alike[:, 1] >= m
    second = np.where(mirrored, alike[:, 1] - m, alike[:, 1])
    # (mirror, mirror) repeats (picture, picture); (b, mirror of a) says the same as (a, mirror of b).
    use = (alike[:, 0] < m) & (alike[:, 0] != second)
    pairs, mirrored = np.sort(rows[np.column_stack([alike[use, 0], second[use]])], axis=1), mirrored[use]
    score = gradient_correlation(images.thumbnail, pairs, mirrored)
    # Proposed several times (a symmetric picture both ways), it is one pair.
    best = np.lexsort((-score, pairs[:, 1], pairs[:, 0]))
    pairs, score, mirrored = pairs[best], score[best], mirrored[best]
    first = np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)] if len(pairs) else np.zeros(0, bool)
    pairs, score, mirrored = pairs[first], score[first], mirrored[first]
    copies = kept_pairs(pairs, score, len(images), m)
    known = set(map(tuple, copies.tolist()))
    n_mirrored = len(known & set(map(tuple, pairs[mirrored].tolist())))
    sources = {"perceptual hash": len(copies) - n_mirrored, "mirrored": n_mirrored}
    if proposed is None:
        return copies, sources
    more = [p for p in _confirmed(images, rows, proposed).tolist() if tuple(p) not in known]
    return np.concatenate([copies, np.array(more, np.int64).reshape(-1, 2)]), sources | {"embeddings": len(more)}


def _confirmed(images: ImageMeasures, rows: np.ndarray, proposed: np.ndarray) -> np.ndarray:
    """Proposed pairs that the pixels confirm, int64 (p, 2), smaller first, sorted.

    Confirmed: alike as a whole (or as a mirror image), or one found inside the other.
    """
    proposed = np.sort(proposed, axis=1)
    pairs = np.unique(proposed[np.isin(proposed, rows).all(axis=1) & (proposed[:, 0] < proposed[:, 1])], axis=0)
    pictures = images.thumbnail
    turned = gradient_correlation(pictures, pairs, np.ones(len(pairs), bool))
    whole = np.maximum(gradient_correlation(pictures, pairs), turned)
    inside = np.maximum(window_correlation(pictures, pairs), window_correlation(pictures, pairs[:, ::-1]))
    alike = kept_pairs(pairs[whole >= 0], whole[whole >= 0], len(images), len(rows))
    parts = inside >= LEAST_WINDOW
    return np.unique(np.concatenate([alike, cut_chains(pairs[parts], inside[parts], len(images))]), axis=0)
