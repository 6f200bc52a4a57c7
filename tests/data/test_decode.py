from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from auditor.data.decode import (
    FORMATS,
    MAX_PIXELS,
    UndecodableImage,
    decode_numbers,
    decode_rgb,
    image_size,
    is_lossless,
)
from tests.data.conftest import encode, noise


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_keep_the_pixels(kind: str) -> None:
    pixels = np.repeat(noise(0)[:, :, :1] // 16 * 16, 3, axis=2)  # grey, so that GIF's palette holds it
    data = encode(pixels, kind)
    assert is_lossless(data)
    np.testing.assert_array_equal(decode_rgb(data), pixels)


def test_lossless_webp_is_told_from_lossy() -> None:
    pixels = noise(1)
    exact, lossy = encode(pixels, "WEBP", lossless=True), encode(pixels, "WEBP", quality=50)
    np.testing.assert_array_equal(decode_rgb(exact), pixels)
    assert is_lossless(exact)
    assert not is_lossless(lossy)
    assert not is_lossless(encode(pixels, "JPEG"))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    deep = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    rgb = decode_rgb(encode(deep))
    np.testing.assert_array_equal(rgb[0, :, 0], [0, 1, 128, 255])
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


def test_grey_and_bilevel_become_rgb() -> None:
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(decode_rgb(encode(grey)), np.repeat(grey[..., None], 3, axis=2))
    bilevel = np.array([[True, False]])
    np.testing.assert_array_equal(decode_rgb(encode(bilevel))[0, :, 0], [255, 0])


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16"])
def test_numbers_of_pixels_are_those_that_the_file_stores(mode: str) -> None:
    numbers = np.array([[0, 1, 1], [1, 0, 1]], np.uint8) * (1 if mode == "1" else 37)
    if mode == "I;16":
        numbers = numbers.astype(np.uint16) * 256
    picture = Image.fromarray(numbers.astype(bool) if mode == "1" else numbers)
    if mode == "P":
        picture = Image.fromarray(numbers, "P")
        picture.putpalette(list(range(255, -1, -1)) * 3)
    file = io.BytesIO()
    picture.save(file, "PNG")
    np.testing.assert_array_equal(decode_numbers(file.getvalue()), numbers)


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("F", "TIFF")])
def test_colours_and_fractions_are_no_numbers(mode: str, kind: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (3, 2)).save(file, kind)
    with pytest.raises(UndecodableImage, match=f"stores colours or fractions .mode {mode}"):
        decode_numbers(file.getvalue())


def test_transparency_is_laid_over_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(decode_rgb(encode(rgba)), [[[10, 20, 30], [255, 255, 255]]])


def test_palette_with_transparency_is_laid_over_white(tmp_path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png", transparency=0)
    np.testing.assert_array_equal(decode_rgb((tmp_path / "p.png").read_bytes()), [[[255, 255, 255], [200, 0, 0]]])


def test_cmyk_jpeg_becomes_rgb(tmp_path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=95)
    rgb = decode_rgb((tmp_path / "c.jpg").read_bytes())
    assert rgb.shape == (8, 8, 3)
    assert rgb[0, 0, 0] > 200
    assert rgb[0, 0, 1] < 60


def test_animated_file_gives_its_first_frame(tmp_path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_rgb((tmp_path / "a.gif").read_bytes())[0, 0], [255, 0, 0])


def test_exif_orientation_is_applied(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(noise(2, 4, 8)).save(tmp_path / "o.jpg", exif=exif)
    data = (tmp_path / "o.jpg").read_bytes()
    assert decode_rgb(data).shape == (8, 4, 3)
    assert image_size(data) == (8, 4)


def test_resize_reaches_the_size_asked_for() -> None:
    assert decode_rgb(encode(noise(3, 64, 48), "JPEG"), (7, 9)).shape == (7, 9, 3)
    assert decode_rgb(encode(noise(3)), (12, 3)).shape == (12, 3, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, this is no image at all", "not an image"),
        (encode(noise(4, 40, 40))[:300], "damaged or truncated|not an image"),
        (encode(noise(4, 40, 40), "JPEG")[:400], "damaged or truncated"),
        (encode(noise(4), "WEBP", lossless=True)[:40], "damaged or truncated|not an image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged or truncated|not an image"),
    ],
)
def test_damaged_files_give_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableImage, match=reason):
        decode_rgb(data)


def test_decompression_bomb_is_refused_before_decoding() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    with pytest.raises(UndecodableImage, match=r"large|limit"):
        decode_rgb(bomb)
    assert MAX_PIXELS < 60_000 * 60_000


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pixel_limit_is_ours_and_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.data.decode.MAX_PIXELS", 29)
    with pytest.raises(UndecodableImage, match="5x6 pixels"):
        decode_rgb(encode(noise(5)))
    monkeypatch.setattr("auditor.data.decode.MAX_PIXELS", 30)
    assert decode_rgb(encode(noise(5))).shape == (6, 5, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_cut_of_a_file_decodes_or_gives_a_reason() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        data = encode(noise(6, 20, 20), kind)
        outcomes = set()
        for cut in range(0, len(data) + 1, max(1, len(data) // 40)):
            try:
                outcomes.add(decode_rgb(data[:cut]).shape)
            except UndecodableImage:
                outcomes.add(())
        assert outcomes <= {(), (20, 20, 3)}
        assert () in outcomes


def _saved(name: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(out, name)
    return out.getvalue()


FOREIGN = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n(/tmp/x) (w) file closefile\nshowpage\n%%EOF\n",
    "PostScript behind a DOS header": struct.pack("<4sII", b"\xc5\xd0\xd3\xc6", 30, 80)
    + bytes(18)
    + b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\nshowpage\n%%EOF\n",
    "EPS by Pillow": _saved("EPS"),
    "PDF": _saved("PDF"),
    "Windows metafile": b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(40),
    "icon": _saved("ICO"),
    "Targa": _saved("TGA"),
    "FITS": b"SIMPLE  =                    T" + bytes(2900),
}


def _watched(asked: list[str], name: str, factory: Callable[..., Image.Image], *arguments: Any) -> Image.Image:
    asked.append(name)
    return factory(*arguments)


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_plug_ins_for_other_formats_are_never_asked(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    asked: list[str] = []
    for name, (factory, accepts) in list(Image.OPEN.items()):
        if name not in FORMATS:
            watched = partial(_watched, asked, name, factory)
            monkeypatch.setitem(Image.OPEN, name, (watched, accepts))
    for read in (decode_rgb, image_size):
        with pytest.raises(UndecodableImage, match="not an image file"):
            read(data)
    assert asked == []


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_every_format_that_is_promised_is_read(name: str) -> None:
    if name not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {name}")
    assert decode_rgb(_saved(name)).shape == (16, 16, 3)
