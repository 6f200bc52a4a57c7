"""Columnar files in the Hub's layout: features, splits, and small columns read without touching the images."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.core.errors import UnreadableError, UsageError
from auditor.data.sources import ColumnFile, ColumnSource, Source

_SPLIT = re.compile(r"(?<=.)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?$")


@dataclass(frozen=True)
class Features:
    """What the columns are.

    Attributes
    ----------
    types : mapping of str to str
        Column -> ``"image"``, ``"bytes"``, ``"text"``, ``"number"``, ``"bool"``, ``"class"`` or ``"other"``.
    classes : mapping of str to tuple of str
        Class names of ``"class"`` columns, in the order of their integers.
    """

    types: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]]


class MemoryTable:
    """Columns over one or several splits; here of an Arrow table in memory (CSV, JSON Lines).

    Attributes
    ----------
    features : Features
    splits : list of (str, int)
        Split name and number of rows, in order.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self.features = features_of(table.schema)
        self.splits: list[tuple[str, int]] = [("all", table.num_rows)]

    def column(self, name: str) -> Any:
        """A column as an Arrow chunked array."""
        return self._table.column(name)

    def source(self, name: str) -> Source:
        """A bytes or image column as a source of contents."""
        raise UsageError(f"column {name!r}: text files hold no images.", "Give the column of paths with image=NAME.")

    def head(self, column: str, n: int) -> list[Any]:
        """The first `n` values that are not null."""
        return self.column(column).drop_null().slice(0, n).to_pylist()

    def __len__(self) -> int:
        return sum(rows for _, rows in self.splits)


class FileTable(MemoryTable):
    """Parquet or Arrow files, read column by column when asked for."""

    def __init__(self, files: Sequence[SplitFiles]) -> None:
        self._files = [file for split in files for file in split.files]
        self.features = features_of(schema_of(self._files[0]))
        self.splits = [(split.split, split.rows) for split in files]

    def column(self, name: str) -> Any:
        return read_column(self._files, name)

    def source(self, name: str) -> Source:
        return ColumnSource(self._files, name)


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split, in order."""

    split: str
    files: tuple[ColumnFile, ...]

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(file.rows for file in self.files)


def split_of(path: Path) -> str:
    """Split name from a file name: ``train-00000-of-00002.parquet`` and ``train.parquet`` are ``train``."""
    return _SPLIT.sub("", path.stem)


def parquet_file(path: Path) -> ColumnFile:
    """Open a parquet file's footer.

    Raises
    ------
    UnreadableError
        If it is not parquet, truncated or not readable.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return ColumnFile(str(path.absolute()), pq.ParquetFile(path).metadata.num_rows)
    except OSError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except pa.ArrowException as error:
        raise UnreadableError(
            f"{str(path)!r} is not a readable parquet file: {error}.", "Fetch or write the file again."
        ) from error


def arrow_file(path: Path) -> ColumnFile:
    """An Arrow stream file of the Hub's cache."""
    import pyarrow as pa

    try:
        rows = pa.ipc.open_stream(pa.memory_map(str(path))).read_all().num_rows
    except (OSError, pa.ArrowException) as error:
        raise UnreadableError(f"cannot read cached file {str(path)!r}: {error}.", "Fetch it again.") from error
    return ColumnFile(str(path.absolute()), rows)


def schema_of(file: ColumnFile) -> Any:
    """The Arrow schema of a file, with the Hub's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.is_parquet:
        return pq.read_schema(file.path)
    return pa.ipc.open_stream(pa.memory_map(file.path)).schema


def features_of(schema: Any) -> Features:
    """Read Arrow types and the Hub's own description (``huggingface`` metadata) from a schema."""
    info = json.loads((schema.metadata or {}).get(b"huggingface", "{}")).get("info", {})
    described: dict[str, Any] = info.get("features") or {}
    types, classes = {}, {}
    for column in schema:
        about = about if isinstance(about := described.get(column.name), dict) else {}
        kind = about.get("_type")
        if kind == "ClassLabel" and about.get("names"):
            types[column.name] = "class"
            classes[column.name] = tuple(map(str, about["names"]))
        elif kind == "Image":
            types[column.name] = "image"
        else:
            types[column.name] = arrow_kind(column.type)
    return Features(types, classes)


def arrow_kind(arrow_type: Any) -> str:
    """Column kind of an Arrow type; names as in `Features.types`."""
    import pyarrow.types as t

    if t.is_dictionary(arrow_type):
        return arrow_kind(arrow_type.value_type)
    if t.is_boolean(arrow_type):
        return "bool"
    if t.is_integer(arrow_type) or t.is_floating(arrow_type) or t.is_decimal(arrow_type):
        return "number"
    if t.is_string(arrow_type) or t.is_large_string(arrow_type):
        return "text"
    if t.is_binary(arrow_type) or t.is_large_binary(arrow_type):
        return "bytes"
    if t.is_struct(arrow_type) and arrow_type.get_field_index("bytes") >= 0:
        return "image"
    return "other"


def read_column(files: Sequence[ColumnFile], column: str) -> Any:
    """One small column of all files as an Arrow chunked array. ``a.b`` reads a field of a struct.

    Raises
    ------
    UnreadableError
        If a file is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    name, _, inner = column.partition(".")
    for file in files:
        try:
            rows = read_rows(file, [column])
            whole = column in rows.column_names
            parts.append(rows.column(column) if whole else pc.struct_field(rows.column(name), inner))
        except (OSError, pa.ArrowException) as error:
            raise UnreadableError(f"cannot read column {column!r} of {file.path!r}: {error}.") from error
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)


def read_rows(file: ColumnFile, columns: Sequence[str] | None = None) -> Any:
    """All rows of a file as an Arrow table; of a parquet file, those columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.is_parquet:
        # ParquetFile, not read_table: the latter guesses partitions from folder names.
        return pq.ParquetFile(file.path).read(columns=columns)
    return pa.ipc.open_stream(pa.memory_map(file.path)).read_all()
