"""The chain of tags against all sequences written out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from auditor.kinds.tag_chain import affinities, chain_marginals, in_context


def _by_enumeration(log_p: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    n, k = log_p.shape
    total = np.zeros((n, k))
    for tags in product(range(k), repeat=n):
        weight = np.exp(sum(log_p[i, t] for i, t in enumerate(tags)) + sum(pairs[a, b] for a, b in pairwise(tags)))
        for i, t in enumerate(tags):
            total[i, t] += weight
    return total / total.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_marginals_equal_all_sequences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.permutation([1, 1, 2, 3, 5, 6])
    offsets = np.cumsum([0, *lengths])
    log_p, pairs = rng.normal(size=(offsets[-1], 3)), rng.normal(size=(3, 3))
    got = chain_marginals(log_p, offsets, pairs)
    for start, stop in pairwise(offsets):
        np.testing.assert_allclose(got[start:stop], _by_enumeration(log_p[start:stop], pairs), rtol=1e-9)


def test_without_affinity_tokens_stand_alone() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    np.testing.assert_allclose(chain_marginals(np.log(p), np.array([0, 20, 50]), np.zeros((4, 4))), p)


def test_a_very_long_sentence_beside_short_ones_does_not_overflow() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(2) * 0.05, 5_000)
    got = chain_marginals(np.log(p + 1e-4), np.array([0, 1, 2, 5_000]), np.array([[3.0, -3], [-3, 3]]))
    np.testing.assert_allclose(got.sum(axis=1), 1)


def test_tags_that_stand_together_attract_each_other_within_sentences_only() -> None:
    tags, offsets = np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.array([0, 4, 8])
    pairs = affinities(tags, offsets, 2)
    assert pairs[0, 0] > 0 > pairs[1, 0], "1 is followed by 0 across the sentences alone"


def test_context_helps_where_the_model_saw_none() -> None:
    rng = np.random.default_rng(1)
    tags = np.repeat(rng.integers(0, 2, 300), 5)
    offsets = np.arange(0, 1501, 15)
    p = 1 / (1 + np.exp(-(2 * tags - 1 + rng.normal(0, 1.5, 1500))))
    p = np.column_stack([1 - p, p])
    told, strength = in_context(np.log(p), tags, offsets)
    right = [(q.argmax(axis=1) == tags).mean() for q in (p, told)]
    assert strength > 0.3
    assert right[1] > right[0] + 0.05
