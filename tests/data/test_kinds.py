from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import MemoryGuardError, UnreadableError, UsageError
from auditor.data.base import ItemTable
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset, TableDataset, TextDataset
from auditor.data.loading import LONGEST_SIDE
from auditor.data.sources import ArraySource, FileSource
from tests.data.conftest import encode, noise


def items(n: int) -> ItemTable:
    return ItemTable(
        np.array([f"i{k}" for k in range(n)]), np.arange(n, dtype=np.int64) % 2, np.full(n, "all"), np.arange(n)
    )


def image_set(tmp_path: Path, contents: list[bytes | None], scheme: str = RGB_SCHEME) -> ImageDataset:
    """Images from files; None is a missing file."""
    paths = []
    for k, content in enumerate(contents):
        paths.append(str(tmp_path / f"{k}.png"))
        if content is not None:
            Path(paths[-1]).write_bytes(content)
    return ImageDataset(
        name="x",
        reference="x",
        class_names=("a", "b"),
        items=items(len(contents)),
        source=FileSource(paths),
        hash_scheme=scheme,
    )


def test_bad_images_become_bad_items_and_black_rows(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0)), b"", None, encode(noise(3))[:60], encode(noise(4))])
    pixels, bad = data.load_images()
    assert [b.position for b in bad] == [1, 2, 3]
    assert "empty" in bad[0].reason
    assert "does not exist" in bad[1].reason
    assert not pixels[1:4].any()
    np.testing.assert_array_equal(pixels[[0, 4]], [noise(0), noise(4)])
    with pytest.raises(UnreadableError, match=r"'i1'.*empty"):
        data.item(1)


def test_bad_items_carry_positions_of_the_data_set(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0)), encode(noise(1)), b"", encode(noise(3))])
    pixels, bad = data.load_images(np.array([3, 2, 0]))
    assert [b.position for b in bad] == [2]
    np.testing.assert_array_equal(pixels[0], noise(3))
    np.testing.assert_array_equal(pixels[2], noise(0))


def test_no_decodable_image_at_all_is_no_crash(tmp_path: Path) -> None:
    pixels, bad = image_set(tmp_path, [b"", None]).load_images()
    assert len(pixels) == len(bad) == 2


def test_different_sizes_are_resized_to_the_median_and_said(tmp_path: Path) -> None:
    shapes = [(10, 20), (12, 20), (30, 40)]
    data = image_set(tmp_path, [encode(noise(k, *s)) for k, s in enumerate(shapes)])
    pixels, bad = data.load_images()
    assert pixels.shape == (3, 12, 20, 3)
    assert not bad
    assert any("3 sizes" in note and "12x20" in note for note in data.notes)
    data.load_images()
    assert len(data.notes) == 1


def test_large_median_is_reduced(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0, 600, 300)), encode(noise(1, 602, 300))])
    pixels, _ = data.load_images()
    assert max(pixels.shape[1:3]) == LONGEST_SIDE
    assert pixels.shape[2] == round(LONGEST_SIDE * 300 / 601)


def test_given_size_wins(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0)), encode(noise(1, 9, 9))])
    assert data.load_images(size=8)[0].shape == (2, 8, 8, 3)
    assert data.load_images(size=(4, 7))[0].shape == (2, 4, 7, 3)
    with pytest.raises(UsageError):
        data.load_images(size=0)


def test_memory_guard_stops_before_allocating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_set(tmp_path, [encode(noise(0)), encode(noise(1))])
    monkeypatch.setattr("auditor.data.loading.available_memory", lambda: 100)
    with pytest.raises(MemoryGuardError, match="2 images of 6x5"):
        data.load_images()


@pytest.mark.parametrize("first", ["hash", "load"])
def test_hash_of_pixels_is_the_same_before_and_after_loading(tmp_path: Path, first: str) -> None:
    contents = [encode(noise(0)), b"", encode(noise(2)), None, encode(noise(2), "BMP")]
    data = image_set(tmp_path, contents)
    if first == "load":
        pixels, bad = data.load_images()
        hashes = data.content_hashes
    else:
        hashes = data.content_hashes
        pixels, bad = data.load_images()
    plain = np.array([data._hash_one(k, data.source.get(k)) for k in range(5)])
    np.testing.assert_array_equal(hashes, plain)
    assert hashes[2] == hashes[4]  # the same pixels from another format
    assert len(set(hashes)) == 4  # an empty file and a missing one are not copies of each other
    assert [b.position for b in bad] == [1, 3]
    np.testing.assert_array_equal(pixels[2], noise(2))


def test_pixels_kept_for_hashing_are_handed_over_once(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0)), encode(noise(1))])
    _ = data.content_hashes
    assert data._decoded is not None
    kept = data._decoded.pixels
    assert data.load_images()[0] is kept
    assert data._decoded is None
    assert data.load_images()[0] is not kept


def test_resized_pixels_are_not_taken_for_hashes(tmp_path: Path) -> None:
    contents = [encode(noise(0)), encode(noise(1))]
    data, plain = image_set(tmp_path, contents), image_set(tmp_path, contents)
    data.load_images(size=3)
    np.testing.assert_array_equal(data.content_hashes, plain.content_hashes)


