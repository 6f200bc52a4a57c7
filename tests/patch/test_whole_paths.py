"""A path names the item it names as a whole, in every format; never one whose path ends alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.patch.convert.base import Options, convert
from auditor.patch.records import Patch
from tests.patch.conftest import png


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """The same six names in ``train`` and ``test``."""
    for k, (split, label, number) in enumerate(
        (s, c, n) for s in ("train", "test") for c in ("cat", "dog") for n in range(3)
    ):
        path = tmp_path / "pets" / split / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(k))
    return tmp_path / "pets"


def csv(path: str) -> str:
    return f"path,to\n{path},dog\n"


def fiftyone(path: str) -> str:
    return json.dumps({"classes": ["cat", "dog"], "labels": {path.removesuffix(".png"): 1}})


def label_studio(path: str) -> str:
    address = path if "://" in path or path.startswith("/data/upload/") else f"/data/local-files/?d={path}"
    result = {"from_name": "c", "to_name": "image", "type": "choices", "value": {"choices": ["dog"]}}
    return json.dumps([{"id": 1, "data": {"image": address}, "annotations": [{"id": 1, "result": [result]}]}])


FORMATS: dict[str, Callable[[str], str]] = {"csv": csv, "fiftyone": fiftyone, "label-studio": label_studio}


def read(form: str, path: str, reference: str, settings: Settings, folder: Path, **options: Any) -> Patch:
    source, out = folder / "corrections", folder / "out.labelpatch.jsonl"
    source.write_text(FORMATS[form](path))
    return convert(source, out, settings, read_as=form, reference=reference, options=Options(**options)).patch


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("train/cat/0.png", "?split=test"),  # of the other split
        ("train/cat/0.png", "/test"),  # of another folder beside the data
        ("birds/x/0.png", "?split=test"),
        ("cat/0.png", "?split=test"),  # of either
        ("0.png", "/test/cat/.."),
        ("/elsewhere/test/cat/0.png", "?split=test"),
        ("xtest/cat/0.png", "?split=test"),
    ],
)
def test_an_item_whose_path_only_ends_alike_is_not_taken(
    form: str, path: str, below: str, pets: Path, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"not in|none of its"):
        read(form, path, f"{pets}{below}", settings, tmp_path)
    assert not (tmp_path / "out.labelpatch.jsonl").exists()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("path", "below", "strip"),
    [
        ("test/cat/0.png", "?split=test", ""),
        ("test\\cat\\0.png", "?split=test", ""),
        ("pets/test/cat/0.png", "?split=test", ""),  # with the folders the data lies in
        ("test/cat/0.png", "/test", ""),
        ("{pets}/test/cat/0.png", "/test", ""),
        ("export/v2/test/cat/0.png", "?split=test", "export/v2/"),
    ],
)
def test_a_whole_path_is_taken(
    form: str, path: str, below: str, strip: str, pets: Path, settings: Settings, tmp_path: Path
) -> None:
    patch = read(form, path.format(pets=pets), f"{pets}{below}", settings, tmp_path, strip=strip)
    (record,) = patch.records
    assert (record.path or "").endswith("cat/0.png")
    assert record.from_label == "cat"


def test_an_upload_has_lost_its_folders_and_must_be_the_only_one_of_its_name(
    pets: Path, settings: Settings, tmp_path: Path
) -> None:
    (pets / "test" / "cat" / "only.png").write_bytes(png(99))
    upload = "/data/upload/1/1a2b3c4d-{}"
    (record,) = read("label-studio", upload.format("only.png"), f"{pets}?split=test", settings, tmp_path).records
    assert record.path == "test/cat/only.png"
    for reference in (f"{pets}?split=test", str(pets / "test")):
        with pytest.raises(DataError, match="is the name of"):
            read("label-studio", upload.format("0.png"), reference, settings, tmp_path)
    with pytest.raises(DataError, match="not in"):
        read("label-studio", upload.format("only.png"), f"{pets}?split=train", settings, tmp_path)


@pytest.mark.parametrize(
    "columns",
    [
        {"id": [f"train/{c}/{n}.png" for c in ("cat", "dog") for n in range(3)]},
        {"id": ["test/cat/0.png", *(f"other/{k}" for k in range(5))]},
        {"given_label": ["dog"] * 3 + ["cat"] * 3},
        {"label": ["dog"] * 3 + ["cat"] * 3},
    ],
)
def test_a_column_of_other_rows_is_not_taken_by_its_order(
    columns: dict[str, list[str]], pets: Path, settings: Settings, tmp_path: Path
) -> None:
    pq.write_table(pa.table({**columns, "corrected_label": ["dog"] * 6}), tmp_path / "fixed.parquet")
    out = tmp_path / "out.labelpatch.jsonl"
    with pytest.raises(DataError, match=r"not in the data|the data has"):
        convert(tmp_path / "fixed.parquet", out, settings, read_as="column", reference=f"{pets}?split=test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("JSON-MIN", [{"id": 1, "image": "test/cat/0.png", "choice": "dog", "annotation_id": 1}], "JSON-MIN"),
        ("tasks alone", [{"id": 1, "data": {"image": "test/cat/0.png"}}], "without annotations"),
        *((kind, kind, f"no Choices, only {kind}") for kind in ("taxonomy", "labels", "rectanglelabels")),
    ],
)
def test_an_export_without_a_class_says_what_it_is(
    name: str, content: Any, message: str, pets: Path, settings: Settings, tmp_path: Path
) -> None:
    text = json.dumps(content) if isinstance(content, list) else label_studio("test/cat/0.png").replace("choices", name)
    (tmp_path / "ls.json").write_text(text)
    with pytest.raises(DataError, match=message):
        convert(
            tmp_path / "ls.json",
            tmp_path / "o.labelpatch.jsonl",
            settings,
            read_as="label-studio",
            reference=str(pets / "test"),
        )


@pytest.mark.parametrize("target", [None, [], {"classifications": []}, {"label": None}])
def test_a_sample_without_a_label_says_nothing(target: Any, pets: Path, settings: Settings, tmp_path: Path) -> None:
    labels = {"cat/0": target, "cat/1": {"classifications": [{"label": "dog"}]}}
    (tmp_path / "f.json").write_text(json.dumps({"classes": None, "labels": labels}))
    out = tmp_path / "o.labelpatch.jsonl"
    done = convert(tmp_path / "f.json", out, settings, read_as="fiftyone", reference=str(pets / "test"))
    assert [(r.op, r.path) for r in done.patch.records] == [("relabel", "cat/1.png")]
    assert "1 unlabelled samples were passed over" in done.notes


def test_no_label_and_no_reason_is_no_drop(pets: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("path,op,to\ncat/0.png,multi,[]\n")
    with pytest.raises(DataError, match="no reason to be dropped"):
        convert(
            tmp_path / "x.csv", tmp_path / "o.labelpatch.jsonl", settings, read_as="csv", reference=str(pets / "test")
        )
