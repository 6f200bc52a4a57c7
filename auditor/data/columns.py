"""Columnar files in the Hub's layout: features, splits, and small columns read without touching the images."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.core.errors import LabelError, UsageError
from auditor.core.files import parse_json
from auditor.core.reading import reading
from auditor.data.labels import is_missing, listed
from auditor.data.sources import ColumnFile, ColumnSource, Source, read_parquet

_SPLIT = re.compile(r"(?<=.)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?$")


@dataclass(frozen=True)
class Features:
    """What the columns are.

    Attributes
    ----------
    types : mapping of str to str
        Column -> ``"image"``, ``"bytes"``, ``"text"``, ``"number"``, ``"bool"``, ``"class"``, ``"date"``, ``"null"``
        or ``"other"``.
    classes : mapping of str to tuple of str
        Class names of ``"class"`` columns, in the order of their integers.
    index : frozenset of str
        Columns that pandas saved as the index of a table.
    """

    types: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]]
    index: frozenset[str] = frozenset()


class MemoryTable:
    """Columns over one or several splits; here of an Arrow table in memory (CSV, JSON Lines).

    Attributes
    ----------
    features : Features
    splits : list of (str, int)
        Split name and number of rows, in order.
    """

    def __init__(self, table: Any, splits: Sequence[tuple[str, int]] | None = None) -> None:
        self._table = table
        self.features = features_of(table.schema)
        self.splits: list[tuple[str, int]] = list(splits or [("all", table.num_rows)])

    def column(self, name: str) -> Any:
        """A column as an Arrow chunked array."""
        return self._table.column(name)

    def notes_on(self, columns: Collection[str]) -> list[str]:
        """What a user of these columns should know of the files."""
        return []

    def source(self, name: str) -> Source:
        """A bytes or image column as a source of contents."""
        raise UsageError(f"column {name!r}: text files hold no images.", "Give the column of paths with image=NAME.")

    def head(self, column: str, n: int) -> list[Any]:
        """The first `n` values that are not null."""
        return self.column(column).drop_null().slice(0, n).to_pylist()

    def __len__(self) -> int:
        return sum(rows for _, rows in self.splits)


class FileTable(MemoryTable):
    """Parquet or Arrow files, read column by column when asked for, each by its own description.

    Parameters
    ----------
    files : sequence of SplitFiles
    root : str, optional
        Folder in which the files may name images that they do not hold.
    """

    def __init__(self, files: Sequence[SplitFiles], root: str | None = None) -> None:
        self._files, self._root = [file for split in files for file in split.files], root
        self._own = [features_in(file) for file in self._files]
        types: dict[str, str] = {}
        classes: dict[str, dict[str, None]] = {}
        for own in self._own:
            for name, kind in own.types.items():
                if kind == "class" or types.get(name, "null") == "null":
                    types[name] = kind
            for name, names in own.classes.items():
                classes.setdefault(name, {}).update(dict.fromkeys(names))
        index = frozenset[str]().union(*(own.index for own in self._own))
        self.features = Features(types, {name: tuple(names) for name, names in classes.items()}, index)
        self.splits = [(split.split, split.rows) for split in files]

    def column(self, name: str) -> Any:
        return read_column(self._files, name, self.features.classes.get(name, ()))

    def source(self, name: str) -> Source:
        return ColumnSource(self._files, name, root=self._root)

    def notes_on(self, columns: Collection[str]) -> list[str]:
        notes = []
        for name in columns:
            lacking = [k for k, own in enumerate(self._own) if name not in own.types]
            vague = [
                k
                for k, own in enumerate(self._own)
                if name in self.features.classes and own.types.get(name) == "number"
            ]
            for numbers, what in (
                (lacking, "is not there: its {rows:,} rows are empty"),
                (vague, "has no class names: its numbers were read by those of the other files"),
            ):
                if numbers:
                    files = [self._files[k] for k in numbers]
                    said = what.format(rows=sum(file.rows for file in files))
                    notes.append(f"column {name!r} {said} (in {listed([os.path.basename(f.path) for f in files], 5)})")
        return notes


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
    import pyarrow.parquet as pq

    with reading(path, "parquet"):
        return ColumnFile(str(path.absolute()), pq.ParquetFile(path).metadata.num_rows)


def arrow_file(path: Path) -> ColumnFile:
    """An Arrow stream file of the Hub's cache."""
    import pyarrow as pa

    with reading(path, "an Arrow stream"):
        return ColumnFile(str(path.absolute()), pa.ipc.open_stream(pa.memory_map(str(path))).read_all().num_rows)


def schema_of(file: ColumnFile) -> Any:
    """The Arrow schema of a file, with the Hub's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.is_parquet:
        return pq.read_schema(file.path)
    return pa.ipc.open_stream(pa.memory_map(file.path)).schema


def features_of(schema: Any) -> Features:
    """Read Arrow types and the Hub's own description (``huggingface`` metadata) from a schema."""
    info = parse_json((schema.metadata or {}).get(b"huggingface", "{}")).get("info", {})
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
    pandas = parse_json((schema.metadata or {}).get(b"pandas", "{}"))
    return Features(types, classes, frozenset(c for c in pandas.get("index_columns", ()) if isinstance(c, str)))


def features_in(file: ColumnFile) -> Features:
    """What the columns of a file are, as it says itself."""
    with reading(file.path, "the Hub's description of its columns"):
        return features_of(schema_of(file))


