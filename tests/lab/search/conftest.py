"""Small images whose class is their colour, as arrays and as a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

from auditor.lab.search.data import SearchData
from auditor.train.base import TrainingData


def colours(n: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (3 n, side, side, 3) and labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), n)
    images = random.integers(0, 160, (3 * n, side, side, 3))
    images[np.arange(3 * n), :, :, labels] += 90
    return images.astype(np.uint8), labels


@pytest.fixture(scope="session")
def toy() -> SearchData:
    """60 training and 30 validation images of 16 px."""
    images, labels = colours(30, 16, 0)
    validation = np.flatnonzero(np.arange(90) % 3 == 0)
    train = np.setdiff1d(np.arange(90), validation)
    return SearchData(TrainingData("image", images, labels, 3), train, validation, np.arange(90).astype(str))


def write_colours(root: Path, side: int) -> Path:
    """The same as a folder with a train and a test split."""
    for split, n in (("train", 40), ("test", 8)):
        images, labels = colours(n, side, n)
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            place = root / split / ("red", "green", "blue")[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 32 px."""
    return write_colours(tmp_path_factory.mktemp("colours"), 32)
