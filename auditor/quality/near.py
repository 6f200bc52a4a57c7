"""Pairs of near copies: hashes and embeddings propose, pixels decide; of texts shingles propose, words decide."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.quality.agreement import ALTERED, DIFFERENT, SAME, agreement
from auditor.quality.alignment import IDENTITY
from auditor.quality.duplicates import MOST_BITS, SHINGLE, near_text_pairs
from auditor.quality.groups import equal_pairs
from auditor.quality.hashes import candidate_pairs, normalised_text
from auditor.quality.measures import ImageMeasures
from auditor.quality.pair_verification import LEAST_CORRELATION, cut_chains, gradient_correlation, kept_pairs
from auditor.quality.windows import LEAST_WINDOW, window_correlation

_NONE = np.empty((0, 2), np.int64)
#: Least correlation, before anything is aligned, of a pair that is looked at: photographs turned by 5 degrees keep 0.3.
LEAST_BEFORE = 0.3
#: Pairs per item beyond which look-alikes are thinned out by their correlation before the pixels are compared.
MOST_PER_ITEM = 4


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of items of different content that are nearly the same.

    Attributes
    ----------
    pairs : int64 array (p, 2)
        Near copies, smaller position first.
    same : bool array (p,)
        Those that agree everywhere. The others are altered: painted over in part, a word changed.
    mirrored : int64 array (r, 2)
        Pictures that are mirror images of one another, and no near copies.
    sources : mapping
        How many of the pairs each search found.
    """

    pairs: np.ndarray = field(default_factory=lambda: _NONE)
    same: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    mirrored: np.ndarray = field(default_factory=lambda: _NONE)
    sources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs to be compared: the first explains the second. Where the alignment starts, whether the second is turned."""

    pairs: np.ndarray
    score: np.ndarray
    start: np.ndarray
    mirrored: np.ndarray
    source: np.ndarray


def near_image_pairs(images: ImageMeasures, rows: np.ndarray, proposed: np.ndarray | None) -> NearPairs:
    """Near copies and mirror images among pictures of different content.

    Parameters
    ----------
    images : ImageMeasures
    rows : int64 array (m,)
        Ascending positions, one of each content.
    proposed : int64 array (p, 2), optional
        Pairs of positions that embeddings propose besides; pairs that are not among `rows` are left out.
    """
    rows = rows[images.comparable[rows]]
    pairs, mirrored = _by_hash(images, rows)
    source = np.zeros(len(pairs), np.int64)
    if proposed is not None:
        more = _among(proposed, rows)
        pairs = np.concatenate([pairs, more, more])
        mirrored = np.concatenate([mirrored, np.zeros(len(more), bool), np.ones(len(more), bool)])
        source = np.concatenate([source, np.ones(2 * len(more), np.int64)])
    found = _candidates(images, pairs, mirrored, source, len(rows))
    grade = agreement(images.fine, images.tint, images.size.min(axis=1), found.pairs, found.start, found.mirrored)
    return _sorted_out(found, grade, len(images), len(rows))


def _by_hash(images: ImageMeasures, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions with close hashes, int64 (p, 2), and which are close as mirror images, bool (p,)."""
    m = len(rows)
    # Mirror images take part as items of their own: a pair of a picture and another's mirror image is a flip.
    alike = candidate_pairs(np.concatenate([images.hash[rows], images.mirrored[rows]]), MOST_BITS)
    mirrored = alike[:, 1] >= m
    second = np.where(mirrored, alike[:, 1] - m, alike[:, 1])
    # (mirror, mirror) repeats (picture, picture); (b, mirror of a) says the same as (a, mirror of b).
    use = (alike[:, 0] < m) & (alike[:, 0] != second)
    pairs = np.column_stack([np.sort(rows[np.column_stack([alike[use, 0], second[use]])], axis=1), mirrored[use]])
    pairs = np.unique(pairs, axis=0)
    return pairs[:, :2], pairs[:, 2].astype(bool)


def _among(proposed: np.ndarray, rows: np.ndarray) -> np.ndarray:
    proposed = np.sort(proposed, axis=1)
    return np.unique(proposed[np.isin(proposed, rows).all(axis=1) & (proposed[:, 0] < proposed[:, 1])], axis=0)


