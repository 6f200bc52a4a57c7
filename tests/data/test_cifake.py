from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import OfflineError, UnreadableError
from auditor.data.kinds import FILE_SCHEME, ImageDataset
from auditor.data.open import open_dataset
from tests.data.conftest import encode, noise


@pytest.fixture
def real(data_dir: Path, settings: Settings) -> Settings:
    return Settings(data_dirs=(data_dir,), cache_dir=settings.cache_dir, offline=True)


def test_real_and_fake(real: Settings) -> None:
    data = open_dataset("cifake", real)
    assert data.class_names == ("FAKE", "REAL")
    assert len(data) == 120_000
    assert data.ids[0] == "train/REAL/0000.jpg"
    assert np.bincount(data.labels[data.items.splits == "test"]).tolist() == [10_000, 10_000]
    said = np.array(["/REAL/" in i for i in data.ids])
    np.testing.assert_array_equal(said, data.labels == 1)


def test_ten_classes_from_the_file_names(real: Settings) -> None:
    data = open_dataset("cifake:class?split=test", real)
    assert len(data.class_names) == 10
    assert np.bincount(data.labels).tolist() == [2000] * 10
    where = {str(i): k for k, i in enumerate(data.ids)}
    assert data.labels[where["test/REAL/0000.jpg"]] == data.class_names.index("airplane")
    assert data.labels[where["test/FAKE/0 (4).jpg"]] == data.class_names.index("cat")
    assert data.labels[where["test/REAL/0000 (10).jpg"]] == data.class_names.index("truck")


def test_real_photographs_follow_cifar10(real: Settings) -> None:
    """Row i of a class in CIFAR-10 is the file with that number."""
    cifar, cifake = open_dataset("cifar10?split=test", real), open_dataset("cifake:class?split=test", real)
    assert isinstance(cifar, ImageDataset)
    assert isinstance(cifake, ImageDataset)
    cats = np.flatnonzero(cifar.labels == 3)[:20]
    where = {str(i): k for k, i in enumerate(cifake.ids)}
    twins = np.array([where[f"test/REAL/{r:04d} (4).jpg"] for r in range(20)])
    exact, _ = cifar.load_images(cats)
    lossy, _ = cifake.load_images(twins)
    assert np.abs(exact.astype(int) - lossy).mean(axis=(1, 2, 3)).max() < 12


def test_known_copies_across_splits_share_a_hash(real: Settings) -> None:
    data = open_dataset("cifake", real)
    assert data.hash_scheme == FILE_SCHEME
    where = {str(i): k for k, i in enumerate(data.ids)}
    pair = data.subset(np.array([where["train/FAKE/1020 (3).jpg"], where["test/FAKE/922 (3).jpg"]]))
    assert pair.content_hashes[0] == pair.content_hashes[1]


def test_unpacked_archive_gives_the_same_items_in_the_same_order(
    data_dir: Path, settings: Settings, tmp_path: Path
) -> None:
    table = pq.ParquetFile(data_dir / "cifake" / "test-00000-of-00001.parquet").read_row_group(0).slice(0, 60)
    (tmp_path / "p" / "cifake").mkdir(parents=True)
    pq.write_table(table, tmp_path / "p" / "cifake" / "test-00000-of-00001.parquet")
    for image in table.column("image").to_pylist():
        path = tmp_path / "f" / "cifake" / image["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image["bytes"])
    packed, unpacked = (
        open_dataset("cifake?split=test", Settings(data_dirs=(tmp_path / d,), cache_dir=settings.cache_dir))
        for d in "pf"
    )
    assert list(packed.ids) == list(unpacked.ids)
    assert packed.fingerprint == unpacked.fingerprint


def test_absent_says_where_to_put_it(settings: Settings) -> None:
    with pytest.raises(OfflineError, match=r"cifake/train-00000-of-00001.parquet(.|\n)*--data-dir"):
        open_dataset("cifake", settings)


@pytest.mark.parametrize("name", ["cat.jpg", "0001 (11).jpg"])
def test_foreign_file_names(settings: Settings, tmp_path: Path, name: str) -> None:
    for k, kind in enumerate(("REAL", "FAKE")):
        place = tmp_path / "cifake" / "test" / kind
        place.mkdir(parents=True)
        (place / name).write_bytes(encode(noise(k), "JPEG"))
    with pytest.raises(UnreadableError, match=name.replace("(", r"\(").replace(")", r"\)")):
        open_dataset("cifake:class?split=test", Settings(data_dirs=(tmp_path,), cache_dir=settings.cache_dir))
