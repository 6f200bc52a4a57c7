"""Duplicate groups: what is merged, what is not, and that the order of the items does not matter."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auditor.core.errors import DataError
from auditor.core.hashing import hash_bytes
from auditor.quality import duplicates
from auditor.quality.duplicates import find_duplicates
from auditor.quality.hashes import (
    LARGEST_BUCKET,
    block_sums,
    candidate_pairs,
    image_hashes,
    normalised_text,
    pairs_in_buckets,
)
from auditor.quality.pair_verification import cut_chains


def pictures(count: int, size: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth random colour pictures, uint8 (count, size, size, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse])


def hashes_of(images: np.ndarray) -> np.ndarray:
    return np.array([hash_bytes(image.tobytes()) for image in images])


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def partition(group: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(group == g).tolist()) for g in np.unique(group)}


def test_exact_duplicates_by_content_hash() -> None:
    found = find_duplicates(np.array(list("abacab")))
    assert found.group.tolist() == [0, 1, 0, 3, 0, 1]
    assert (found.n_exact, found.n_near) == (2, 0)
    assert [(g.kind, g.members.tolist()) for g in found.groups] == [("exact", [0, 2, 4]), ("exact", [1, 5])]
    assert found.group.dtype == np.int64


def test_items_without_content_stay_alone() -> None:
    found = find_duplicates(np.array(list("aaab")), skip=np.array([True, False, False, False]))
    assert found.group.tolist() == [0, 1, 1, 3]
    assert found.n_exact == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda x: recompressed(x, 60),
        lambda x: np.clip(x.astype(int) * 0.8 + 20, 0, 255).astype(np.uint8),
        lambda x: np.roll(x, 1, axis=1),
        lambda x: np.clip(x + np.random.default_rng(1).normal(0, 4, x.shape), 0, 255).astype(np.uint8),
    ],
    ids=["jpeg", "contrast", "shift", "noise"],
)
def test_changed_copies_are_found_and_strangers_are_not(change) -> None:
    images = pictures(60)
    images = np.concatenate([images, np.stack([change(image) for image in images[:20]])])
    found = find_duplicates(hashes_of(images), images=images)
    joined = {frozenset(g.members.tolist()) for g in found.groups}
    assert joined <= {frozenset({i, 60 + i}) for i in range(20)}
    assert len(joined) >= 18  # banded hashes may miss a shifted copy, never join strangers
    assert {g.kind for g in found.groups} == {"near"}
    assert (found.n_exact, found.n_near) == (0, len(joined))


def test_large_pictures_and_odd_sizes() -> None:
    images = pictures(10, size=75)[:, :53]
    images = np.concatenate([images, np.stack([recompressed(i, 70) for i in images[:4]])])
    found = find_duplicates(hashes_of(images), images=images)
    assert found.n_near == 4


def test_tiny_pictures_have_exact_duplicates_only() -> None:
    images = pictures(5, size=8)
    images = np.concatenate([images, images[:1] // 2 * 2, images[:1]])
    found = find_duplicates(hashes_of(images), images=images)
    assert found.n_near == 0
    assert found.group[6] == 0


def test_flat_pictures_are_not_copies_of_one_another() -> None:
    images = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None, None] * 6, 32, axis=1)
    images = np.ascontiguousarray(np.broadcast_to(images, (40, 32, 32, 3)))
    assert find_duplicates(hashes_of(images), images=images).n_near == 0


def test_equal_frames_do_not_make_copies() -> None:
    inner = pictures(30, size=24, seed=3)
    images = np.full((30, 32, 32, 3), 255, np.uint8)
    images[:, 3:-3, 3:-3] = 0
    images[:, 4:-4, 4:-4] = inner // 4 + 60
    assert find_duplicates(hashes_of(images), images=images).n_near == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_groups_do_not_depend_on_the_order(seed: int) -> None:
    base = pictures(40, seed=5)
    images = np.concatenate([base, np.stack([recompressed(i, 50) for i in base[:15]]), base[:5]])
    content = hashes_of(images)
    expected = partition(find_duplicates(content, images=images).group)
    order = np.random.default_rng(seed).permutation(len(images))
    shuffled = find_duplicates(content[order], images=images[order]).group
    assert {frozenset(order[list(p)].tolist()) for p in partition(shuffled)} == expected


def test_group_number_is_the_smallest_position() -> None:
    content = np.random.default_rng(0).integers(0, 30, 100).astype(str)
    group = find_duplicates(content).group
    for members in partition(group):
        assert {int(group[m]) for m in members} == {min(members)}


def test_long_chains_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = np.column_stack([np.arange(199), np.arange(1, 200)])
    weak = np.full(199, 0.75)
    weak[:3] = 0.99
    kept = cut_chains(chain, weak, 1000)
    assert kept.tolist() == chain[:3].tolist()
    assert len(cut_chains(chain, np.full(199, 0.99), 1000)) == 0
    assert len(cut_chains(chain, weak, 50_000)) == 199


def test_texts_equal_but_for_case_and_punctuation_or_nearly_equal() -> None:
    long = "the quick brown fox jumps over the lazy dog while the cat sleeps on the warm mat near the old door"
    texts = [
        "Hello, World!",
        "hello world",
        "HELLO  world?",
        "goodbye world",
        long,
        long.replace("warm", "soft"),
        long[::-1],
        "?!",
        "...",
        "",
    ]
    found = find_duplicates(np.arange(len(texts)).astype(str), texts=texts)
    groups = partition(found.group)
    assert frozenset({0, 1, 2}) in groups
    assert frozenset({3}) in groups
    assert frozenset({7}) in groups
    assert frozenset({8}) in groups
    assert (found.group[5] == 4) == (duplicates.LEAST_JACCARD <= 14 / 20)
    longer = long + " and the rain falls on the roof of the small house at the end of the quiet street by the sea"
    near = find_duplicates(np.array(["a", "b", "c"]), texts=[longer, longer + " today", longer[::-1]])
    assert near.group.tolist() == [0, 0, 2]


def test_normalised_text() -> None:
    assert normalised_text("  Ｃafé—NOIR, 2×\n") == "café noir 2"
    assert normalised_text("?!") == ""


@pytest.mark.parametrize("name", ["images", "texts", "skip"])
def test_lengths_must_agree(name: str) -> None:
    wrong = {"images": np.zeros((2, 32, 32, 3), np.uint8), "texts": ["a", "b"], "skip": np.zeros(2, bool)}[name]
    with pytest.raises(DataError, match=f"2 {name} for 3"):
        find_duplicates(np.array(list("abc")), **{name: wrong})


def test_hash_is_a_function_of_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(50)
    together = image_hashes(images, np.arange(50))
    for row in (0, 17, 49):
        assert np.array_equal(image_hashes(images[row : row + 1], np.array([0]))[0], together[row])
    dim = images // 2
    assert np.array_equal(image_hashes(dim + np.uint8(90), np.arange(50)), image_hashes(dim, np.arange(50)))
    brighter = (images // 2 + 40).astype(np.uint8)
    differing = np.unpackbits(image_hashes(brighter, np.arange(50)) ^ together, axis=1).sum(1)
    assert differing.max() < 20


def test_block_sums_of_odd_sizes_are_on_one_scale() -> None:
    flat = np.full((1, 75, 53, 3), 100, np.uint8)
    sums = block_sums(flat, 8)
    assert sums.shape == (1, 8, 8, 3)
    assert sums.max() - sums.min() <= 1


def test_large_buckets_are_split_and_small_ones_are_complete() -> None:
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 4, (200, 3)).astype(np.uint16)
    found = {(int(a), int(b)) for x, y in pairs_in_buckets(bands) for a, b in zip(x, y, strict=True)}
    agree = (bands[:, None] == bands[None]).any(axis=2)
    assert found == {(i, j) for i in range(200) for j in range(i + 1, 200) if agree[i, j]}
    crowded = np.zeros((LARGEST_BUCKET + 100, 2), np.uint16)
    crowded[:, 1] = np.arange(len(crowded))
    assert sum(len(x) for x, _ in pairs_in_buckets(crowded)) == 0


def test_candidate_pairs_respect_the_bit_limit() -> None:
    hashes = np.zeros((3, 32), np.uint8)
    hashes[1, 30] = 0b1
    hashes[2, 20:30] = 255
    assert candidate_pairs(hashes, 56).tolist() == [[0, 1]]
    assert candidate_pairs(hashes, 0).tolist() == []
    assert len(candidate_pairs(hashes, 100)) == 3


def test_cifake_exact_counts(data_dir: Path) -> None:
    """Published counts: 1,336 pairs, all of one class and FAKE, 378 of them across the splits; none in REAL."""
    pq = pytest.importorskip("pyarrow.parquet")
    content, paths = [], []
    for split in ("train", "test"):
        column = pq.read_table(data_dir / "cifake" / f"{split}-00000-of-00001.parquet", columns=["image"])["image"]
        for chunk in column.chunks:
            content += [hash_bytes(b.as_buffer().to_pybytes()) for b in chunk.field("bytes")]
            paths += chunk.field("path").to_pylist()
    found = find_duplicates(np.array(content))
    assert found.n_exact == len(found.groups) == 1336
    assert found.n_near == 0
    across = 0
    for group in found.groups:
        names = [paths[m] for m in group.members]
        assert len(names) == 2
        assert all("/FAKE/" in name for name in names)
        assert len({name.partition("(")[2] for name in names}) == 1
        across += len({name.split("/")[0] for name in names}) == 2
    assert across == 378


def test_near_duplicates_of_cifar10_test(data_dir: Path) -> None:
    """Few, of one class: near pairs of photographs nearly always carry one label."""
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(data_dir / "cifar10" / "test-00000-of-00001.parquet").slice(0, 10_000)
    images = np.stack([np.asarray(Image.open(io.BytesIO(i["bytes"])).convert("RGB")) for i in table["img"].to_pylist()])
    labels = np.array(table["label"])
    found = find_duplicates(hashes_of(images), images=images)
    assert found.n_exact == 0
    assert 5 <= found.n_near <= 60
    one_label = [len(np.unique(labels[g.members])) == 1 for g in found.groups]
    assert np.mean(one_label) >= 0.9


def test_pictures_that_look_alike_by_nature_are_no_copies() -> None:
    """Handwritten digits of one class correlate strongly; grouping them would leave nothing to make folds of."""
    from PIL import Image
    from sklearn.datasets import load_digits

    drawings = [
        np.asarray(Image.fromarray((d * 15.9).astype(np.uint8)).resize((28, 28)).convert("RGB"))
        for d in load_digits().images[:200]
    ]
    images = np.stack([*drawings, drawings[7]])
    images[200, 0, 0] = 30  # a copy of item 7, one pixel changed
    hashes = np.arange(201).astype(str)
    found = find_duplicates(hashes, images=images)
    assert [g.members.tolist() for g in found.groups] == [[7, 200]]