def _candidates(
    images: ImageMeasures, pairs: np.ndarray, mirrored: np.ndarray, source: np.ndarray, m: int
) -> _Candidates:
    """Pairs that correlate, as they lie or with one of them as a part of the other."""
    pairs = _ordered(images, pairs)
    score = gradient_correlation(images.thumbnail, pairs, mirrored)
    start = np.tile(IDENTITY, (len(pairs), 1))
    # What embeddings propose may be a part: the windows of the larger view are searched, whichever it is.
    weak = np.flatnonzero((source == 1) & (score < LEAST_CORRELATION) & ~mirrored)
    for way in (slice(None), slice(None, None, -1)):
        turned = pairs[weak][:, way]
        value, maps = window_correlation(images.thumbnail, turned)
        better = (value >= LEAST_WINDOW) & (value > score[weak])
        at = weak[better]
        pairs[at], score[at], start[at] = turned[better], value[better], maps[better]
    use = score >= LEAST_BEFORE
    if use.sum() > MOST_PER_ITEM * m:
        use = score >= LEAST_CORRELATION
    if use.sum() > MOST_PER_ITEM * m:
        kept = set(map(tuple, kept_pairs(np.sort(pairs[use], axis=1), score[use], len(images), m).tolist()))
        use[use] = [tuple(sorted(pair)) in kept for pair in pairs[use].tolist()]
    return _Candidates(pairs[use], score[use], start[use], mirrored[use], source[use])


def _ordered(images: ImageMeasures, pairs: np.ndarray) -> np.ndarray:
    """Each pair with the picture of more colour first, so that the comparison does not depend on the items' order."""
    colour, content = images.columns["colour"], images.pixel_hash
    one, two = pairs.T
    swap = (colour[one] < colour[two]) | ((colour[one] == colour[two]) & (content[one] > content[two]))
    return np.where(swap[:, None], pairs[:, ::-1], pairs)


def _sorted_out(found: _Candidates, grade: np.ndarray, n: int, m: int) -> NearPairs:
    """Each pair once, by what speaks most for it."""
    pairs = np.sort(found.pairs, axis=1)
    # Aligned, copies agree in what they show, whatever they scored before.
    score = np.where(grade == SAME, np.maximum(found.score, LEAST_CORRELATION), found.score)
    score = np.where(grade == ALTERED, np.maximum(score, LEAST_CORRELATION), score)
    best = np.lexsort((found.source, -score, -grade, found.mirrored, pairs[:, 1], pairs[:, 0]))
    best = best[grade[best] != DIFFERENT]
    ordered = pairs[best]
    first = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)] if len(ordered) else np.zeros(0, bool)
    chosen = best[first]
    plain, flipped = chosen[~found.mirrored[chosen]], chosen[found.mirrored[chosen]]
    kept = _still_there(pairs[plain], kept_pairs(pairs[plain], score[plain], n, m))
    plain = plain[kept]
    flipped = flipped[_still_there(pairs[flipped], cut_chains(pairs[flipped], score[flipped], n))]
    by_embedding = int(found.source[plain].sum())
    sources = {"perceptual hash": len(plain) - by_embedding, "mirrored": len(flipped)}
    if found.source.any():
        sources["embeddings"] = by_embedding
    return NearPairs(pairs[plain], grade[plain] == SAME, pairs[flipped], sources)


def _still_there(pairs: np.ndarray, kept: np.ndarray) -> np.ndarray:
    left = set(map(tuple, kept.tolist()))
    return np.array([tuple(pair) in left for pair in pairs.tolist()], bool)


def near_texts(texts: Sequence[str], rows: np.ndarray) -> NearPairs:
    """Near copies among texts of different content.

    The same: equal but for case, spaces and the marks that structure a sentence. Altered: most runs of words are
    the same. Texts of few words that differ in a sign (C and C#, a < b and a > b, a smile and a frown) are neither.

    Parameters
    ----------
    texts : sequence of str
    rows : int64 array (m,)
        Ascending positions, one of each content.
    """
    keys = np.array([said_the_same(texts[k]) for k in rows], dtype=object)
    filled = np.array([any(map(str.isalnum, key)) for key in keys], bool)
    equal = equal_pairs(keys[filled], rows[filled])
    alike = near_text_pairs(texts, rows)
    long = np.array([len(normalised_text(texts[a]).split()) >= SHINGLE + 2 for a in alike[:, 0].tolist()], bool)
    pairs = np.concatenate([equal, alike[long]])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    key = dict(zip(rows.tolist(), keys, strict=True))
    same = np.array([key[a] == key[b] for a, b in pairs.tolist()], bool)
    return NearPairs(pairs, same, sources={"shingles": len(pairs)})


def said_the_same(text: str) -> str:
    """A text without what changes no meaning: case, width, spaces, quotation marks, full stops after words.

    Signs stay, and so does the case of a single word.
    """
    words = unicodedata.normalize("NFKC", text).split()
    bare = [word.strip("\"'“”‘’«»„`").rstrip(".,;!…\"'“”‘’«»") or word for word in words]
    return " ".join(bare) if len(bare) < 2 else " ".join(bare).casefold()
