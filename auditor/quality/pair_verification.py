"""Which candidate pairs of pictures are copies: correlation of brightness gradients, and what groups may look like."""

from __future__ import annotations

import numpy as np

from auditor.quality.groups import components

#: Least correlation of the brightness gradients of two images, over the whole picture and over its middle. Found
#: on contact sheets of CIFAR-10, 80 random pairs a band: above .75 all show one photograph (recompressed,
#: recoloured, shifted by a pixel); from .70 to .75 all but two; from .65 to .70 seven are look-alikes (ships).
LEAST_CORRELATION = 0.7
AXIS_SLACK = 0.15
#: Least correlation at half the resolution for a pair to be looked at in full; a pixel's shift is half a one there.
LEAST_AT_HALF = 0.4
#: A chain of pairs longer than this share of the items (or than 50) is no set of copies; it is cut by asking for
#: more similarity.
LARGEST_SHARE = 0.01
STRICTER = (0.85, 0.92, 0.97)
#: Pictures that look alike by nature (handwriting, scans, microscopy) are told from copies by two signs together:
#: many items have a partner, and partners of one item are not partners of each other, as all copies of one thing
#: are. Then more similarity is asked for. Measured at .70: of 600 handwritten digits 94 % have a partner and 4 % of
#: the pairs inside the groups hold; of the 60,000 CIFAR-10 photographs 2.3 % have one.
LOOKALIKE_SHARE, COPY_COMPLETENESS = 0.1, 0.6


def kept_pairs(pairs: np.ndarray, score: np.ndarray, n: int, n_looked_at: int) -> np.ndarray:
    """Which pairs are copies.

    Parameters
    ----------
    pairs : int64 array (p, 2)
        Positions below `n`.
    score : float64 array (p,)
        Their `gradient_correlation`.
    n, n_looked_at : int
        Items in all, and those that pairs were sought among.

    Returns
    -------
    int64 array (q, 2)
    """
    for least in (LEAST_CORRELATION, *STRICTER):
        pairs, score = pairs[score >= least], score[score >= least]
        if not _alike_by_nature(pairs, n, n_looked_at):
            break
    return cut_chains(pairs, score, n)


def _alike_by_nature(pairs: np.ndarray, n: int, n_looked_at: int) -> bool:
    """Whether these pairs are look-alikes rather than copies; see `LOOKALIKE_SHARE`."""
    size = np.bincount(components(n, pairs), minlength=n)
    possible = (size * (size - 1) // 2).sum()
    many = size[size > 1].sum() > LOOKALIKE_SHARE * n_looked_at
    return bool(many and len(pairs) < COPY_COMPLETENESS * possible)


def cut_chains(pairs: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """Drop the weaker pairs of components too large to be copies of one thing.

    Line drawings and the like are similar by the thousand, and chains of pairs would tie them into one group
    that no fold plan can place.
    """
    largest = max(50, int(LARGEST_SHARE * n))
    for least in (*STRICTER, np.inf):
        group = components(n, pairs)
        size = np.bincount(group, minlength=n)[group]
        keep = (size[pairs[:, 0]] <= largest) | (score >= least)
        pairs, score = pairs[keep], score[keep]
    return pairs


def gradient_correlation(
    pictures: np.ndarray, pairs: np.ndarray, mirrored: np.ndarray | None = None, block: int = 1024
) -> np.ndarray:
    """Similarity of the pictures of each pair in [-1, 1], float64 (pairs,).

    Parameters
    ----------
    pictures : int16 array (m, h, w)
        As `auditor.quality.hashes.grey_thumbnails`.
    pairs : int64 array (pairs, 2)
        Rows of `pictures`.
    mirrored : bool array (pairs,), optional
        Pairs whose second picture is compared as its mirror image.
    block : int
        Pairs at a time.

    Notes
    -----

    Correlation of the brightness gradients at the best of nine shifts by at most a pixel; of the whole picture
    and of its middle, whichever is smaller. Gradients, because smooth pictures (sky, sea) correlate whatever
    they show; the middle, because the edges of equal frames outweigh what they enclose. Sums of integers in
    float64 are exact: the value does not depend on how pairs are blocked. Pairs that do not even correlate at
    half the resolution keep -1.
    """
    result = np.full(len(pairs), -1.0)
    for start in range(0, len(pairs), block):
        chunk = pairs[start : start + block]
        first, second = pictures[chunk[:, 0]].astype(np.float64), pictures[chunk[:, 1]].astype(np.float64)
        if mirrored is not None:
            turn = mirrored[start : start + block]
            second[turn] = second[turn][:, :, ::-1]
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
