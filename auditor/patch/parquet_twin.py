"""The parquet twin of a label patch, ``*.labelpatch.parquet``: the same fields, one row per record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.core.errors import DataError, UnreadableError
from auditor.core.files import atomic_path
from auditor.patch.strict_json import strict_json

PARQUET_SUFFIX: Final = ".labelpatch.parquet"
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


def write_lines(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the JSON objects of a patch as parquet, atomically. ``to`` is a list in every row, empty for a drop."""
    rows = [{**r, "to": [r["to"]] if isinstance(r.get("to"), str) else list(r.get("to", ()))} for r in records]
    for row in rows:
        row["votes"] = None if row.get("votes") is None else list(row["votes"].items())
    # Only the header: metadata of a library's version would make equal patches unequal files.
    about = {HEADER: json.dumps(header, ensure_ascii=False, allow_nan=False).encode()}
    table = pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata(about)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_lines(path: Path) -> Iterator[Any]:
    """The JSON objects that the lines of the text form would hold, the header first; nothing is checked yet.

    Raises
    ------
    UnreadableError
        If it is no parquet file, or its values have no place in JSON.
    DataError
        If it has no header or not the columns of a patch.
    """
    where = repr(str(path))
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            raw = (schema.metadata or {}).get(HEADER)
            if raw is None:
                raise DataError(f"{where} has no header of a label patch in its metadata (key {HEADER.decode()!r}).")
            if missing := [name for name in ("id", "op", "from") if name not in schema.names]:
                raise DataError(f"{where} has no column {missing[0]!r}; is it a label patch?")
            yield strict_json(raw, f"{where}, header")
            # Unknown columns are passed over, as unknown fields of a line are; they are not even read.
            known = [name for name in schema.names if name in _SCHEMA.names]
            for batch in file.iter_batches(_ROWS, columns=known):
                for row in batch.to_pylist():
                    yield _object(row)
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
