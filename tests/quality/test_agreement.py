"""The comparison of two aligned pictures: what is explained, what is drawn, and that blocks change nothing."""

from __future__ import annotations

import numpy as np
from PIL import Image

from auditor.quality.agreement import ALTERED, DIFFERENT, SAME, agreement, drawn_or_smooth
from auditor.quality.alignment import IDENTITY, aligned, warped
from auditor.quality.thumbnails import COLOUR, FINE, area_weights, fine_thumbnails
from tests.contract.planted_quality import pixels_of
from tests.quality.look_alikes import CHANGES, LOOK_ALIKES


def compared(pairs: list[tuple[Image.Image, Image.Image]], block: int = 1024) -> list[int]:
    both = [np.asarray(picture.convert("RGB")) for pair in pairs for picture in pair]
    fine, tint = (np.concatenate(part) for part in zip(*(fine_thumbnails(b[None]) for b in both), strict=True))
    sides = np.array([min(b.shape[:2]) for b in both])
    return agreement(fine, tint, sides, np.arange(len(both)).reshape(-1, 2), block=block).tolist()


def test_grades() -> None:
    rng = np.random.default_rng(0)
    photograph, stranger = (Image.fromarray(pixels_of(k, 64, 64)) for k in (0, 1))
    turned, marked = (CHANGES[name](photograph, rng) for name in ("rotated by 3 degrees", "watermark"))
    red, green = LOOK_ALIKES["lights"](64)[3:5]
    pairs = [(photograph, photograph), (photograph, turned), (photograph, marked), (photograph, stranger), (red, green)]
    grades = compared(pairs)
    assert grades[:2] == [SAME, SAME]
    assert grades[2] in (ALTERED, SAME)
    assert grades[3:] == [DIFFERENT, DIFFERENT]
    assert compared(pairs, block=2) == grades


def test_a_drawing_that_is_moved_or_turned_is_another_one() -> None:
    rng = np.random.default_rng(0)
    arrow = LOOK_ALIKES["arrows"](64)[0]
    moved = Image.fromarray(np.roll(np.asarray(arrow), 6, axis=0))
    turned = arrow.rotate(6, fillcolor="white")
    assert compared([(arrow, moved), (arrow, turned), (arrow, CHANGES["JPEG, quality 75"](arrow, rng))]) == [0, 0, SAME]


def test_what_is_drawn() -> None:
    photographs = np.stack([pixels_of(k, 64, 64) for k in range(10)])
    assert drawn_or_smooth(fine_thumbnails(photographs)[0])[0].mean() <= 0.1
    for family, draw in LOOK_ALIKES.items():
        pictures = np.stack([np.asarray(p) for p in draw(128)])
        assert drawn_or_smooth(fine_thumbnails(pictures)[0])[0].all(), family
    ramp = np.add.outer(np.arange(64), np.arange(64))[None, ..., None].repeat(3, 3).astype(np.uint8)
    assert drawn_or_smooth(fine_thumbnails(ramp)[0])[1].all()


def test_alignment_finds_what_was_done_to_a_picture() -> None:
    whole = Image.fromarray(pixels_of(3, 128, 128))
    part = whole.crop((10, 6, 122, 118)).resize((128, 128), Image.Resampling.BICUBIC)
    first, second = (fine_thumbnails(np.asarray(p)[None])[0].astype(np.float32) for p in (whole, part))
    maps = aligned(first, second * 0.7 + 20, IDENTITY[None])
    expected = [112 / 128, 0, (62 - 64) / 128, 0, 112 / 128, (66 - 64) / 128]
    assert np.allclose(maps[0], expected, atol=0.01)
    seen, inside = warped(first, maps)
    assert inside.all()
    assert np.abs(seen - second)[0, 2:-2, 2:-2].mean() < 8


def test_thumbnails_of_any_size() -> None:
    assert np.allclose(area_weights(50, 64).sum(axis=1), 1)
    for height, width in ((16, 200), (32, 32), (50, 75), (600, 700)):
        flat = np.full((2, height, width, 3), (200, 100, 50), np.uint8)
        fine, tint = fine_thumbnails(flat)
        light = (200 * 299 + 100 * 587 + 50 * 114) // 1000
        assert fine.shape == (2, FINE, FINE)
        assert tint.shape == (2, COLOUR, COLOUR, 2)
        assert np.abs(fine.astype(int) - light).max() <= 1
        assert np.abs(tint[..., 0].astype(int) - ((200 - light) / 2 + 128)).max() <= 1
