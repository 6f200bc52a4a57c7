"""Hostile input: what cannot be read is reported with its reason, never crashes, and takes bounded memory."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.data.sources import ColumnSource
from auditor.quality.run import check_quality
from tests.contract.planted_quality import pixels_of

#: Items of the folder that are sound.
SOUND = 30


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes that claims side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Thirty sound pictures in two classes, and everything that can be wrong with a file."""
    root = tmp_path / "data"
    for k in range(SOUND):
        place = root / "abc"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{k:02d}.png").write_bytes(_png(pixels_of(k)))
    jpeg = io.BytesIO()
    Image.fromarray(pixels_of(90, 64, 64)).save(jpeg, "JPEG")
    bad = {
        "empty.png": b"",
        "cut.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2],
        "text.png": b"this is no picture",
        "archive.png": b"PK\x03\x04" + bytes(200),
        "bomb.png": _bomb(10_000),
        "zeros.jpg": bytes(5000),
    }
    for name, content in bad.items():
        (root / "a" / name).write_bytes(content)
    (root / "b" / "dot.png").write_bytes(_png(np.zeros((1, 1, 3), np.uint8)))
    (root / "b" / "line.png").write_bytes(_png(np.zeros((1, 4000, 3), np.uint8)))
    for name in ("中文 ümlaut 🦜.png", "new\nline.png"):
        (root / "b" / name).write_bytes(_png(pixels_of(len(name) + 50)))
    if sys.platform == "linux":
        (root / "b").joinpath("x").touch()  # no suffix: passed over
        with open(bytes(root / "b") + b"/\xff\xfe.png", "wb") as handle:
            handle.write(_png(pixels_of(77)))
    (root / "b" / "nowhere.png").symlink_to(root / "absent.png")
    return root


def test_everything_is_reported_and_nothing_crashes(hostile: Path) -> None:
    found = check_quality(str(hostile), settings=Settings(offline=True)).document
    checks = {c["name"]: c for c in found["checks"]}
    notes = {Path(i["id"]).name: i["note"] for i in checks["undecodable"]["items"]}
    assert set(notes) == {"empty.png", "cut.jpg", "text.png", "archive.png", "bomb.png", "zeros.jpg", "nowhere.png"}
    assert "0 bytes" in notes["empty.png"]
    assert "truncated" in notes["cut.jpg"]
    assert "10000x10000" in notes["bomb.png"]
    assert "does not exist" in notes["nowhere.png"]
    odd = {Path(i["id"]).name for i in checks["odd_size"]["items"]}
    assert "dot.png" in odd
    assert "line.png" in {Path(i["id"]).name for i in checks["odd_aspect"]["items"]}
    assert found["n_items"] > SOUND


def test_large_pictures_take_bounded_memory() -> None:
    import resource

    from auditor.quality.image_measures import measure_pictures

    pixels = np.tile(pixels_of(1, 50, 50), (160, 160, 1))  # 8,000 x 8,000: 192 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = measure_pictures(pixels[None])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 600  # MB; int64 copies of the picture would take 1,500
    assert 0 < found["brightness"][0] < 1
    strip = measure_pictures(np.full((1, 1, 9_000_000, 3), 7, np.uint8))
    assert strip["entropy"][0] == 0


def test_a_damaged_part_of_a_parquet_file_hides_no_other(tmp_path: Path) -> None:
    from auditor.data.columns import parquet_file
    from auditor.data.sources import Unreadable

    rng = np.random.default_rng(0)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"b": [rng.bytes(2000) for _ in range(400)]}), path, row_group_size=100)
    raw = bytearray(path.read_bytes())
    raw[250_000:262_000] = rng.bytes(12_000)
    path.write_bytes(bytes(raw))
    contents = [c for _, c in ColumnSource([parquet_file(path)], "b").read(np.arange(400))]
    bad = [k for k, c in enumerate(contents) if isinstance(c, Unreadable)]
    assert bad == list(range(100, 200))
    assert "damaged" in contents[100].reason


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz", "x.csv"])
def test_corrupt_archives_are_data_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x1f\x8b\x08\x00broken" + bytes(range(256)) * 4)
    with pytest.raises(DataError, match="x"):
        check_quality(f"{path}?text=t&label=y" if "csv" in name else str(path), settings=Settings(offline=True))
