"""Tags of a sentence as a chain: what a token's tag may be, given what the model says of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize_scalar

#: Sentences are put beside each other as long as this share of the room is used.
_FILLED = 0.7
#: Tokens worked on at once; only one sentence may have more.
_BLOCK_TOKENS = 1 << 18
#: Tokens from which the strength of the chain is learned.
_LEARN_FROM = 100_000
#: Kept above 0 before a logarithm.
_LEAST = 1e-6


def affinities(tags: np.ndarray, offsets: np.ndarray, n_classes: int) -> np.ndarray:
    """How much more often two tags stand beside each other than by chance, as logarithms, float64 (K, K).

    Parameters
    ----------
    tags : int array (N,)
        Sentence i is ``tags[offsets[i]:offsets[i + 1]]``.
    offsets : int array (sentences + 1,)
    n_classes : int
    """
    inside = np.ones(len(tags), bool)
    inside[offsets[:-1]] = False
    after = np.flatnonzero(inside)
    pairs = np.bincount(tags[after - 1] * n_classes + tags[after], minlength=n_classes**2).reshape(n_classes, n_classes)
    share = (pairs + 1.0) / (pairs + 1.0).sum()
    return np.asarray(np.log(share / share.sum(axis=1, keepdims=True) / share.sum(axis=0)))


def chain_marginals(log_p: np.ndarray, offsets: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Probabilities of the tags of each token in a linear chain, by the forward-backward recursion.

    Parameters
    ----------
    log_p : float array (N, K)
        Logarithms of what is known of each token alone.
    offsets : int array (sentences + 1,)
        Ascending from 0 to N.
    pairs : float array (K, K)
        Logarithms of what is known of a tag (row) and the next (column).

    Returns
    -------
    float64 array (N, K)
        Rows sum to 1.
    """
    out = np.empty(log_p.shape)
    factor = np.exp(pairs - pairs.max())
    for starts, lengths in _batches(offsets):
        steps = np.arange(lengths[-1])
        there = steps < lengths[:, None]
        rows = np.where(there, starts[:, None] + steps, starts[:, None])
        alone = log_p[rows]
        alone = np.exp(alone - alone.max(axis=2, keepdims=True))
        both = alone.copy()
        for t in steps[1:]:
            both[:, t] *= both[:, t - 1] @ factor
            both[:, t] /= both[:, t].sum(axis=1, keepdims=True)
        backward = np.ones((len(starts), log_p.shape[1]))
        for t in steps[-2::-1]:
            backward = (backward * alone[:, t + 1]) @ factor.T
            backward /= backward.sum(axis=1, keepdims=True)
            backward[t >= lengths - 1] = 1.0
            both[:, t] *= backward
        both /= both.sum(axis=2, keepdims=True)
        out[rows[there]] = both[there]
    return out


def in_context(log_p: np.ndarray, tags: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Probabilities of the tags in their sentences, float64 (N, K), and how strongly neighbours count, in [0, 1].

    Neighbouring tags attract each other as in the given tags (`affinities`), with the strength at which the chain
    predicts the given tags best: 0 where the model has seen the context already.
    """
    n_classes = log_p.shape[1]
    pairs = affinities(tags, offsets, n_classes)
    lengths = np.diff(offsets)
    every = -(-len(tags) // _LEARN_FROM)
    learned = np.arange(0, len(lengths), every)
    rows = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in learned])
    own, known, ends = log_p[rows], tags[rows], np.concatenate([[0], np.cumsum(lengths[learned])])

    def loss(strength: float) -> float:
        told = chain_marginals(own, ends, strength * pairs)
        return float(-np.log(told[np.arange(len(known)), known] + _LEAST).mean())

    strength = float(
        minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 0.05, "maxiter": 8}).x
    )
    return chain_marginals(log_p, offsets, strength * pairs), strength


def _batches(offsets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """First tokens and lengths of sentences of like length, the longest last."""
    lengths = np.diff(offsets)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        shortest = lengths[order[start]]
        stop = int(np.searchsorted(lengths[order], max(shortest / _FILLED, shortest + 1), side="right"))
        stop = min(stop, start + max(1, int(_BLOCK_TOKENS // max(lengths[order[stop - 1]], 1))))
        chosen = order[start:stop]
        yield offsets[chosen], lengths[chosen]
        start = stop
