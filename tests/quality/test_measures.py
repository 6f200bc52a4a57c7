"""One pass: every item decoded once, the same measures however the work is cut up."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from auditor.core.progress import SilentProgress
from auditor.data.sources import ArraySource, FileSource
from auditor.quality import measures
from auditor.quality.image_measures import COLUMNS, measure_pictures
from auditor.quality.measures import ImageMeasures, measure_images
from auditor.quality.open_subject import neighbours_of
from auditor.quality.registry import run_checks
from auditor.quality.windows import LEAST_WINDOW, window_correlation
from tests.contract.planted_quality import images, pixels_of


def equal(one: ImageMeasures, two: ImageMeasures) -> bool:
    parts = ("file_hash", "pixel_hash", "size", "mode", "hash", "mirrored", "thumbnail", "fine", "tint")
    same = all(np.array_equal(getattr(one, p), getattr(two, p)) for p in parts)
    return same and all(np.array_equal(one.columns[c], two.columns[c], equal_nan=True) for c in COLUMNS)


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    paths = []
    for k in range(60):
        path = tmp_path / f"{k}.png"
        Image.fromarray(pixels_of(k, 20 + k % 3, 40)).save(path)
        paths.append(str(path))
    Path(paths[7]).write_bytes(b"broken")
    return FileSource(paths)


def test_workers_and_chunks_change_nothing(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure_images(source, SilentProgress(), workers=1)
    assert list(whole.reasons) == [7]
    monkeypatch.setattr(measures, "CHUNK", 13)
    monkeypatch.setattr(measures, "PENDING_BYTES", 5000)
    assert equal(whole, measure_images(source, SilentProgress(), workers=1))
    monkeypatch.undo()
    monkeypatch.setattr(measures, "LEAST_FOR_WORKERS", 10)
    assert equal(whole, measure_images(source, SilentProgress(), workers=2))


def test_every_item_is_decoded_once(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[bytes] = Counter()
    real = measures.decode_with_mode

    def counted(data: bytes) -> tuple[np.ndarray, str]:
        calls[data] += 1
        return real(data)

    monkeypatch.setattr(measures, "decode_with_mode", counted)
    measure_images(source, SilentProgress(), workers=1)
    assert len(calls) == 60
    assert set(calls.values()) == {1}


def test_pixels_decoded_before_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.stack([pixels_of(k) for k in range(10)])
    paths = []
    for k, image in enumerate(pixels):
        paths.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(image).save(paths[-1])
    Image.fromarray(pixels_of(99, 50, 50)).save(paths[4])  # was resized when it was decoded
    np.save(tmp_path / "images.npy", pixels)
    expected = measure_images(FileSource(paths), SilentProgress(), workers=1)
    decoded = []
    real = measures.decode_with_mode
    monkeypatch.setattr(measures, "decode_with_mode", lambda data: decoded.append(data) or real(data))
    again = measure_images(FileSource(paths), SilentProgress(), tmp_path / "images.npy", workers=1)
    assert len(decoded) == 1
    assert equal(expected, again)


def test_a_measure_is_a_function_of_one_picture() -> None:
    pixels = np.stack([pixels_of(k) for k in range(20)])
    together = measure_pictures(pixels)
    for k in (0, 7, 19):
        alone = measure_pictures(pixels[k : k + 1])
        assert all(np.array_equal(alone[name][0], together[name][k]) for name in together)


def test_values_known_in_closed_form() -> None:
    half = np.zeros((1, 32, 32, 3), np.uint8)
    half[:, :, 16:] = 255
    found = {name: float(values[0]) for name, values in measure_pictures(half).items() if values.ndim == 1}
    assert found["brightness"] == pytest.approx(0.5)
    assert found["contrast"] == 1.0
    assert found["entropy"] == pytest.approx(1 / 8)
    assert found["colour"] == 0.0
    assert found["sharpness"] == 1.0
    red = measure_pictures(np.full((1, 16, 16, 3), (255, 0, 0), np.uint8))
    assert red["colour"][0] == 1.0
    assert np.isnan(red["sharpness"][0])


def test_blur_lowers_the_sharpness_by_its_width() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 32:] = 255
    for sigma in (1.0, 2.0, 4.0):
        blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))
        value = float(measure_pictures(blurred[None])["sharpness"][0])
        assert value == pytest.approx(1 / (np.sqrt(2 * np.pi) * sigma), rel=0.2)


def test_sizes_and_modes_are_those_of_the_file(tmp_path: Path) -> None:
    image = Image.fromarray(pixels_of(1, 24, 40)).convert("L")
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    found = measure_images(FileSource([str(tmp_path / "a.jpg")]), SilentProgress())
    assert found.size.tolist() == [[40, 24]]
    assert found.mode.tolist() == ["L"]


def test_arrays_have_no_file() -> None:
    found = measure_images(ArraySource(np.stack([pixels_of(1), pixels_of(1)])), SilentProgress())
    assert found.file_hash.tolist() == [b"", b""]
    assert found.pixel_hash[0] == found.pixel_hash[1] != b""


def test_equal_bytes_of_other_shapes_are_other_pictures(tmp_path: Path) -> None:
    paths = []
    for shape in ((2, 8, 3), (4, 4, 3)):
        out = io.BytesIO()
        Image.fromarray(np.full(shape, 9, np.uint8)).save(out, "PNG")
        paths.append(str(tmp_path / f"{shape[0]}.png"))
        Path(paths[-1]).write_bytes(out.getvalue())
    assert len(set(measure_images(FileSource(paths), SilentProgress()).pixel_hash.tolist())) == 2


def test_crops_are_found_inside_and_strangers_are_not() -> None:
    whole = np.stack([pixels_of(k) for k in range(20)])
    crops = [Image.fromarray(w[3:28, 5:30]).resize((32, 32), Image.Resampling.BICUBIC) for w in whole]
    thumbnails = measure_pictures(np.concatenate([whole, np.stack([np.asarray(c) for c in crops])]))["thumbnail"]
    ids = np.arange(20)
    assert (window_correlation(thumbnails, np.column_stack([ids, 20 + ids]))[0] >= LEAST_WINDOW).mean() >= 0.9
    assert (window_correlation(thumbnails, np.column_stack([ids, 20 + (ids + 1) % 20]))[0] < LEAST_WINDOW).all()


def test_embeddings_propose_what_the_hash_cannot_see(tmp_path: Path) -> None:
    """A crop is found through its embedding and confirmed by the pixels; strangers that lie as near are not."""
    whole = [pixels_of(k) for k in range(30)]
    crop = np.asarray(Image.fromarray(whole[4][4:29, 3:28]).resize((32, 32), Image.Resampling.BICUBIC))
    subject = images(tmp_path, [*whole, crop, whole[7]])
    plain = subject.near_pairs
    assert [4, 30] not in plain.pairs.tolist(), "the hash alone sees it: this test shows nothing"
    assert "embeddings" not in plain.sources
    points = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
    points[30], points[31] = points[4], points[7]
    points[12] = points[9]  # as near, and another picture
    subject.neighbours = neighbours_of("given", points, np.arange(32), 32)
    del subject.near_pairs
    found = subject.near_pairs
    assert found.pairs.tolist() == [[4, 30]]
    assert found.sources["embeddings"] == 1
    (outcome,) = run_checks(subject, ["near_duplicates"])
    assert outcome.findings is not None
    assert outcome.findings.items.tolist() == [4, 30]


def test_windows_do_not_depend_on_blocks_and_flat_pictures_match_nothing() -> None:
    thumbnails = measure_pictures(np.stack([*(pixels_of(k) for k in range(12)), np.full((32, 32, 3), 90, np.uint8)]))[
        "thumbnail"
    ]
    pairs = np.array([(a, b) for a in range(13) for b in range(13)])
    together, one_by_one = (window_correlation(thumbnails, pairs, block=size)[0] for size in (2048, 7))
    assert np.array_equal(together, one_by_one)
    assert (together[(pairs == 12).any(axis=1)] == -1).all()
