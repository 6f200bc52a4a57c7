"""Hub layout: parquet folders read in place, other folders through `datasets`, and what happens offline."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import (
    LabelError,
    MemoryGuardError,
    MissingExtraError,
    OfflineError,
    UnreadableError,
    UsageError,
)
from auditor.data import hub
from auditor.data.columns import split_of
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.data.sources import read_parquet
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
    assert "no bytes" in bad[0].reason
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
    real = pq.ParquetFile.read_row_groups

    def counted(self: pq.ParquetFile, groups: list[int], **options: object) -> pa.Table:
        reads.extend(groups)
        return real(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
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


def test_images_named_by_a_path_are_followed_inside_the_folder_only(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "pictures").mkdir(parents=True)
    for k, place in enumerate([folder / "pictures/0.png", folder / "pictures/1.png", tmp_path / "secret.png"]):
        place.write_bytes(encode(noise(k)))
    (folder / "pictures/link.png").symlink_to(tmp_path / "secret.png")
    named = ["pictures/0.png", str(folder / "pictures/1.png"), "../secret.png", "pictures/link.png", "gone.png", ""]
    images = [{"bytes": None, "path": path} for path in named]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, kind), "label": list("ababab")}), folder / "train.parquet")
    data = opened(folder, settings)
    pixels, bad = pickle.loads(pickle.dumps(data)).load_images()
    assert {b.position: b.reason.partition(" '")[0] for b in bad} == {
        2: "it leads out of the folder",
        3: "it leads out of the folder",
        4: "the file does not exist",
        5: "no bytes are stored for this item",
    }
    np.testing.assert_array_equal(pixels[:2], [noise(0), noise(1)])
    assert [b.position for b in opened(folder, settings, root=str(tmp_path)).load_images()[1]] == [0, 2, 3, 4, 5]


@pytest.mark.usefixtures("hub_cache")
def test_an_image_folder_through_the_datasets_package(settings: Settings, make_folder: Callable[..., Path]) -> None:
    root = make_folder(
        {f"{s}/{c}/{k}.png": noise(k) for s in ("train", "test") for c in ("cat", "dog") for k in range(2)}
    )
    data = opened(f"hf://{root}", settings)
    assert data.class_names == ("cat", "dog")
    pixels, bad = data.load_images()
    assert not bad
    np.testing.assert_array_equal(pixels[:2], [noise(0), noise(1)])


TEXTS = [f"a sentence of some length, number {k}" for k in range(6)]


def write_shard(
    path: Path, labels: pa.Array | None, names: list[str] | None = None, texts: pa.Array | None = None
) -> None:
    columns = {"text": pa.array(TEXTS) if texts is None else texts}
    table = pa.table(columns if labels is None else {**columns, "label": labels})
    if names is not None:
        described = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)


NUMBERS = pa.array([0, 1, 0, 1, 0, 1])
WORDS = pa.array(["ant", "bee"] * 3)


@pytest.mark.parametrize(
    ("labels", "names", "right"),
    [
        (pa.array([1, 0] * 3), ["bee", "ant"], ["ant", "bee"] * 3),
        (pa.array([0, 2] * 3, pa.int8()), ["bee", "ant", "cow"], ["bee", "cow"] * 3),
        (pa.array([0, 1] * 3), ["bee", "cow"], ["bee", "cow"] * 3),
        (pa.array(["bee", "ant"] * 3), None, ["bee", "ant"] * 3),
        (NUMBERS, None, ["ant", "bee"] * 3),
    ],
    ids=["another order", "one more, narrower", "one less", "texts", "no names"],
)
@pytest.mark.parametrize("file", ["test-00000-of-00001.parquet", "train-00001-of-00002.parquet"])
def test_every_file_is_read_by_its_own_class_names(
    labels: pa.Array, names: list[str] | None, right: list[str], file: str, settings: Settings, tmp_path: Path
) -> None:
    write_shard(tmp_path / "d/train-00000-of-00002.parquet", NUMBERS, ["ant", "bee"])
    write_shard(tmp_path / "d" / file, labels, names)
    data = open_dataset(tmp_path / "d", settings)
    given = [data.class_names[k] for k in data.labels]
    assert given == ["ant", "bee"] * 3 + right
    assert any("has no class names" in note and file in note for note in data.notes) == (
        names is None and labels is NUMBERS
    )


@pytest.mark.parametrize(
    ("first", "second", "texts"),
    [
        (NUMBERS, NUMBERS.cast(pa.int32()), None),
        (NUMBERS, NUMBERS.cast(pa.float64()), None),
        (WORDS, WORDS.cast(pa.large_string()), pa.array(TEXTS, pa.large_string())),
        (WORDS, WORDS.cast(pa.string_view()), pa.array(TEXTS, pa.string_view())),
        (WORDS, WORDS.dictionary_encode(), pa.array(TEXTS).dictionary_encode()),
        (WORDS.dictionary_encode(), WORDS, None),
    ],
    ids=["int32", "float64", "large_string", "string_view", "dictionary", "dictionary first"],
)
def test_shards_of_other_types_are_reconciled(
    first: pa.Array, second: pa.Array, texts: pa.Array | None, settings: Settings, tmp_path: Path
) -> None:
    write_shard(tmp_path / "d/train-00000-of-00002.parquet", first)
    write_shard(tmp_path / "d/train-00001-of-00002.parquet", second, texts=texts)
    data = open_dataset(tmp_path / "d", settings, text="text")
    assert isinstance(data, TextDataset)
    assert data.labels.tolist() == [0, 1] * 6
    assert data.texts == TEXTS * 2


@pytest.mark.parametrize("labels", [pa.nulls(6), None])
@pytest.mark.parametrize("first", ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"])
def test_shards_without_labels_are_skipped_and_said(
    labels: pa.Array | None, first: str, settings: Settings, tmp_path: Path
) -> None:
    second = {"train-00000-of-00002.parquet", "train-00001-of-00002.parquet"} - {first}
    write_shard(tmp_path / "d" / first, labels)
    write_shard(tmp_path / "d" / second.pop(), WORDS)
    data = open_dataset(tmp_path / "d", settings)
    assert len(data) == 6
    assert any("6 rows without a label" in note for note in data.notes)
    assert any(f"column 'label' is not there: its 6 rows are empty (in {first})" in n for n in data.notes) == (
        labels is None
    )


def test_labels_of_types_that_do_not_go_together_name_the_files(settings: Settings, tmp_path: Path) -> None:
    write_shard(tmp_path / "d/test.parquet", WORDS)
    write_shard(tmp_path / "d/train.parquet", NUMBERS)
    with pytest.raises(LabelError, match=r"int64 in train.parquet, string in test.parquet"):
        open_dataset(tmp_path / "d", settings)
    write_shard(tmp_path / "d/train.parquet", NUMBERS, ["cow", "dog"])
    with pytest.raises(LabelError, match=r"test.parquet': 'ant' is none of the classes"):
        open_dataset(tmp_path / "d", settings)


def packed_texts(path: Path, nested: bool) -> None:
    """A file of some kilobytes that holds 7,000 texts of a hundred thousand letters."""
    index = pa.array(np.zeros(7000, np.int32))
    texts: pa.Array = pa.DictionaryArray.from_arrays(index, pa.array([b"a" * 100_000]))
    if nested:
        texts = pa.StructArray.from_arrays([texts], ["bytes"])
    table = pa.table({"image": texts, "label": pa.array([0, 1] * 3500)})
    pq.write_table(table, path, store_schema=False)


@pytest.mark.parametrize("kind", ["texts", "images", "integers", "compressed"])
def test_parquet_that_unpacks_to_far_more_is_refused_before_it_does(
    kind: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    if kind in ("texts", "images"):
        packed_texts(path, kind == "images")
    else:
        n = 10_000_000 if kind == "integers" else 1
        value = pa.array(np.zeros(n, np.int64)) if kind == "integers" else pa.array(["a" * 100_000_000])
        pq.write_table(pa.table({"label": value}), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    monkeypatch.setenv("AUDITOR_MAX_FILE_MB", "50")
    before = pa.total_allocated_bytes()
    with pytest.raises(MemoryGuardError, match="max_file_mb"):
        read_parquet(str(path))
    assert pa.total_allocated_bytes() - before < 1 << 20
    monkeypatch.setenv("AUDITOR_MAX_FILE_MB", "4000")
    if kind in ("integers", "compressed"):
        assert read_parquet(str(path)).num_rows


def test_texts_with_dictionaries_are_read_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.data.sources._HARMLESS", 0)
    texts = pa.array([None, *["some", "words"] * 50, *(f"text {k}" for k in range(900))])
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": b"x" * (k % 7), "path": None} if k % 3 else None for k in range(1001)], kind)
    plain = pa.table({"t": texts, "d": texts.dictionary_encode(), "n": pa.array(range(1001))})
    for table in (plain, plain.append_column("image", images)):
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=100)
        assert read_parquet(str(tmp_path / "t.parquet")).equals(table)
        assert read_parquet(str(tmp_path / "t.parquet"), ["t"], 2).column("t").to_pylist() == texts[200:300].to_pylist()


def test_data_files_that_are_links_stay_inside_the_folder(layout: Path, settings: Settings, tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--org--name/snapshots/1f"
    blobs = tmp_path / "datasets--org--name/blobs"
    for folder in (snapshot, blobs, tmp_path / "linked"):
        folder.mkdir(parents=True)
    (layout / "data/test-00000-of-00001.parquet").rename(blobs / "ab")
    (snapshot / "test.parquet").symlink_to("../../blobs/ab")  # as the Hub's client keeps what it fetched
    assert len(opened(snapshot, settings)) == 2
    (tmp_path / "linked/test.parquet").symlink_to(blobs / "ab")
    with pytest.raises(UnreadableError, match="leads out of"):
        opened(tmp_path / "linked", settings)
    assert len(opened(tmp_path / "linked", settings, root=str(tmp_path))) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.jsonl", "null\n{}\n"),
        ("train.jsonl", "{}\n\n  null\n"),
        ("train.json", "\n null\n{}\n"),
        ("train.jsonl.gz", "null {}\n"),
    ],
)
def test_a_row_that_is_null_ends_no_process(name: str, text: str, tmp_path: Path) -> None:
    """Arrow's reader of JSON does not survive it."""
    row = json.dumps({"text": "a", "label": "cat"})
    content = text.replace("{}", row).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UnreadableError, match=r"line \d of .* is null"):
        open_dataset(f"hf://{tmp_path}")


def test_null_inside_a_row_is_a_value(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "cat"}, {"text": None, "label": "dog"}, {"text": "c", "label": "dog"}]
    (tmp_path / "train.json").write_text(json.dumps(rows, indent=1))
    assert len(open_dataset(f"hf://{tmp_path}")) >= 2
