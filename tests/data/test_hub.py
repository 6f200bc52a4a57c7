"""Hub layout: parquet folders read in place, other folders through `datasets`, and what happens offline."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import MissingExtraError, OfflineError, UnreadableError, UsageError
from auditor.data import hub
from auditor.data.columns import split_of
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset, TextDataset
from auditor.data.open import open_dataset
from tests.data.conftest import encode, noise


def write_parquet(path: Path, contents: list[bytes | None], labels: list[int | None], names: list[str]) -> None:
    """A split as the Hub stores it."""
    features = {"img": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    images = [None if c is None else {"bytes": c, "path": "/etc/passwd"} for c in contents]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"img": pa.array(images, kind), "label": pa.array(labels, pa.int64())})
    info = json.dumps({"info": {"features": features}})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), path, row_group_size=2)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    pngs = [encode(noise(k)) for k in range(8)]
    write_parquet(folder / "data" / "train-00000-of-00002.parquet", pngs[:3], [0, 1, 2], ["c", "a", "b"])
    write_parquet(folder / "data" / "train-00001-of-00002.parquet", pngs[3:5], [0, 1], ["c", "a", "b"])
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", [*pngs[5:7], None], [2, -1, 0], ["c", "a", "b"])
    return folder


def opened(reference: str | Path, settings: Settings, **options: str) -> ImageDataset:
    data = open_dataset(reference, settings, **options)
    assert isinstance(data, ImageDataset)
    return data


def test_parquet_folder(layout: Path, settings: Settings) -> None:
    data = opened(layout, settings)
    assert data.class_names == ("c", "a", "b")  # the order of the integers, not of the alphabet
    assert list(data.ids) == [*(f"train/{k}" for k in range(5)), "test/0", "test/2"]
    assert any("1 rows without a label" in n for n in data.notes)
    assert data.hash_scheme == RGB_SCHEME
    pixels, bad = data.load_images()
    np.testing.assert_array_equal(pixels[:6], [noise(k) for k in range(6)])
    assert [b.position for b in bad] == [6]
    assert "no bytes" in bad[0].reason  # the path beside it is never followed
    assert opened(f"hf://{layout}", settings).fingerprint == data.fingerprint
    assert opened(data.reference, settings).fingerprint == data.fingerprint


def test_any_order_of_positions_reads_the_same(layout: Path, settings: Settings, monkeypatch) -> None:
    data = opened(layout, settings)
    monkeypatch.setattr("auditor.data.sources.CACHE_BYTES", 1)  # one row group at a time
    order = np.array([5, 0, 3, 1, 0])
    pixels, _ = data.load_images(order)
    np.testing.assert_array_equal(pixels, [noise(k) for k in order])
    back = pickle.loads(pickle.dumps(data.subset(order)))
    np.testing.assert_array_equal(back.load_images()[0], pixels)


def test_shuffled_positions_read_each_row_group_once(
    layout: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.data.sources.CACHE_BYTES", 1)
    data = opened(layout, settings, split="train")
    reads: list[int] = []
    real = pq.ParquetFile.read_row_group

    def counted(self: pq.ParquetFile, group: int, **options: object) -> pa.Table:
        reads.append(group)
        return real(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    data.subset(np.arange(5)).load_images(np.array([4, 0, 3, 1, 2]))
    assert reads == [0, 1, 0]  # two groups of the first file, one of the second


def test_split_reads_only_its_files(layout: Path, settings: Settings) -> None:
    (layout / "data" / "test-00000-of-00001.parquet").write_bytes(b"damaged")
    with pytest.raises(UnreadableError, match="test-00000"):
        opened(layout, settings, split="train")


def test_lossy_images_are_known_by_their_bytes(tmp_path: Path, settings: Settings) -> None:
    jpegs = [encode(noise(k), "JPEG") for k in range(4)]
    write_parquet(tmp_path / "j" / "train.parquet", jpegs, [0, 1, 0, 1], ["a", "b"])
    assert opened(tmp_path / "j", settings).hash_scheme == FILE_SCHEME


def test_unknown_column_suggests(layout: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="Did you mean 'label'"):
        opened(layout, settings, label="lable")


def test_a_mirror_below_a_data_folder_stands_in_for_the_hub(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "org").mkdir()
    layout.rename(tmp_path / "org" / "name")
    data = opened("hf://org/name?split=train", Settings(data_dirs=(tmp_path,), cache_dir=tmp_path / "c", offline=True))
    assert data.reference == "hf://org/name?split=train"
    assert len(data) == 5


def test_split_names() -> None:
    assert split_of(Path("train-00000-of-00002.parquet")) == "train"
    assert split_of(Path("test-00000-of-00001-0123abcd.parquet")) == "test"
    assert split_of(Path("valid.parquet")) == "valid"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("hub_cache")
def test_texts_through_the_datasets_package(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    for split, n in (("train", 6), ("test", 4)):
        rows = [{"review": f"words and words number {k}", "stars": "ab"[k % 2]} for k in range(n)]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_dataset(f"hf://{folder}?label=stars", settings)
    assert isinstance(data, TextDataset)
    assert len(data) == 10
    assert data.ids[9] == "test/3"
    assert data.item(1) == "words and words number 1"
    again = open_dataset(f"hf://{folder}?label=stars&split=test", settings)
    assert list(again.ids) == [f"test/{k}" for k in range(4)]


@pytest.mark.usefixtures("hub_cache")
def test_images_through_the_datasets_package_survive_pickling(layout: Path, settings: Settings) -> None:
    splits = hub.remote_splits(str(layout), {}, settings)
    assert {s.split: s.rows for s in splits} == {"train": 5, "test": 3}
    from auditor.data.build import build_dataset
    from auditor.data.columns import FileTable

    data = build_dataset(FileTable(splits), {}, "x", "x", "x")
    assert isinstance(data, ImageDataset)
    assert data.class_names == ("c", "a", "b")
    by_id = dict(zip(data.ids.tolist(), pickle.loads(pickle.dumps(data)).load_images()[0], strict=True))
    np.testing.assert_array_equal(by_id["train/4"], noise(4))


@pytest.mark.usefixtures("hub_cache")
def test_offline_and_not_cached(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(OfflineError, match="offline is set") as caught:
        open_dataset("hf://nobody/nothing", settings)
    assert caught.value.exit_code == 4
    assert "nobody/nothing/" in str(caught.value)
    assert datasets.config.HF_HUB_OFFLINE is False


@pytest.mark.parametrize("reference", ["hf://", "hf", "hf://a/b/c"])
def test_ids_that_cannot_be(reference: str, settings: Settings) -> None:
    with pytest.raises(UsageError):
        open_dataset(reference, settings)


def test_folder_that_does_not_exist(settings: Settings) -> None:
    with pytest.raises(UnreadableError, match="does not exist"):
        open_dataset("hf:///no/such/folder", settings)


def test_without_the_datasets_package(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"auditor\[hf\]"):
        open_dataset("hf://org/name", settings)
