"""Every other format: written and read again, and read as its own documentation shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.patch.convert.base import FORMATS, Options, convert
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch, PatchRecord
from tests.patch.conftest import Source, header_for, patch_for, record_for

Make = Callable[[str], Source]
SUFFIXES = {
    "published": "json",
    "real": "json",
    "csv": "csv",
    "label-studio": "json",
    "argilla": "json",
    "cvat": "xml",
    "coco": "json",
    "fiftyone": "json",
    "column": "parquet",
}


def _said(records: tuple[PatchRecord, ...]) -> set[Any]:
    return {(r.id, r.from_label, r.outcome, r.reason) for r in records}


def _voted(patch: Patch) -> Patch:
    """The same patch, each record with five votes of which four agree."""
    from dataclasses import replace

    words = {"relabel": "suggested", "multi": "both", "drop": "neither"}
    voted = tuple(replace(r, verdict=words[r.op], votes={words[r.op]: 4, "given": 1}, n=5) for r in patch.records)
    return Patch(patch.header, voted)


@pytest.mark.parametrize("name", FORMATS.names())
@pytest.mark.parametrize("form", ["folder", "hub-one", "csv"])
def test_written_and_read_again(name: str, form: str, make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("parquet" if form == "hub-one" else form)
    data = open_dataset(source.reference, settings)
    patch = _voted(patch_for(data))
    write_patch(patch, tmp_path / "a.labelpatch.jsonl")
    middle = tmp_path / f"x.{SUFFIXES[name]}"
    convert(tmp_path / "a.labelpatch.jsonl", middle, settings, write_as=name, reference=source.reference)
    done = convert(middle, tmp_path / "b.labelpatch.jsonl", settings, read_as=name, reference=source.reference)
    again = read_patch(tmp_path / "b.labelpatch.jsonl")
    assert again == done.patch
    assert _said(again.records) == _said(patch.records)
    assert (again.header.fingerprint, again.header.classes) == (patch.header.fingerprint, patch.header.classes)
    if name in ("published", "csv"):
        assert {r.id: r.votes for r in again.records} == {r.id: dict(r.votes or {}) for r in patch.records}


def test_csv_keeps_every_field(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    more = {
        "verdict": "other:dog",
        "votes": {"other:dog": 3},
        "n": 3,
        "posterior": 0.1 + 0.2,
        "rank": 7,
        "note": 'a "b",\nc',
    }
    record = record_for(data, 4, "relabel", "cat", path=str(data.ids[4]), **{**more, "verdict": "other:cat"})
    write_patch(Patch(header_for(data), (record,)), tmp_path / "a.labelpatch.jsonl")
    convert(tmp_path / "a.labelpatch.jsonl", tmp_path / "x.csv", settings, write_as="csv")
    done = convert(
        tmp_path / "x.csv", tmp_path / "b.labelpatch.jsonl", settings, read_as="csv", reference=source.reference
    )
    assert done.patch.records == (record,)


@pytest.mark.parametrize(
    "text",
    ["id,to\n{id},cat\n", "path,label,corrected_label\n{id},{given},cat\n", "\ufeffindex,new_label\r\n4,cat\r\n"],
)
def test_csv_of_others(text: str, make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    given = data.class_names[data.labels[4]]
    (tmp_path / "x.csv").write_text(text.format(id=data.ids[4], given=given), newline="")
    done = convert(
        tmp_path / "x.csv", tmp_path / "b.labelpatch.jsonl", settings, read_as="csv", reference=source.reference
    )
    assert [(r.from_label, r.to) for r in done.patch.records] == [(given, ("cat",))]


def _published_sample(data: Dataset) -> list[dict[str, Any]]:
    """Items as in the published cifar10 file."""
    votes_of = {0: (3, 0, 0, 2), 4: (1, 4, 0, 0), 2: (0, 1, 0, 4), 5: (0, 1, 4, 0), 1: (2, 2, 1, 0)}
    answers = ("given", "guessed", "neither", "both")
    rows = [(dict(zip(answers, votes, strict=True)), row) for row, votes in votes_of.items()]
    items = []
    for votes, row in rows:
        given = int(data.labels[row])
        guess = (given + 1) % 3
        items.append(
            {
                "id": row,
                "url": f"https://example.org/{row}.png",
                "given_original_label": given,
                "given_original_label_name": data.class_names[given],
                "our_guessed_label": guess,
                "our_guessed_label_name": data.class_names[guess],
                "mturk": votes,
            }
        )
    return items


def test_published_verdicts_by_the_published_rule(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("parquet")
    data = open_dataset(source.reference, settings)
    items = _published_sample(data)
    (tmp_path / "m.json").write_text(json.dumps(items))
    done = convert(
        tmp_path / "m.json", tmp_path / "b.labelpatch.jsonl", settings, read_as="published", reference=source.reference
    )
    assert {r.index: (r.op, r.verdict) for r in done.patch.records} == {
        4: ("relabel", "suggested"),
        2: ("multi", "both"),
        5: ("drop", "neither"),
    }
    assert any("without 3 equal votes" in note for note in done.notes)
    strict = convert(
        tmp_path / "m.json",
        tmp_path / "c.labelpatch.jsonl",
        settings,
        read_as="published",
        reference=source.reference,
        options=Options(k=5),
    )
    assert not strict.patch.records
    # A raw number that is not the row of this data fails the check of every label.
    items[0]["given_original_label"], items[0]["given_original_label_name"] = 2, "horse"
    (tmp_path / "m.json").write_text(json.dumps(items))
    with pytest.raises(DataError, match="1 of 5 verdicts do not fit"):
        convert(
            tmp_path / "m.json",
            tmp_path / "d.labelpatch.jsonl",
            settings,
            read_as="published",
            reference=source.reference,
        )


def test_real_goes_by_the_file_number_where_there_is_one(settings: Settings, tmp_path: Path) -> None:
    from tests.patch.conftest import png

    for number, label in ((3, "cat"), (1, "cat"), (2, "dog"), (4, "dog")):
        path = tmp_path / "val" / label / f"ILSVRC2012_val_{number:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    (tmp_path / "real.json").write_text("[[0], [0], [], [1, 0]]")
    done = convert(
        tmp_path / "real.json",
        tmp_path / "b.labelpatch.jsonl",
        settings,
        read_as="real",
        reference=str(tmp_path / "val"),
    )
    said = {Path(r.path or "").name[15:23]: (r.op, r.to) for r in done.patch.records}
    assert said == {"00000002": ("relabel", ("cat",)), "00000003": ("drop", ()), "00000004": ("multi", ("dog", "cat"))}


def test_label_studio_as_exported(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)

    def annotation(*choices: str, cancelled: bool = False, who: int = 1) -> dict[str, Any]:
        result = [
            {
                "id": "x",
                "from_name": "choice",
                "to_name": "image",
                "type": "choices",
                "origin": "manual",
                "value": {"choices": list(choices)},
            }
        ]
        return {"id": 11, "completed_by": who, "result": result, "was_cancelled": cancelled, "lead_time": 4.2}

    tasks = [
        {
            "id": 1,
            "data": {"image": f"/data/local-files/?d={source.root.name}/{data.ids[4]}"},
            "predictions": [],
            "annotations": [annotation("cat"), annotation("cat", who=2), annotation("horse", who=3)],
        },
        {"id": 2, "data": {"image": "/data/upload/3/1a2b3c4d-6.png"}, "annotations": [annotation("cat", "horse")]},
        {"id": 3, "data": {"image": f"s3://bucket/{data.ids[5]}"}, "annotations": [annotation("cat", cancelled=True)]},
        {
            "id": 4,
            "data": {"image": f"s3://bucket/{data.ids[3]}"},
            "annotations": [annotation("cat"), annotation("horse", who=2)],
        },
    ]
    (tmp_path / "ls.json").write_text(json.dumps(tasks))
    done = convert(
        tmp_path / "ls.json",
        tmp_path / "b.labelpatch.jsonl",
        settings,
        read_as="label-studio",
        reference=source.reference,
    )
    four = next(r for r in done.patch.records if r.path == data.ids[4])
    assert (four.to, four.n, sum((four.votes or {}).values())) == (("cat",), 3, 3)
    assert any(r.op == "multi" and r.to == ("cat", "horse") for r in done.patch.records)
    assert len(done.patch.records) == 2
    assert len([n for n in done.notes if "left out" in n]) == 2
    tasks[0]["annotations"][0]["result"].append(
        {"type": "choices", "from_name": "other", "value": {"choices": ["cat"]}}
    )
    (tmp_path / "ls.json").write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="several Choices controls"):
        convert(
            tmp_path / "ls.json",
            tmp_path / "c.labelpatch.jsonl",
            settings,
            read_as="label-studio",
            reference=source.reference,
        )


def test_label_studio_finds_texts_by_their_content(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    result = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["dog"]}}
    task = {"id": 1, "data": {"text": data.item(4)}, "annotations": [{"result": [result]}]}
    (tmp_path / "ls.json").write_text(json.dumps([task]))
    done = convert(
        tmp_path / "ls.json",
        tmp_path / "b.labelpatch.jsonl",
        settings,
        read_as="label-studio",
        reference=source.reference,
    )
    assert [r.index for r in done.patch.records] == [4]


@pytest.mark.parametrize("named", [True, False], ids=["names", "numbers in another order"])
def test_fiftyone_as_exported(named: bool, make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder-splits")
    data = open_dataset(source.reference + "?split=train", settings)
    classes = ["horse", "dog", "cat"]
    labels: dict[str, Any] = {}
    for k, path in enumerate(data.ids):
        name = data.class_names[data.labels[k]]
        target: Any = name if named else classes.index(name)
        labels[str(path).rsplit(".", 1)[0]] = target
    first, second = list(labels)[:2]
    labels[first] = {"label": "dog" if named else 1, "confidence": 0.9}
    labels[second] = None
    labels["elsewhere/9"] = "dog" if named else 1
    (tmp_path / "labels.json").write_text(json.dumps({"classes": None if named else classes, "labels": labels}))
    done = convert(
        tmp_path / "labels.json",
        tmp_path / "b.labelpatch.jsonl",
        settings,
        read_as="fiftyone",
        reference=source.reference + "?split=train",
    )
    assert [r.to for r in done.patch.records] == [("dog",)]
    assert done.patch.header.split == "train"
    assert len(done.notes) == 2


def test_a_column_of_the_hub(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("hub")
    data = open_dataset(source.reference + "?split=train", settings)
    corrected = data.labels.copy()
    corrected[4] = 0
    features = {"fixed": {"names": list(data.class_names), "_type": "ClassLabel"}}
    table = pa.table({"fixed": corrected}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    (tmp_path / "fixed").mkdir()
    pq.write_table(table, tmp_path / "fixed" / "train-00000-of-00001.parquet")
    done = convert(
        tmp_path / "fixed",
        tmp_path / "b.labelpatch.jsonl",
        settings,
        read_as="column",
        reference=source.reference + "?split=train",
        options=Options(column="fixed"),
    )
    assert [(r.index, r.to) for r in done.patch.records] == [(4, ("cat",))]
    with pytest.raises(UsageError, match="--column"):
        convert(
            tmp_path / "fixed",
            tmp_path / "c.labelpatch.jsonl",
            settings,
            read_as="column",
            reference=source.reference + "?split=train",
        )
    pq.write_table(table.slice(1), tmp_path / "fixed" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match="4 rows, the data 5"):
        convert(
            tmp_path / "fixed",
            tmp_path / "c.labelpatch.jsonl",
            settings,
            read_as="column",
            reference=source.reference + "?split=train",
            options=Options(column="fixed"),
        )


def test_copies_that_a_source_labels_differently_are_left_out(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("parquet")
    data = open_dataset(source.reference, settings)
    lists = [[int(k)] for k in data.labels]
    lists[0] = [2]  # item 6 is a copy of item 0 and keeps its label
    lists[4] = [0]
    (tmp_path / "real.json").write_text(json.dumps(lists))
    done = convert(
        tmp_path / "real.json", tmp_path / "b.labelpatch.jsonl", settings, read_as="real", reference=source.reference
    )
    assert [r.index for r in done.patch.records] == [4]
    assert "1 items were left out" in done.notes[0]


BAD = {
    "published": ["{}", "[]", "[1]", '[{"id": 1, "mturk": {"a": 1}}]', '[{"id": 1, "mturk": {"given": -1}}]'],
    "real": ["{}", "[1]", "[[0]]", '[["cow"],[],[],[],[],[],[],[]]', "[[99],[],[],[],[],[],[],[]]"],
    "csv": [
        "a,b\n1,2\n",
        "index,to\n99,cat\n",
        "index,to\nx,cat\n",
        "index,to\n1,cow\n",
        "index,op,to\n1,erase,cat\n",
        "index,op,to\n1,multi,cat\n",
    ],
    "label-studio": [
        "{}",
        "[1]",
        '[{"annotations": 3}]',
        '[{"annotations": [{"result": [{"type": "choices", "from_name": "c", "value": 3}]}]}]',
    ],
    "fiftyone": [
        "[]",
        '{"labels": []}',
        '{"classes": 3, "labels": {}}',
        '{"classes": ["a"], "labels": {"0": 4}}',
        '{"labels": {"nowhere/x": "cat"}}',
    ],
    "column": ["not parquet"],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BAD.items() for t in texts])
def test_what_is_not_of_the_format_is_refused(
    name: str, text: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    source = make("parquet")
    path = tmp_path / f"x.{SUFFIXES[name]}"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "b.labelpatch.jsonl", settings, read_as=name, reference=source.reference)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "b.labelpatch.jsonl").exists()


def test_what_is_missing_is_named(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("hub")
    data = open_dataset(source.reference, settings)
    write_patch(patch_for(data), tmp_path / "a.labelpatch.jsonl")
    with pytest.raises(UsageError, match="--to"):
        convert(tmp_path / "a.labelpatch.jsonl", tmp_path / "x.json", settings)
    with pytest.raises(UsageError, match="needs the data"):
        convert(tmp_path / "a.labelpatch.jsonl", tmp_path / "x.json", settings, write_as="real")
    with pytest.raises(UsageError, match="has the splits train, test"):
        convert(
            tmp_path / "a.labelpatch.jsonl", tmp_path / "x.json", settings, write_as="real", reference=source.reference
        )
    assert np.unique(data.items.splits).tolist() == ["test", "train"]
