"""Injected noise: rates, classes, and independence of order and company."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import UnknownNameError, UsageError
from auditor.lab.detectors.noise import KINDS, inject, standardised, uniforms

N, K, RATE = 6000, 10, 0.2
IDS = np.array([f"item/{i}" for i in range(N)])
LABELS = np.random.default_rng(0).integers(0, K, N)
IMAGES = np.random.default_rng(1).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
FEATURES = standardised(IMAGES)


def noisy(kind: str, seed: int = 0, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    return inject(kind, IDS[rows], LABELS[rows], K, RATE, seed, FEATURES[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_rate_is_the_one_asked_for(kind: str) -> None:
    changed = (noisy(kind) != LABELS).mean()
    assert abs(changed - RATE) < 4 * np.sqrt(RATE * (1 - RATE) / N)


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_items_permutes_labels(kind: str) -> None:
    order = np.random.default_rng(2).permutation(N)
    np.testing.assert_array_equal(noisy(kind)[order], noisy(kind, rows=order))


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_does_not_depend_on_the_others(kind: str) -> None:
    some = np.arange(0, N, 7)
    np.testing.assert_array_equal(noisy(kind)[some], noisy(kind, rows=some))


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_and_repeats(kind: str) -> None:
    np.testing.assert_array_equal(noisy(kind), noisy(kind))
    assert (noisy(kind, seed=1) != noisy(kind)).any()


def test_symmetric_reaches_every_other_class_equally() -> None:
    moved = (noisy("symmetric") - LABELS) % K
    counts = np.bincount(moved, minlength=K)[1:]
    assert counts.min() > 0
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 26.1  # chi-square, 8 degrees, p = .001


def test_pair_moves_to_the_next_class_only() -> None:
    assert set(np.unique((noisy("pair") - LABELS) % K)) == {0, 1}


def test_instance_noise_depends_on_the_content() -> None:
    label = np.full(N, 3)
    first = inject("instance", IDS, label, K, 0.5, 0, FEATURES)
    same_picture = inject("instance", IDS, label, K, 0.5, 0, np.tile(FEATURES[:1], (N, 1)))
    wrong = same_picture[same_picture != 3]
    # One picture maps to one set of scores: nearly all its wrong labels are one class; pictures differ.
    assert np.bincount(wrong).max() / len(wrong) > np.bincount(first[first != 3]).max() / (first != 3).sum() + 0.2


def test_instance_noise_follows_the_published_formula() -> None:
    """Share of each class over many ids equals q softmax(x W_y) at one picture."""
    from auditor.core.seeds import generator

    x = FEATURES[:1] * 0.1  # small scores, so that several classes have a share
    label = np.full(N, 3)
    found = inject("instance", IDS, label, K, RATE, 5, np.tile(x, (N, 1)))
    scores = x[0].astype(np.float64) @ generator(5, "noise", "maps").standard_normal((K, x.shape[1], K))[3]
    scores[3] = -np.inf
    share = np.exp(scores - scores.max())
    share = RATE * share / share.sum()
    got = np.bincount(found, minlength=K) / N
    assert np.abs(np.delete(got - share, 3)).max() < 4 * np.sqrt(share.max() / N)


def test_uniforms_are_uniform_and_below_one() -> None:
    values = uniforms(IDS, 0, "test")
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / N - 0.1).max() < 0.02


def test_standardised_features_do_not_depend_on_order() -> None:
    order = np.random.default_rng(3).permutation(N)
    np.testing.assert_array_equal(standardised(IMAGES[order]), FEATURES[order])
    assert abs(FEATURES.mean()) < 1e-3
    assert abs(FEATURES.std() - 1) < 1e-3


def test_wrong_calls() -> None:
    with pytest.raises(UnknownNameError, match="asymmetric"):
        inject("asymmetric", IDS, LABELS, K, RATE, 0)
    with pytest.raises(UsageError, match="features"):
        inject("instance", IDS, LABELS, K, RATE, 0)
    with pytest.raises(UsageError, match="rate"):
        inject("pair", IDS, LABELS, K, 1.5, 0)