def test_file_scheme_hashes_bytes(tmp_path: Path) -> None:
    png, bmp = encode(noise(0)), encode(noise(0), "BMP")
    data = image_set(tmp_path, [png, bmp, png], FILE_SCHEME)
    assert data.content_hashes[0] == data.content_hashes[2] != data.content_hashes[1]
    assert data.file_bytes(1) == bmp


def test_images_load_the_same_threaded_and_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_set(tmp_path, [encode(noise(k, 80, 80)) for k in range(20)] + [b"x"])
    monkeypatch.setattr("auditor.data.loading.cpu_count", lambda: 1)
    single, bad = data.load_images()
    monkeypatch.setattr("auditor.data.loading.cpu_count", lambda: 3)
    threaded, bad_too = data.load_images()
    np.testing.assert_array_equal(single, threaded)
    assert bad == bad_too


def test_progress_counts_to_the_total(tmp_path: Path) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.total, self.done, self.note = 0.0, 0.0, ""

        def stage(self, name: str, detail: str = "") -> None: ...
        def start(self, task: str, total: float, unit: str = "") -> None:
            self.total = total

        def advance(self, task: str, done: float, note: str = "") -> None:
            self.done = done

        def finish(self, task: str, note: str = "") -> None:
            self.note = note

        def note_(self, message: str) -> None: ...

    recorder = Recorder()
    image_set(tmp_path, [encode(noise(0)), b""]).load_images(progress=recorder)  # type: ignore[arg-type]
    assert (recorder.total, recorder.done) == (2, 2)
    assert "1 could not" in recorder.note


def test_subset_keeps_identity_and_content() -> None:
    pixels = np.stack([noise(k) for k in range(6)])
    data = ImageDataset(
        name="x",
        reference="x",
        class_names=("a", "b"),
        items=items(6),
        source=ArraySource(pixels),
        hash_scheme=RGB_SCHEME,
    )
    for hashed_before in (False, True):
        if hashed_before:
            _ = data.fingerprint
        part = data.subset(np.array([4, 1]))
        assert list(part.ids) == ["i4", "i1"]
        np.testing.assert_array_equal(np.asarray(part.item(0)), pixels[4])
        np.testing.assert_array_equal(part.content_hashes, data.content_hashes[[4, 1]])
        assert part.fingerprint != data.fingerprint
    assert len(data.subset(np.array([2]))) == 1  # one class: fine for a batch


def test_pickle_drops_kept_pixels(tmp_path: Path) -> None:
    data = image_set(tmp_path, [encode(noise(0)), encode(noise(1))])
    _ = data.content_hashes
    back = pickle.loads(pickle.dumps(data))
    assert back._decoded is None
    np.testing.assert_array_equal(back.load_images()[0], data.load_images()[0])


def test_text_hashes_tell_texts_apart() -> None:
    column = np.array(["a", "b", "a", "", "\ud800"], dtype=object)
    data = TextDataset(name="t", reference="t", class_names=("a", "b"), items=items(5), column=column)
    assert data.content_hashes[0] == data.content_hashes[2]
    assert len(set(data.content_hashes)) == 4
    assert data.texts[1] == data.item(1) == "b"
    assert data.subset(np.array([1])).texts == ["b"]


def test_table_hashes_tell_missing_and_values_apart() -> None:
    frame = pd.DataFrame(
        {"x": [1.0, 1.0, np.nan, 0.1 + 0.2], "c": pd.Categorical(["p", "p", None, "p"], categories=["p", "q"])}
    )
    data = TableDataset(name="t", reference="t", class_names=("a", "b"), items=items(4), frame=frame)
    assert data.content_hashes[0] == data.content_hashes[1]
    assert len(set(data.content_hashes)) == 3
    assert data.item(2) == {"x": None, "c": None}
    assert data.item(0) == {"x": 1.0, "c": "p"}
    part = data.subset(np.array([3, 0]))
    assert list(part.frame.index) == [0, 1]
    np.testing.assert_array_equal(part.content_hashes, data.content_hashes[[3, 0]])


@pytest.mark.parametrize("kind", ["image", "text", "table"])
def test_a_data_set_says_in_a_line_what_it_is(kind: str) -> None:
    n = 40
    common: dict = {"name": "x\x1b[2J", "reference": "x", "class_names": ("a", "b")}
    common["items"] = ItemTable(
        np.arange(n).astype(str), np.arange(n) % 2, np.array([f"s{k % 8}" for k in range(n)]), np.arange(n)
    )
    dataset = {
        "image": lambda: ImageDataset(
            **common, source=ArraySource(np.zeros((n, 2, 2, 3), np.uint8)), hash_scheme=RGB_SCHEME
        ),
        "text": lambda: TextDataset(**common, column=np.array(["word " * 99] * n, dtype=object)),
        "table": lambda: TableDataset(**common, frame=pd.DataFrame({"u": np.arange(n, dtype=np.float64)})),
    }[kind]()
    splits = "s0 5, s1 5, s2 5, s3 5, s4 5, s5 5, ..."
    assert repr(dataset) == f"{type(dataset).__name__} x\\x1b[2J: {splits}; 2 classes: a, b"
