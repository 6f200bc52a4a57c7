"""Helpers for tests of the data adapters: tiny image folders, tables and settings that look nowhere else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.core.config import Settings


def encode(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """Pixels as an image file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def noise(seed: int, height: int = 6, width: int = 5) -> np.ndarray:
    """Random RGB pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that find no data anywhere and may not download."""
    return Settings(cache_dir=tmp_path / "cache", offline=True)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write ``{relative path: pixels or bytes}`` below a fresh folder."""

    def make(files: dict[str, np.ndarray | bytes], name: str = "pets") -> Path:
        root = tmp_path / name
        root.mkdir()
        for relative, content in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else encode(content))
        return root

    return make
