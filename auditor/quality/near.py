"""Pairs of near copies: hashes and embeddings propose, the pixels decide; shingles propose and decide for texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor.quality.duplicates import MOST_BITS, near_text_pairs
from auditor.quality.hashes import candidate_pairs
from auditor.quality.pair_verification import cut_chains, gradient_correlation, kept_pairs
from auditor.quality.windows import LEAST_WINDOW, window_correlation

if TYPE_CHECKING:
    from auditor.quality.subject import Subject

__all__ = ["near_pairs"]

#: Nearest items by embedding that are proposed. Of planted copies on CIFAR-10 (EfficientNet-Lite0, 48 px) the original
#: is among them for 99 % of the mirrored, 96 % of the crops of 80 % and 84 % of the crops of 70 % of the width.
PROPOSED = 3


def near_pairs(subject: Subject) -> tuple[np.ndarray, dict[str, int]]:
    """See `Subject.near_pairs`."""
    rows = np.flatnonzero(subject.usable & (subject.exact == np.arange(len(subject))))
    if subject.images is not None:
        return _image_pairs(subject, rows)
    if subject.texts is not None:
        pairs = near_text_pairs(subject.texts.tolist(), rows)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return pairs, {"shingles": len(pairs)}
    return np.empty((0, 2), np.int64), {}


def _image_pairs(subject: Subject, rows: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    images = subject.images
    if images is None:
        raise TypeError("the subject holds no images")
    rows = rows[images.comparable[rows]]
    m = len(rows)
    # Mirror images take part as items of their own: a pair of a picture and another's mirror image is a flip.
    both = np.concatenate([images.hash[rows], images.mirrored[rows]])
    proposed = candidate_pairs(both, MOST_BITS)
    mirrored = proposed[:, 1] >= m
    second = np.where(mirrored, proposed[:, 1] - m, proposed[:, 1])
    # (mirror, mirror) repeats (picture, picture); (b, mirror of a) says the same as (a, mirror of b).
    use = (proposed[:, 0] < m) & (proposed[:, 0] != second)
    pairs, mirrored = np.sort(rows[np.column_stack([proposed[use, 0], second[use]])], axis=1), mirrored[use]
    score = gradient_correlation(images.thumbnail, pairs, mirrored)
    # Proposed several times (a symmetric picture both ways), it is one pair.
    best = np.lexsort((-score, pairs[:, 1], pairs[:, 0]))
    pairs, score, mirrored = pairs[best], score[best], mirrored[best]
    first = np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)] if len(pairs) else np.zeros(0, bool)
    pairs, score, mirrored = pairs[first], score[first], mirrored[first]
    kept = kept_pairs(pairs, score, len(subject), m)
    turned = {tuple(p) for p in pairs[mirrored].tolist()}
    n_mirrored = sum(tuple(p) in turned for p in kept.tolist())
    sources = {"perceptual hash": len(kept) - n_mirrored, "mirrored": n_mirrored}
    if subject.neighbours is None:
        return kept, sources
    known = {tuple(p) for p in kept.tolist()}
    more = [p for p in _embedded_pairs(subject, rows).tolist() if tuple(p) not in known]
    found = np.array(more, np.int64).reshape(-1, 2)
    return np.concatenate([kept, found]), sources | {"embeddings": len(found)}


def _embedded_pairs(subject: Subject, rows: np.ndarray) -> np.ndarray:
    """Pairs of near neighbours by embedding that the pixels confirm, int64 (p, 2), smaller first, sorted.

    Confirmed: alike as a whole (or as a mirror image), or one found inside the other.
    """
    images, near = subject.images, subject.neighbours
    if images is None or near is None:
        raise TypeError("pictures and neighbours are needed")
    nearest = near.positions[:, :PROPOSED]
    first = np.repeat(near.rows, nearest.shape[1])
    proposed = np.column_stack([first, nearest.ravel()])
    proposed = proposed[proposed[:, 1] >= 0]
    # One item per content, as everywhere here.
    proposed = np.sort(subject.exact[proposed], axis=1)
    proposed = proposed[np.isin(proposed, rows).all(axis=1) & (proposed[:, 0] < proposed[:, 1])]
    pairs = np.unique(proposed, axis=0)
    turned = np.ones(len(pairs), bool)
    whole = np.maximum(
        gradient_correlation(images.thumbnail, pairs), gradient_correlation(images.thumbnail, pairs, turned)
    )
    inside = np.maximum(
        window_correlation(images.thumbnail, pairs), window_correlation(images.thumbnail, pairs[:, ::-1])
    )
    alike = kept_pairs(pairs[whole >= 0], whole[whole >= 0], len(subject), len(rows))
    parts = inside >= LEAST_WINDOW
    return np.unique(np.concatenate([alike, cut_chains(pairs[parts], inside[parts], len(subject))]), axis=0)
