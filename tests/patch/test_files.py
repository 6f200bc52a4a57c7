"""Reading patches that others wrote: the rules of the format, and hostile input."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.core.errors import DataError, EmptyDataError, UnreadableError
from auditor.patch.convert.base import Options
from auditor.patch.convert.table import Table
from auditor.patch.files import MAX_LINE, load_schema, read_patch, strict_json, write_patch
from auditor.patch.records import Patch, PatchHeader, PatchRecord, header_to_json, record_to_json

A, B, C = ("sha256:" + c * 64 for c in "abc")
CLASSES = ("cat", "dog", "<script>alert(1)</script>")
HEADER = PatchHeader("pets", "test", 10, A, "sha256-rgb-bytes", CLASSES, created="2026-01-01", tool="auditor 1")
RECORDS = (
    PatchRecord(
        A,
        "relabel",
        "cat",
        ("dog",),
        verdict="suggested",
        votes={"suggested": 3},
        n=3,
        posterior=0.98,
        index=4,
        path="../../etc/passwd",
        rank=1,
        note="größer",
    ),
    PatchRecord(B, "multi", "dog", ("dog", CLASSES[2]), verdict="both"),
    PatchRecord(C, "drop", CLASSES[2], reason="neither", verdict="neither"),
)
PATCH = Patch(HEADER, RECORDS)


def _write(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return path


@pytest.fixture
def name(tmp_path: Path) -> Path:
    """A file name that is fit for a patch."""
    return tmp_path / "x.labelpatch.jsonl"


@pytest.mark.parametrize("name", ["p.labelpatch.jsonl", "p.labelpatch.parquet", "p.csv"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_pipe_or_a_device_is_no_file_of_corrections(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / name)
    read = partial(Table().read, data=cast(Any, None), options=Options()) if name == "p.csv" else read_patch
    with pytest.raises(UnreadableError, match="not a regular file"):
        read(tmp_path / name)


def test_what_is_written_is_read_again(name: Path) -> None:
    write_patch(PATCH, name)
    assert read_patch(name) == PATCH
    first = name.read_bytes()
    write_patch(read_patch(name), name)
    assert name.read_bytes() == first


def test_the_example_of_the_specification_is_read(name: Path) -> None:
    header = header_to_json(HEADER) | {"run": A}
    votes = {"verdict": "suggested", "votes": {"suggested": 3}, "n": 3, "posterior": 0.98, "rank": 7, "note": None}
    example = {"id": A, "index": 2405, "path": None, "op": "relabel", "from": "cat", "to": "dog", **votes}
    patch = read_patch(
        _write(
            name,
            header,
            example,
            {"id": B, "op": "multi", "from": "dog", "to": ["dog", "cat"]},
            {"id": C, "op": "drop", "from": "dog", "reason": "neither"},
        )
    )
    assert [r.op for r in patch.records] == ["relabel", "multi", "drop"]


def _schema_accepts(value: Any) -> bool:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(load_schema()).is_valid(value)


def test_the_schema_is_a_schema_and_accepts_what_is_written() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(load_schema())
    for value in [header_to_json(HEADER), *map(record_to_json, RECORDS)]:
        jsonschema.Draft202012Validator(load_schema()).validate(value)


GOOD = {"id": A, "op": "relabel", "from": "cat", "to": "dog"}
#: Changes to a good record that both the reader and the schema refuse.
BAD_RECORDS = {
    "id is no hash": {"id": "2405"},
    "unknown operation": {"op": "delete"},
    "from is a number": {"from": 3},
    "to is a list": {"to": ["cat", "dog"]},
    "reason without drop": {"reason": "neither"},
    "negative index": {"index": -1},
    "index is text": {"index": "4"},
    "posterior above one": {"posterior": 1.5},
    "posterior is text": {"posterior": "0.9"},
    "votes are no counts": {"votes": {"given": -1}},
    "unknown verdict": {"verdict": "perhaps"},
    "drop with to": {"op": "drop", "reason": "neither"},
    "multi with one label": {"op": "multi", "to": ["cat"]},
    "multi with repeats": {"op": "multi", "to": ["cat", "cat"]},
    "path is a list": {"path": []},
}


@pytest.mark.parametrize("change", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_a_bad_record_is_refused_by_reader_and_schema(change: dict[str, Any], name: Path) -> None:
    record = {**GOOD, **change}
    with pytest.raises(DataError, match="line 2") as caught:
        read_patch(_write(name, header_to_json(HEADER), record))
    assert caught.value.exit_code == 3
    assert not _schema_accepts(record)
    assert _schema_accepts(GOOD)


BAD_HEADERS = {
    "unknown version": ({"labelpatch": "2"}, "version"),
    "version is a number": ({"labelpatch": 1}, "version"),
    "unknown hash scheme": ({"dataset": {**header_to_json(HEADER)["dataset"], "hash": "md5"}}, "hash scheme"),
    "one class": ({"dataset": {**header_to_json(HEADER)["dataset"], "classes": ["cat"]}}, "two or more"),
    "repeated class": ({"dataset": {**header_to_json(HEADER)["dataset"], "classes": ["a", "a"]}}, "twice"),
    "no column": ({"base_label_column": None}, "base_label_column"),
    "unknown licence": ({"license": "mine"}, "license"),
    "n is a truth value": ({"dataset": {**header_to_json(HEADER)["dataset"], "n": True}}, r"'dataset\.n'"),
    "no data set": ({"dataset": "cifar10"}, "dataset"),
}


@pytest.mark.parametrize(("change", "word"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_bad_header_is_refused_by_reader_and_schema(change: dict[str, Any], word: str, name: Path) -> None:
    header = {**header_to_json(HEADER), **change}
    with pytest.raises(DataError, match=word):
        read_patch(_write(name, header))
    assert not _schema_accepts(header)


def test_minor_versions_and_unknown_fields_are_read(name: Path) -> None:
    header = header_to_json(HEADER) | {"labelpatch": "1.3", "colour": "blue"}
    assert read_patch(_write(name, header, {**GOOD, "later": 1})).header.version == "1.3"


RULES = {
    "from outside the classes": [{**GOOD, "from": "cow"}],
    "to outside the classes": [{**GOOD, "to": "cow"}],
    "one of several outside": [{**GOOD, "op": "multi", "to": ["cat", "cow"]}],
    "nothing changes": [{**GOOD, "to": "cat"}],
    "two outcomes": [GOOD, {**GOOD, "to": CLASSES[2]}],
    "relabel and drop": [GOOD, {"id": A, "op": "drop", "from": "cat", "reason": "neither"}],
    "a chain": [GOOD, {**GOOD, "from": "dog", "to": CLASSES[2]}],
    "a swap": [GOOD, {**GOOD, "from": "dog", "to": "cat"}],
}


@pytest.mark.parametrize("records", RULES.values(), ids=RULES.keys())
def test_rules_between_records(records: list[dict[str, Any]], name: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_patch(_write(name, header_to_json(HEADER), *records))
    assert caught.value.exit_code == 3
    assert "sha256:" in caught.value.what
    assert caught.value.way_out or "'to' equals 'from'" in caught.value.what


def test_one_outcome_said_twice_is_read_once(name: Path) -> None:
    patch = read_patch(_write(name, header_to_json(HEADER), GOOD, {**GOOD, "note": "again"}))
    assert len(patch.records) == 1
    assert "twice" in patch.notes[0]


HOSTILE = {
    "empty": b"",
    "blank lines only": b"\n \n\n",
    "not JSON": b"label,patch\n1,2\n",
    "binary": bytes(range(256)),
    "half a line": json.dumps(header_to_json(HEADER)).encode()[:-5],
    "NaN": json.dumps(header_to_json(HEADER)).encode() + b'\n{"id":"' + A.encode() + b'","op":"relabel","from":"cat",'
    b'"to":"dog","posterior":NaN}\n',
    "infinity": json.dumps(header_to_json(HEADER)).encode() + b'\n{"id":"' + A.encode() + b'","op":"relabel",'
    b'"from":"cat","to":"dog","posterior":1e999}\n',
    "deep nesting": b"[" * 100_000,
    "huge number": b'{"labelpatch":' + b"9" * 10_000 + b"}",
    "latin-1": '{"labelpatch":"1","x":"é"}'.encode("latin-1"),
    "UTF-16": '{"labelpatch":"1"}'.encode("utf-16"),
    "key twice": b'{"labelpatch":"1","labelpatch":"1"}',
    "half a character": b'{"labelpatch":"1","x":"\\ud800"}',
    "a list": b"[1, 2]",
    "mark inside": json.dumps(header_to_json(HEADER)).encode() + b"\n\xef\xbb\xbf" + json.dumps(GOOD).encode(),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_in_one_sentence(raw: bytes, name: Path) -> None:
    name.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_patch(name)
    assert len(caught.value.what) < 500
    assert str(name) in caught.value.what


def test_a_huge_line_is_not_read_into_memory(name: Path) -> None:
    with open(name, "wb") as handle:
        handle.write(json.dumps(header_to_json(HEADER)).encode() + b"\n")
        for _ in range(6):
            handle.write(b"x" * (1 << 20))
    with pytest.raises(UnreadableError, match=f"line 2: the line is longer than {MAX_LINE >> 20} MiB"):
        read_patch(name)


def test_a_byte_order_mark_is_passed_over_with_a_note(name: Path) -> None:
    write_patch(PATCH, name)
    name.write_bytes(b"\xef\xbb\xbf" + name.read_bytes())
    patch = read_patch(name)
    assert patch.records == PATCH.records
    assert "byte order mark" in patch.notes[0]


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        read_patch(tmp_path / "no.labelpatch.jsonl")
    with pytest.raises(UnreadableError):
        read_patch(tmp_path)
    (tmp_path / "e.labelpatch.jsonl").touch()
    with pytest.raises(EmptyDataError):
        read_patch(tmp_path / "e.labelpatch.jsonl")


def test_writing_checks_too(name: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="classes"):
        write_patch(Patch(HEADER, (replace(RECORDS[0], to=("cow",)),)), name)
    assert not name.exists()
    with pytest.raises(DataError, match=r"labelpatch\.jsonl"):
        write_patch(PATCH, tmp_path / "x.json")


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_reader_down(raw: bytes) -> None:
    # Whatever else it raises fails the test.
    with contextlib.suppress(DataError):
        json.dumps(strict_json(raw, "x"), allow_nan=False)
