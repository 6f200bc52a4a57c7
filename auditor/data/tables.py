"""Read CSV, TSV, JSON Lines and parquet tables, with errors that name the file, the column and the row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.core.errors import EmptyDataError, LabelError, UnreadableError, UsageError
from auditor.data.columns import parquet_file, read_rows

#: CSV columns of these names are kept as text: an id "0007" must not become 7.
STRING_NAMES = frozenset({"id", "item_id", "uuid", "text", "path", "image", "image_path", "file_name", "filename"})

_CHANGED = re.compile(r"Column\(/([^/)]+).*\) changed from (\w+) to (\w+)(?: in row (\d+))?")


def table_suffix(path: Path) -> str:
    """The suffix that says what a file holds, in lower case: that before ``.gz`` and the like."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in (".gz", ".bz2", ".zst") else suffix


def read_table(path: Path, strings: Sequence[str] = (), **options: str) -> Any:
    """Read a table by its suffix into an Arrow table.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv`` (also ``.gz``, ``.bz2``), ``.jsonl``, ``.ndjson`` or ``.parquet``.
    strings : sequence of str
        Columns kept as text in CSV files.
    **options
        ``delimiter`` and ``encoding`` for CSV files.

    Raises
    ------
    UnreadableError
        If the file is absent, not permitted, damaged or not of this format.
    EmptyDataError
        If it has no rows.
    LabelError
        If a column of a JSON Lines file mixes types.
    """
    suffix = table_suffix(path)
    _check_file(path)
    if suffix == ".parquet":
        table = read_rows(parquet_file(path))
    elif suffix in (".jsonl", ".ndjson"):
        table = _read_jsonl(path)
    else:
        table = _read_csv(path, strings, csv_delimiter(path, options), options.get("encoding", "utf8"))
    if table.num_rows == 0:
        raise EmptyDataError(f"{str(path)!r} has no rows.")
    if repeated := sorted(name for name in table.column_names if table.column_names.count(name) > 1):
        raise UnreadableError(f"{str(path)!r}: column name {repeated[0]!r} occurs more than once.")
    return table


def _check_file(path: Path) -> None:
    try:
        with open(path, "rb") as handle:
            empty = not handle.read(1)
    except FileNotFoundError as error:
        raise UnreadableError(f"{str(path)!r} does not exist.", "Check the path.") from error
    except OSError as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    if empty:
        raise EmptyDataError(f"{str(path)!r} is empty (0 bytes).")


def _read_csv(path: Path, strings: Sequence[str], delimiter: str, encoding: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    if len(delimiter) != 1:
        raise UsageError(f"delimiter {delimiter!r} is not one character.")
    text = dict.fromkeys([*STRING_NAMES, *strings], pa.string())
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(encoding=encoding),
            # Texts hold line breaks; without this option the parser splits rows at them.
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=False),
        )
    except LookupError as error:
        raise UsageError(f"unknown encoding {encoding!r}.") from error
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if "UTF8" in str(error) or isinstance(error, UnicodeDecodeError):
            raise _not_utf8(path, encoding) from error
        raise UnreadableError(f"{str(path)!r} is not a readable CSV file: {one_line(error)}.") from error
    if any(pa.types.is_binary(field.type) for field in table.schema):
        raise _not_utf8(path, encoding)
    return table


def csv_delimiter(path: Path, options: Mapping[str, str]) -> str:
    """The one asked for; a tab for ``.tsv``; a semicolon where a header of one column holds one; else a comma."""
    import pyarrow as pa
    from pyarrow import csv

    if "delimiter" in options:
        return options["delimiter"]
    if table_suffix(path) == ".tsv":
        return "\t"
    read_options = csv.ReadOptions(encoding=options.get("encoding", "utf8"))
    try:
        with csv.open_csv(path, read_options, csv.ParseOptions(newlines_in_values=True)) as reader:
            names = reader.schema.names
    except (pa.ArrowException, LookupError, UnicodeDecodeError, OSError):
        return ","  # whoever reads the table says what is wrong
    return ";" if len(names) == 1 and ";" in names[0] else ","


def _not_utf8(path: Path, encoding: str) -> UnreadableError:
    return UnreadableError(
        f"{str(path)!r} is not text in encoding {encoding!r}.", "Name its encoding, for example ?encoding=latin-1."
    )


def _read_jsonl(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import json

    try:
        return json.read_json(path)
    except (pa.ArrowException, OSError) as error:
        if match := _CHANGED.search(str(error)):
            column, first, second, row = match.groups()
            raise LabelError(
                f"{str(path)!r}: column {column!r} mixes types: {first} and then {second}"
                f"{'' if row is None else f' in row {row}'}.",
                "Write all its values as strings or all as numbers.",
            ) from error
        raise UnreadableError(f"{str(path)!r} is not readable as JSON Lines: {one_line(error)}.") from error


def one_line(error: BaseException) -> str:
    """The start of a message without its line breaks."""
    return " ".join(str(error).split())[:300]
