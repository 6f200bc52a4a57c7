"""Read and write ``*.labelpatch.jsonl`` and its parquet twin, trusting nothing in the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.core.errors import DataError, EmptyDataError, UnreadableError
from auditor.core.files import atomic_path, write_text
from auditor.core.reading import regular_file
from auditor.patch.records import (
    Patch,
    check_patch,
    header_from_json,
    header_to_json,
    record_from_json,
    record_to_json,
    unique_records,
)

SUFFIX = ".labelpatch.jsonl"
PARQUET_SUFFIX: Final = ".labelpatch.parquet"
#: Longest line in bytes. A header with 100,000 class names of 30 letters fits.
MAX_LINE = 4 << 20
_BOM = b"\xef\xbb\xbf"
#: Key of the file's metadata under which the header stands, as the JSON object of the first line.
HEADER: Final = b"labelpatch"
#: Rows read at once.
_ROWS: Final = 10_000
_SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("index", pa.int64()),
        ("path", pa.string()),
        pa.field("op", pa.string(), nullable=False),
        pa.field("from", pa.string(), nullable=False),
        ("to", pa.list_(pa.string())),
        ("reason", pa.string()),
        ("verdict", pa.string()),
        ("votes", pa.map_(pa.string(), pa.int64())),
        ("n", pa.int64()),
        ("posterior", pa.float64()),
        ("rank", pa.int64()),
        ("note", pa.string()),
    ]
)


def is_patch_name(path: Path) -> bool:
    """Whether a file is named as a patch, in text or parquet."""
    return path.name.endswith((SUFFIX, PARQUET_SUFFIX))


def load_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a patch."""
    schema: dict[str, Any] = json.loads(files("auditor.patch").joinpath("labelpatch.schema.json").read_bytes())
    return schema


def read_patch(path: Path | str) -> Patch:
    """Read and check a patch.

    Raises
    ------
    UnreadableError
        If the file cannot be read, or a line is too long, not UTF-8 or not JSON.
    EmptyDataError
        If it is empty.
    DataError
        If a field, or a rule between records, is wrong (refusal rules 4 and 5).
    """
    path = regular_file(path)
    where = repr(str(path))
    header, records = None, []
    notes: list[str] = []
    in_parquet = path.name.endswith(PARQUET_SUFFIX)
    for line, number, value in _read_parquet(path, where) if in_parquet else _lines(path, where, notes):
        if header is None:
            header = header_from_json(value, where)
        else:
            records.append(record_from_json(value, line, number))
    if header is None:
        raise EmptyDataError(f"{where} is empty.", "Make a patch with: auditor patch create RUN")
    check_patch(header, records, where)
    # The same outcome said twice (check_patch refuses two different ones): the first stays.
    unique = unique_records(records)
    if len(unique) < len(records):
        notes.append(f"{len(records) - len(unique)} records occur twice; read once")
    return Patch(header, tuple(unique.values()), tuple(notes))


def _lines(path: Path, where: str, notes: list[str]) -> Iterator[tuple[str, int, Any]]:
    """Place, number and JSON value of each line that is not blank."""
    try:
        with open(path, "rb") as handle:
            number = 0
            while raw := handle.readline(MAX_LINE + 1):
                number += 1
                if len(raw) > MAX_LINE:
                    raise UnreadableError(
                        f"{where}, line {number}: the line is longer than {MAX_LINE >> 20} MiB.",
                        "A label patch has one small JSON object a line; is this the right file?",
                    )
                if number == 1 and raw.startswith(_BOM):
                    raw = raw[len(_BOM) :]
                    notes.append("the file begins with a byte order mark, which was passed over")
                if raw.strip():
                    yield f"{where}, line {number}", number, strict_json(raw, f"{where}, line {number}")
    except OSError as error:
        raise UnreadableError(f"cannot read {where}: {error.strerror or error}.", "Check the path.") from error


def write_patch(patch: Patch, path: Path | str) -> None:
    """Write a patch, atomically, after the same checks as `read_patch`.

    Raises
    ------
    DataError
        If the patch breaks a rule, or the name is not one of a patch.
    """
    path = Path(path)
    if not is_patch_name(path):
        raise DataError(
            f"{str(path)!r}: the name of a label patch ends in {SUFFIX} or {PARQUET_SUFFIX}.",
            f"Use {path.stem}{SUFFIX}.",
        )
    header = header_from_json(header_to_json(patch.header), "the new patch")
    records = [
        record_from_json(record_to_json(r), f"the new patch, record {k}", 0) for k, r in enumerate(patch.records)
    ]
    check_patch(header, records, "the new patch")
    lines = [header_to_json(header), *map(record_to_json, records)]
    if path.name.endswith(PARQUET_SUFFIX):
        _write_parquet(lines[0], lines[1:], path)
    else:
        write_text(path, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))


def _write_parquet(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the JSON objects of a patch as parquet, atomically. ``to`` is a list in every row, empty for a drop."""
    rows = [{**r, "to": [r["to"]] if isinstance(r.get("to"), str) else list(r.get("to", ()))} for r in records]
    for row in rows:
        row["votes"] = None if row.get("votes") is None else list(row["votes"].items())
    # Only the header: metadata of a library's version would make equal patches unequal files.
    about = {HEADER: json.dumps(header, ensure_ascii=False, allow_nan=False).encode()}
    table = pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata(about)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_parquet(path: Path, where: str) -> Iterator[tuple[str, int, Any]]:
    """As `_lines`: the JSON objects that the text form would hold, the header first; nothing is checked yet.

    Raises
    ------
    UnreadableError
        If it is no parquet file, or its values have no place in JSON.
    DataError
        If it has no header or not the columns of a patch.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            raw = (schema.metadata or {}).get(HEADER)
            if raw is None:
                raise DataError(f"{where} has no header of a label patch in its metadata (key {HEADER.decode()!r}).")
            if missing := [name for name in ("id", "op", "from") if name not in schema.names]:
                raise DataError(f"{where} has no column {missing[0]!r}; is it a label patch?")
            yield where, 0, strict_json(raw, f"{where}, header")
            # Unknown columns are passed over, as unknown fields of a line are; they are not even read.
            known = [name for name in schema.names if name in _SCHEMA.names]
            rows = (row for batch in file.iter_batches(_ROWS, columns=known) for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                yield f"{where}, row {number}", number, _object(row)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UnreadableError(f"cannot read {where}: {str(error)[:200]}.", "Is it a parquet file?") from error


def _object(row: dict[str, Any]) -> dict[str, Any]:
    value = {key: cell for key, cell in row.items() if cell is not None}
    to, votes = value.get("to"), value.get("votes")
    if to == []:
        del value["to"]
    elif isinstance(to, list) and value.get("op") == "relabel" and len(to) == 1:
        value["to"] = to[0]
    if isinstance(votes, list):
        value["votes"] = dict(votes)
    return value


def strict_json(raw: bytes, where: str) -> Any:
    """Parse JSON as the standard says: no NaN, no repeated keys, text that can be written as UTF-8.

    Raises
    ------
    UnreadableError
    """

    def refuse_constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise ValueError("a key occurs twice in one object")
        return dict(pairs)

    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_repeats)
        # A lone surrogate written as \ud800 parses, but cannot be printed or written again.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise UnreadableError(f"{where} is not UTF-8 text.", "Save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{where} is not JSON: {str(error)[:200]}.") from error
    return value
