"""Pairs of near copies: hashes and embeddings propose, the pixels decide; shingles propose and decide for texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor.checks.alike import gradient_correlation, kept_pairs
from auditor.checks.duplicates import MOST_BITS, near_text_pairs
from auditor.checks.hashes import candidate_pairs

if TYPE_CHECKING:
    from auditor.checks.subject import Subject

__all__ = ["near_pairs"]


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
    # (mirror, mirror) repeats (picture, picture), and (b, mirror of a) repeats (a, mirror of b).
    use = (proposed[:, 0] < m) & (proposed[:, 0] < second)
    pairs, mirrored = rows[np.column_stack([proposed[use, 0], second[use]])], mirrored[use]
    score = gradient_correlation(images.thumbnail, pairs, mirrored)
    # A symmetric picture may be proposed both ways; it is one pair.
    best = np.lexsort((-score, pairs[:, 1], pairs[:, 0]))
    pairs, score, mirrored = pairs[best], score[best], mirrored[best]
    first = np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)] if len(pairs) else np.zeros(0, bool)
    pairs, score, mirrored = pairs[first], score[first], mirrored[first]
    kept = kept_pairs(pairs, score, len(subject), m)
    turned = {tuple(p) for p in pairs[mirrored].tolist()}
    n_mirrored = sum(tuple(p) in turned for p in kept.tolist())
    return kept, {"perceptual hash": len(kept) - n_mirrored, "mirrored": n_mirrored}