def arrow_kind(arrow_type: Any) -> str:
    """Column kind of an Arrow type; names as in `Features.types`."""
    import pyarrow.types as t

    if t.is_null(arrow_type):
        return "null"
    if t.is_dictionary(arrow_type):
        return arrow_kind(arrow_type.value_type)
    if t.is_boolean(arrow_type):
        return "bool"
    if t.is_integer(arrow_type) or t.is_floating(arrow_type) or t.is_decimal(arrow_type):
        return "number"
    if t.is_string(arrow_type) or t.is_large_string(arrow_type) or t.is_string_view(arrow_type):
        return "text"
    if t.is_binary(arrow_type) or t.is_large_binary(arrow_type) or t.is_binary_view(arrow_type):
        return "bytes"
    if t.is_struct(arrow_type) and arrow_type.get_field_index("bytes") >= 0:
        return "image"
    return "date" if t.is_date(arrow_type) or t.is_timestamp(arrow_type) else "other"


def read_column(files: Sequence[ColumnFile], column: str, class_names: Sequence[str] = ()) -> Any:
    """One small column of all files as an Arrow chunked array. ``a.b`` reads a field of a struct.

    Parameters
    ----------
    files : sequence of ColumnFile
        One that lacks the column gives nulls; integers and texts of different widths are widened.
    column : str
    class_names : sequence of str
        The values become positions in it: numbers by the class names that their own file describes, and texts.

    Raises
    ------
    UnreadableError
        If a file is damaged.
    LabelError
        If the values of two files do not go together.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    name, _, inner = column.partition(".")
    for file in files:
        schema = schema_of(file)
        if column not in schema.names and name not in schema.names:
            parts.append(pa.chunked_array([pa.nulls(file.rows)]))
            continue
        rows = read_rows(file, [column])
        part = rows.column(column) if column in rows.column_names else pc.struct_field(rows.column(name), inner)
        if pa.types.is_dictionary(part.type):
            part = part.cast(part.type.value_type)
        if pa.types.is_string_view(part.type):
            part = part.cast(pa.large_string())  # views are promoted to nothing else
        if pa.types.is_string(part.type) or pa.types.is_large_string(part.type):
            with reading(file.path, "a column of texts"):
                part.validate(full=True)  # parquet does not look whether they are UTF-8
        if class_names:
            own = features_in(file).classes.get(column, class_names)
            part = _positions(part, own, class_names, f"column {column!r} of {file.path!r}")
        parts.append(part)
    return joined_column(parts, [os.path.basename(file.path) for file in files], column)


def joined_column(parts: Sequence[Any], places: Sequence[str], column: str) -> Any:
    """The parts of a column, one after the other; integers and texts of different widths are widened.

    Parameters
    ----------
    parts : sequence of Arrow chunked arrays
    places : sequence of str
        What holds each part, for the message.
    column : str

    Raises
    ------
    LabelError
        If the values of two parts do not go together.
    """
    import pyarrow as pa

    types = {part.type: place for part, place in zip(parts, places, strict=True)}
    try:
        schemas = [pa.schema([("x", kind)]) for kind in types]
        common = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        return pa.chunked_array([chunk for part in parts for chunk in part.cast(common).chunks], type=common)
    except pa.ArrowException as error:
        held = ", ".join(f"{kind} in {place}" for kind, place in types.items())
        raise LabelError(f"column {column!r} holds {held}.", "Write it as one type everywhere.") from error


def joined_table(parts: Sequence[tuple[str, str, Any]]) -> MemoryTable:
    """Arrow tables as one, each with its split and what holds it; a column that one of them lacks is empty there.

    Raises
    ------
    LabelError
        If a column has types that do not go together.
    """
    import pyarrow as pa

    names = dict.fromkeys(name for *_, table in parts for name in table.column_names)
    columns, splits = {}, dict.fromkeys((split for split, *_ in parts), 0)
    for name in names:
        cells = [
            table.column(name) if name in table.column_names else pa.chunked_array([pa.nulls(table.num_rows)])
            for *_, table in parts
        ]
        columns[name] = joined_column(cells, [place for _, place, _ in parts], name)
    for split, _, table in parts:
        splits[split] += table.num_rows
    return MemoryTable(pa.table(columns), list(splits.items()))


def _positions(column: Any, own: Sequence[str], class_names: Sequence[str], where: str) -> Any:
    """Positions in `own`, or texts, as positions in `class_names`; numbers outside `own` come to lie outside."""
    import pyarrow as pa

    if own == class_names and arrow_kind(column.type) == "number":
        return column
    place = {name: k for k, name in enumerate(class_names)}
    values = column.to_pylist()
    strange = [v for v in values if isinstance(v, str) and v not in place and not is_missing(v)]
    if strange:
        raise LabelError(
            f"{where}: {strange[0]!r} is none of the classes that other files describe: {listed(class_names)}."
        )
    codes: list[int | None] = []
    for value in values:
        if isinstance(value, str):
            codes.append(place.get(value))
        elif value is None or value != value or not 0 <= value < len(own):
            codes.append(None if value is None or value != value or value == -1 else int(value) + len(class_names))
        else:
            codes.append(place[own[int(value)]])
    return pa.chunked_array([pa.array(codes, pa.int64())])


def read_rows(file: ColumnFile, columns: Sequence[str] | None = None) -> Any:
    """All rows of a file as an Arrow table; of a parquet file, those columns."""
    import pyarrow as pa

    if file.is_parquet:
        return read_parquet(file.path, columns)
    with reading(file.path, "an Arrow stream"):
        return pa.ipc.open_stream(pa.memory_map(file.path)).read_all()
