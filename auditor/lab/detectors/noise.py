"""Label noise made on purpose, so that the truth is known exactly.

Every item's fate is a function of its id, its label, its content and a seed, never of its row or of what else is
in the set: permuting the items permutes the noisy labels.

``symmetric``
    With probability r the label becomes one of the other K - 1 classes, all equally likely.
``pair``
    With probability r the label y becomes (y + 1) mod K ("pair flipping", Han et al. 2018, Co-teaching,
    arXiv 1804.06872).
``instance``
    Instance-dependent, Xia et al. 2020 (Part-dependent Label Noise, arXiv 2006.07836, algorithm 2): item i has
    its own rate q_i from a normal distribution N(r, 0.1^2) truncated to [0, 1]; a matrix W_y per class with
    standard normal entries maps the item's features to one score per class; the label y stays with probability
    1 - q_i, and becomes k != y with probability ``q_i softmax(x_i W_y)_k``, the softmax over the classes other
    than y. Features are standardised with one mean and deviation per channel, as the authors' code does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.seeds import derive_seed, generator

KINDS = ("symmetric", "pair", "instance")
#: Spread of the items' own rates (Xia et al. 2020).
RATE_DEVIATION = 0.1
#: Rows multiplied at once; pixels of 50,000 images in float64 would take gigabytes.
BLOCK = 2048


def uniforms(ids: Sequence[str] | np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """One number in [0, 1) per item, float64 (n,): a hash of (id, seed, purpose)."""
    key = str(derive_seed(seed, "noise", purpose)).encode()
    digests = [hashlib.blake2b(str(name).encode(), key=key, digest_size=8).digest() for name in np.asarray(ids)]
    # 53 bits: more would round to 1.0.
    return (np.frombuffer(b"".join(digests), dtype=">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def inject(
    kind: str,
    ids: Sequence[str] | np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    rate: float,
    seed: int,
    features: np.ndarray | None = None,
) -> np.ndarray:
    """Labels with noise.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    ids : str (n,)
        Unique.
    labels : int array (n,)
        True labels.
    n_classes : int
    rate : float
        Expected share of changed labels, in [0, 1).
    seed : int
    features : float array (n, d)
        `instance` only: see `standardised`.

    Returns
    -------
    int64 array (n,)

    Raises
    ------
    UnknownNameError, UsageError
    """
    if kind not in KINDS:
        raise UnknownNameError("label noise", kind, KINDS, [])
    if not 0 <= rate < 1:
        raise UsageError(f"noise rate {rate}: a share in [0, 1) is needed.")
    labels = np.asarray(labels, dtype=np.int64)
    flip, choice = uniforms(ids, seed, "flip"), uniforms(ids, seed, "class")
    if kind != "instance":
        step = 1 + np.floor(choice * (n_classes - 1)).astype(np.int64) if kind == "symmetric" else 1
        return np.where(flip < rate, (labels + step) % n_classes, labels)
    if features is None or len(features) != len(labels):
        raise UsageError("instance-dependent noise needs the features of every item.")
    from scipy.stats import truncnorm

    low, high = (0.0 - rate) / RATE_DEVIATION, (1.0 - rate) / RATE_DEVIATION
    rates = truncnorm.ppf(uniforms(ids, seed, "rate"), low, high, loc=rate, scale=RATE_DEVIATION)
    maps = generator(seed, "noise", "maps").standard_normal((n_classes, features.shape[1], n_classes))
    noisy = labels.copy()
    for label in range(n_classes):
        members = np.flatnonzero((labels == label) & (flip < rates))
        for start in range(0, len(members), BLOCK):
            rows = members[start : start + BLOCK]
            # einsum, not a matrix product: BLAS sums in an order that depends on how many rows there are.
            scores = np.einsum("nd,dk->nk", features[rows].astype(np.float64), maps[label])
            scores[:, label] = -np.inf
            share = np.exp(scores - scores.max(axis=1, keepdims=True))
            reached = np.cumsum(share, axis=1)
            wanted = choice[rows, None] * reached[:, -1:]
            # The first class whose cumulative share exceeds the number; the label itself has share 0.
            noisy[rows] = (reached <= wanted).sum(axis=1)
    return noisy


def standardised(images: np.ndarray) -> np.ndarray:
    """Pixels as features: float32 (n, H * W * C), each channel with mean 0 and deviation 1 over the set.

    Parameters
    ----------
    images : uint8 array (n, H, W, C)
    """
    # Whole-number sums are exact, so the order of the images changes nothing.
    total = images.sum(axis=(0, 1, 2), dtype=np.int64)
    squares = np.zeros(images.shape[3], np.int64)
    for start in range(0, len(images), BLOCK):
        squares += np.square(images[start : start + BLOCK].astype(np.int64)).sum(axis=(0, 1, 2))
    count = images[..., 0].size
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0)) + 1e-6
    return ((images - mean) / deviation).astype(np.float32).reshape(len(images), -1)
