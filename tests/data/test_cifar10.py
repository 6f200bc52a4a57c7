from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import OfflineError, UnreadableError, UnsafeFileError
from auditor.data import cifar10
from auditor.data.cifar10 import CLASSES, read_batches, usual_order
from auditor.data.columns import SplitFiles, parquet_file
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset


@pytest.fixture
def real(data_dir: Path, settings: Settings) -> Settings:
    return Settings(data_dirs=(data_dir,), cache_dir=settings.cache_dir, offline=True)


@pytest.fixture
def small(data_dir: Path, tmp_path: Path) -> Path:
    """A data folder with the first 20 real test images and the first 30 real train images."""
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    for split, n in (("train", 30), ("test", 20)):
        table = pq.ParquetFile(data_dir / "cifar10" / f"{split}-00000-of-00001.parquet").read_row_group(0)
        pq.write_table(table.slice(0, n), folder / f"{split}-00000-of-00001.parquet", row_group_size=7)
    return tmp_path / "data"


def opened(settings: Settings, reference: str = "cifar10") -> ImageDataset:
    data = open_dataset(reference, settings)
    assert isinstance(data, ImageDataset)
    return data


def test_order_and_labels_are_the_published_ones(real: Settings, data_dir: Path) -> None:
    data = opened(real)
    assert data.class_names == CLASSES
    assert len(data) == 60_000
    assert not data.notes
    train, test = data.labels[:50_000], data.labels[50_000:]
    np.testing.assert_array_equal(test, np.load(data_dir / "label_errors" / "cifar10" / "original_labels.npy"))
    np.testing.assert_array_equal(train, np.load(data_dir / "cifar10n" / "clean.npy"))
    assert data.ids[50_000 + 2405] == "test/2405"
    assert data.items.index[50_000 + 2405] == 2405


def test_split_needs_only_its_own_file(data_dir: Path, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "d" / "cifar10").mkdir(parents=True)
    name = "test-00000-of-00001.parquet"
    os.symlink(data_dir / "cifar10" / name, tmp_path / "d" / "cifar10" / name)
    only_test = Settings(data_dirs=(tmp_path / "d",), cache_dir=settings.cache_dir, offline=True)
    assert len(opened(only_test, "cifar10?split=test")) == 10_000
    with pytest.raises(OfflineError) as caught:
        opened(only_test)
    assert "Missing: cifar10/train-00000-of-00001.parquet\n" in str(caught.value)


def test_offline_error_names_file_folders_and_way_out(settings: Settings, tmp_path: Path) -> None:
    tried = Settings(data_dirs=(tmp_path / "one",), cache_dir=tmp_path / "cache", offline=True)
    with pytest.raises(OfflineError) as caught:
        opened(tried, "cifar10?split=test")
    message = str(caught.value)
    assert caught.value.exit_code == 4
    for part in (
        "cifar10/test-00000-of-00001.parquet",
        str(tmp_path / "one"),
        str(tmp_path / "cache"),
        "--data-dir",
        "offline is set",
    ):
        assert part in message


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_variables_of_the_hub_are_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("auditor.data.hub._hub_answers", lambda: pytest.fail("asked the network"))
    with pytest.raises(OfflineError, match=variable):
        opened(Settings(cache_dir=tmp_path))


def test_no_network_is_an_offline_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.data.hub._hub_answers", lambda: False)
    with pytest.raises(OfflineError, match="does not answer"):
        opened(Settings(cache_dir=tmp_path))


def test_folders_are_tried_in_order(small: Path, tmp_path: Path, settings: Settings) -> None:
    cache = Settings(data_dirs=(tmp_path / "empty",), cache_dir=tmp_path / "c", offline=True)
    (tmp_path / "c").mkdir()
    os.symlink(small, tmp_path / "c" / "datasets")
    assert len(opened(cache)) == 50
    first = Settings(data_dirs=(tmp_path / "empty", small), cache_dir=tmp_path / "none", offline=True)
    assert len(opened(first)) == 50


def test_a_part_of_the_data_is_kept_in_order_and_said(small: Path, settings: Settings) -> None:
    data = opened(Settings(data_dirs=(small,), cache_dir=settings.cache_dir, offline=True))
    assert list(data.ids[:2]) == ["train/0", "train/1"]
    assert len(data.notes) == 2
    pixels, bad = data.load_images()
    assert pixels.shape == (50, 32, 32, 3)
    assert not bad


def test_other_orders_of_the_batches_are_put_right(real: Settings) -> None:
    labels = opened(real, "cifar10?split=train").labels
    archive_order = np.concatenate([labels.reshape(5, -1)[k] for k in (3, 2, 1, 4, 0)])
    rows = usual_order(archive_order, "train")
    assert rows is not None
    np.testing.assert_array_equal(archive_order[rows], labels)
    assert usual_order(labels[::-1], "train") is None
    assert usual_order(np.full(10_000, 300), "test") is None


def test_download_in_another_order_gives_the_usual_ids(
    data_dir: Path, real: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pq.ParquetFile(data_dir / "cifar10" / "train-00000-of-00001.parquet")
    labels = source.read(columns=["label"]).column("label").to_numpy()
    order = np.arange(50_000).reshape(5, -1)[[3, 2, 1, 4, 0]].ravel()
    stub = [{"bytes": f"image {row}".encode(), "path": None} for row in order]
    table = pa.table({"img": pa.array(stub), "label": labels[order]})
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    test = data_dir / "cifar10" / "test-00000-of-00001.parquet"
    fetched = [
        SplitFiles("train", (parquet_file(tmp_path / "train-00000-of-00001.parquet"),)),
        SplitFiles("test", (parquet_file(test),)),
    ]
    monkeypatch.setattr(cifar10, "remote_splits", lambda name, options, settings: fetched)
    data = opened(Settings(cache_dir=tmp_path / "none"))
    assert not data.notes
    np.testing.assert_array_equal(data.labels[:50_000], labels)
    for row in (0, 10_000, 31_234):
        assert data.file_bytes(row) == f"image {row}".encode()


def write_batches(folder: Path, data: ImageDataset) -> None:
    """The published layout, from data in memory: what torchvision unpacks."""
    folder.mkdir(parents=True)
    pixels, _ = data.load_images()
    for split, names in (("train", [f"data_batch_{k}" for k in range(1, 6)]), ("test", ["test_batch"])):
        rows = np.flatnonzero(data.items.splits == split)
        for name, part in zip(names, np.array_split(rows, len(names)), strict=True):
            flat = pixels[part].transpose(0, 3, 1, 2).reshape(len(part), -1)
            batch = {b"data": np.ascontiguousarray(flat), b"labels": [int(k) for k in data.labels[part]]}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def test_python_batches_give_the_same_items(small: Path, tmp_path: Path, settings: Settings) -> None:
    parquet = opened(Settings(data_dirs=(small,), cache_dir=settings.cache_dir, offline=True))
    write_batches(tmp_path / "tv" / "cifar-10-batches-py", parquet)
    batches = opened(Settings(data_dirs=(tmp_path / "tv",), cache_dir=settings.cache_dir, offline=True))
    assert batches.fingerprint == parquet.fingerprint


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("exploded",))


def test_batches_never_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": _Payload(), b"labels": []}))
    with pytest.raises(UnsafeFileError, match="mkdir"):
        read_batches(tmp_path, "test")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": b"x", b"labels": []}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, protocol=2),
    ],
)
def test_damaged_batches(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(UnreadableError):
        read_batches(tmp_path, "test")
