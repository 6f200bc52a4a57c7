"""What is a near copy, what is its mirror image, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.quality.near import near_texts, said_the_same
from auditor.quality.registry import run_checks
from auditor.quality.subject import Subject
from tests.contract.planted_quality import images, pixels_of
from tests.quality.look_alikes import CHANGES, LOOK_ALIKES, glyphs

COPIES = ("near_duplicates", "conflicting_duplicates", "conflicting_alterations", "mirrored_items")


def judged(subject: Subject) -> dict[str, list[int]]:
    """Items that each check of copies names."""
    found = {o.name: o.findings for o in run_checks(subject, COPIES)}
    return {name: [] if f is None else sorted(f.items.tolist()) for name, f in found.items()}


def subject_of(folder: Path, pictures: list[Image.Image], labels: list[int] | None = None) -> Subject:
    labels = labels or [k % 2 for k in range(len(pictures))]
    return images(folder, [np.asarray(picture) for picture in pictures], labels)


@pytest.mark.parametrize("side", [32, 128])
@pytest.mark.parametrize("family", LOOK_ALIKES)
def test_drawings_that_differ_in_what_they_mean_are_no_copies(family: str, side: int, tmp_path: Path) -> None:
    found = judged(subject_of(tmp_path, LOOK_ALIKES[family](side)))
    assert not found["near_duplicates"]
    assert not found["conflicting_duplicates"]
    assert not found["conflicting_alterations"]


@pytest.mark.parametrize(
    ("pair", "are_mirrored"), [("bd", True), ("pq", True), ("<>", True), ("CG", False), ("EF", False)]
)
def test_letters_that_face_each_other_are_mirror_images(pair: str, are_mirrored: bool, tmp_path: Path) -> None:
    found = judged(subject_of(tmp_path, glyphs(64, pair)))
    assert found["mirrored_items"] == ([0, 1] if are_mirrored else [])
    assert not found["conflicting_duplicates"]


@pytest.mark.parametrize(
    "change", ["JPEG, quality 30", "brightness x 0.6", "colour jitter", "noise, sd 8", "scaled to 75 %", "grey"]
)
def test_changed_photographs_with_another_label_are_conflicts(change: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = [Image.fromarray(pixels_of(k, 64, 64)) for k in range(30)]
    copies = [CHANGES[change](picture, rng) for picture in whole[:10]]
    found = judged(subject_of(tmp_path, whole + copies, [0] * 30 + [1] * 10))
    pairs = {*range(10), *range(30, 40)}
    assert set(found["conflicting_duplicates"]) <= pairs
    assert len(found["conflicting_duplicates"]) >= 18


@pytest.mark.parametrize("change", ["JPEG, quality 30", "scaled to 75 %", "colour jitter"])
@pytest.mark.parametrize("family", ["glyphs", "signs", "screenshots"])
def test_changed_drawings_are_copies_of_their_own_original_only(change: str, family: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = LOOK_ALIKES[family](128)
    pictures = [*whole, *(CHANGES[change](picture, rng) for picture in whole)]
    subject = subject_of(tmp_path, pictures)
    n = len(whole)
    pairs = subject.near_pairs.pairs
    assert (pairs[:, 1] == pairs[:, 0] + n).all()
    assert len(pairs) >= 0.85 * n


def test_a_watermark_is_a_near_copy_and_no_conflict_for_certain(tmp_path: Path) -> None:
    """Something was painted over: it may be what the label is about."""
    rng = np.random.default_rng(0)
    whole = [Image.fromarray(pixels_of(k, 96, 96)) for k in range(20)]
    found = judged(
        subject_of(tmp_path, [*whole, *(CHANGES["watermark"](p, rng) for p in whole[:8])], [0] * 20 + [1] * 8)
    )
    assert len(found["near_duplicates"]) >= 14
    assert set(found["near_duplicates"]) <= {*range(8), *range(20, 28)}
    assert set(found["conflicting_alterations"]) | set(found["conflicting_duplicates"]) == set(found["near_duplicates"])


def test_the_order_of_the_pictures_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = [Image.fromarray(pixels_of(k, 48, 48)) for k in range(12)]
    kinds = ("JPEG, quality 10", "watermark", "rotated by 3 degrees", "crop of 94 %", "blur, radius 1", "border")
    pictures = [*whole, *(CHANGES[kind](whole[k], rng) for k, kind in enumerate(kinds)), *glyphs(48)]
    expected, order = None, np.arange(len(pictures))
    for turn in range(3):
        (folder := tmp_path / str(turn)).mkdir()
        near = subject_of(folder, [pictures[k] for k in order]).near_pairs
        pairs = {
            (*sorted((int(order[a]), int(order[b]))), bool(s)) for (a, b), s in zip(near.pairs, near.same, strict=True)
        }
        flipped = {tuple(sorted((int(order[a]), int(order[b])))) for a, b in near.mirrored}
        expected = expected or (pairs, flipped)
        assert (pairs, flipped) == expected
        order = rng.permutation(len(pictures))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("C++", "C#"),
        ("a < b", "a > b"),
        ("see you :)", "see you :("),
        ("you did it.", "you did it?"),
        ("3.5 out of 10", "35 out of 10"),
        ("great \U0001f600", "great \U0001f621"),
        ("Polish", "polish"),
        ("x = -5", "x = 5"),
    ],
)
def test_signs_that_make_the_difference(one: str, two: str) -> None:
    assert said_the_same(one) != said_the_same(two)
    assert not len(near_texts([one, two], np.arange(2)).pairs)


def test_texts_that_say_the_same_and_texts_with_a_word_changed() -> None:
    story = " ".join(f"word{k}" for k in range(30))
    texts = [
        "Hello,  World!",
        "“hello world”",
        "HELLO WORLD.",
        "?!",
        "...",
        story,
        story + " not",
        "C#",
        "c++",
        "C++ ",
        "C++",
    ]
    near = near_texts(texts, np.arange(len(texts)))
    found = {tuple(pair): bool(same) for pair, same in zip(near.pairs.tolist(), near.same, strict=True)}
    assert found == {(0, 1): True, (0, 2): True, (5, 6): False, (9, 10): True}
