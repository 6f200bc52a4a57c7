"""The parquet twin of a patch: the same patch, the same refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import AuditorError, DataError, UnreadableError
from auditor.patch.convert.base import convert
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch, header_to_json
from tests.patch.test_files import CLASSES, HEADER, PATCH, A


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    return tmp_path / "x.labelpatch.parquet"


def test_both_forms_hold_the_same_patch_and_turn_into_each_other(twin: Path, tmp_path: Path) -> None:
    text, back = tmp_path / "x.labelpatch.jsonl", tmp_path / "y.labelpatch.jsonl"
    write_patch(PATCH, text)
    settings = Settings(cache_dir=tmp_path / "cache", offline=True)
    assert convert(text, twin, settings).target == "patch"
    assert read_patch(twin) == PATCH
    assert read_patch(twin).digest == PATCH.digest
    convert(twin, back, settings)
    assert back.read_bytes() == text.read_bytes()
    first = twin.read_bytes()
    write_patch(PATCH, twin)
    assert twin.read_bytes() == first


def test_a_patch_without_records_is_one(twin: Path) -> None:
    write_patch(Patch(HEADER, ()), twin)
    assert read_patch(twin) == Patch(HEADER, ())


def test_other_tools_read_it_as_a_table(twin: Path) -> None:
    write_patch(PATCH, twin)
    frame = pq.read_table(twin).to_pandas()
    assert list(frame["op"]) == ["relabel", "multi", "drop"]
    assert [list(names) for names in frame["to"]] == [["dog"], ["dog", "<script>alert(1)</script>"], []]


def _table(path: Path, header: Any, **columns: list[Any]) -> Path:
    about = {} if header is None else {"labelpatch": header if isinstance(header, bytes) else json.dumps(header)}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), path)
    return path


GOOD = {"id": [A], "op": ["relabel"], "from": ["cat"], "to": [["dog"]]}
BAD: dict[str, tuple[Any, dict[str, list[Any]], str]] = {
    "no header": (None, GOOD, "no header"),
    "header no JSON": (b"{", GOOD, "not JSON"),
    "header no object": (b"[]", GOOD, "no header"),
    "another version": (header_to_json(replace(HEADER, version="2")), GOOD, "unknown"),
    "no ids": (header_to_json(HEADER), {k: v for k, v in GOOD.items() if k != "id"}, "no column 'id'"),
    "short id": (header_to_json(HEADER), GOOD | {"id": ["sha256:ab"]}, "row 1"),
    "binary id": (header_to_json(HEADER), GOOD | {"id": [A.encode()]}, "string"),
    "numbers for names": (header_to_json(HEADER), GOOD | {"to": [[1]]}, "string"),
    "two names": (header_to_json(HEADER), GOOD | {"to": [["dog", "cat"]]}, "string"),
    "drop with a name": (header_to_json(HEADER), GOOD | {"op": ["drop"], "reason": ["neither"]}, "no 'to'"),
    "votes below zero": (header_to_json(HEADER), GOOD | {"votes": [[{"key": "given", "value": -1}]]}, "votes"),
    "posterior": (header_to_json(HEADER), GOOD | {"posterior": [float("nan")]}, "posterior"),
    "unknown class": (header_to_json(HEADER), GOOD | {"to": [["horse"]]}, "not one of"),
    "two outcomes": (
        header_to_json(HEADER),
        {"id": [A, A], "op": ["relabel"] * 2, "from": ["cat"] * 2, "to": [["dog"], [CLASSES[2]]]},
        "two outcomes",
    ),
}


@pytest.mark.parametrize(("header", "columns", "word"), BAD.values(), ids=BAD.keys())
def test_bad_tables_are_refused(header: Any, columns: dict[str, list[Any]], word: str, twin: Path) -> None:
    _table(twin, header, **columns)
    with pytest.raises(AuditorError, match=word):
        read_patch(twin)


def test_further_columns_are_passed_over(twin: Path) -> None:
    _table(twin, header_to_json(HEADER), **GOOD, more=[{"a": [1]}])
    assert [r.to for r in read_patch(twin).records] == [("dog",)]


def test_what_is_no_parquet_file(twin: Path, tmp_path: Path) -> None:
    for raw in (b"", b"PAR1", b'{"labelpatch": "1"}', b"PAR1" + b"\0" * 200 + b"PAR1"):
        twin.write_bytes(raw)
        with pytest.raises(UnreadableError):
            read_patch(twin)
    with pytest.raises(UnreadableError):
        read_patch(tmp_path / "none.labelpatch.parquet")
    with pytest.raises(DataError, match=r"\.labelpatch\.parquet"):
        write_patch(PATCH, tmp_path / "x.parquet")
