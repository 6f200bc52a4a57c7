"""Read CSV, TSV, JSON Lines and parquet tables, with errors that name the file, the column and the row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from auditor.core.config import check_unpacked
from auditor.core.errors import EmptyDataError, LabelError, UnreadableError, UsageError
from auditor.core.escaping import excel_delimiter
from auditor.core.files import parse_json
from auditor.core.reading import reading, regular_file
from auditor.data.columns import parquet_file, read_rows
from auditor.engine.semantics import LABEL_KEYS

#: CSV columns of these names, and labels, are kept as text: an id "0007" must not become 7, nor a class 1E5 100000.
STRING_NAMES = frozenset({"id", "item_id", "uuid", "text", "path", "image", "image_path", "file_name", "filename"})

#: Rows from which the delimiter and the decimal mark of a CSV file are told.
_SAMPLED_ROWS, _SAMPLED_BYTES = 200, 1 << 18
_DELIMITERS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*(,\d+)?([eE][+-]?\d+)?")


#: Suffixes of files with a token a line, and the columns they are read into: the first field, and the last.
CONLL = (".conll", ".bio", ".iob")
TOKENS, TAGS = "tokens", "tags"

#: Suffixes of text tables, and the adapters that read them.
TEXT_TABLES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def table_suffix(path: Path) -> str:
    """The suffix that says what a file holds, in lower case: that before ``.gz`` and the like."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in (".gz", ".bz2", ".zst") else suffix


def read_table(path: Path, strings: Sequence[str] = (), **options: str) -> Any:
    """Read a table by its suffix into an Arrow table.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv`` (also ``.gz``, ``.bz2``), ``.jsonl``, ``.ndjson``, ``.parquet``, or one of `CONLL`.
    strings : sequence of str
        Columns kept as text in CSV files.
    **options
        ``delimiter`` and ``encoding`` for CSV files; ``header="none"`` where the first row is one of values, and the
        columns are called 0, 1, ..

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
    if not regular_file(path).stat().st_size:
        raise EmptyDataError(f"{str(path)!r} is empty (0 bytes).")
    if suffix == ".parquet":
        table = read_rows(parquet_file(path))
    elif suffix in CONLL:
        _check_size(path)
        table = _read_conll(path, options.get("encoding", "utf8"))
    elif suffix in (".jsonl", ".ndjson"):
        _check_size(path)
        table = _read_jsonl(path)
    else:
        _check_size(path)
        table = _read_csv(path, strings, options)
    if table.num_rows == 0:
        raise EmptyDataError(f"{str(path)!r} has no rows.")
    with reading(path, "a table"):
        names = table.column_names  # decoded only now
        if suffix == ".parquet":
            table.validate(full=True)  # Arrow does not look whether texts are UTF-8
    if repeated := sorted(name for name in names if names.count(name) > 1):
        raise UnreadableError(f"{str(path)!r}: column name {repeated[0]!r} occurs more than once.")
    return table


def _unpacked(path: Path, limit: int | None = None) -> bytes:
    """The first `limit` bytes of a text file, or all, unpacked."""
    import pyarrow as pa

    with reading(path, "a text file"), pa.input_stream(str(path)) as stream:
        return bytes(stream.read(limit))


def _check_size(path: Path) -> None:
    import pyarrow as pa

    size = path.stat().st_size
    check_unpacked(path, size)
    if path.suffix.lower() != table_suffix(path):
        with reading(path, "a packed file"), pa.input_stream(str(path)) as stream:
            while block := stream.read(1 << 24):
                check_unpacked(path, size := size + len(block))


def _read_csv(path: Path, strings: Sequence[str], options: Mapping[str, str]) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    encoding, form = options.get("encoding", "utf8"), csv_form(path, options)
    texts = {
        name for name in form.names if name in strings or name.lower() in STRING_NAMES or name.lower() in LABEL_KEYS
    }
    names = [str(k) for k in range(len(form.names))] if options.get("header") == "none" else None
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(encoding=encoding, column_names=names, skip_rows=form.before),
            # Texts hold line breaks; without this option the parser splits rows at them.
            parse_options=arrow_csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pa.string()),
                strings_can_be_null=False,
                decimal_point=form.decimal_mark,
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if "UTF8" in str(error) or isinstance(error, UnicodeDecodeError):
            raise _not_utf8(path, encoding) from error
        raise UnreadableError(f"{str(path)!r} is not a readable CSV file: {one_line(error)}.") from error
    if any(pa.types.is_binary(field.type) for field in table.schema):
        raise _not_utf8(path, encoding)
    return table


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written: its delimiter, its decimal mark, the names of its columns, and the number of lines
    before these."""

    delimiter: str
    decimal_mark: str
    names: tuple[str, ...]
    before: int = 0


def csv_form(path: Path, options: Mapping[str, str]) -> CsvForm:
    """The form of a CSV file, told from its first rows where `options` do not say it.

    The delimiter is a tab for ``.tsv``, else that of comma, semicolon, tab and bar which gives all rows as many fields
    as the header, the most; else a comma. Decimal commas are read where the delimiter is none, and some column holds
    such numbers only. Excel's first line ``sep=;`` names the delimiter; lines that begin with ``#`` before the header
    are comments. The last of them is the header itself where it has as many fields as the row below, unless that one
    has the name of a label column.

    Raises
    ------
    UsageError
        For an unknown encoding, or a delimiter of several characters.
    """
    encoding, delimiter = options.get("encoding", "utf8"), options.get("delimiter")
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"delimiter {delimiter!r} is not one character.")
    raw = _unpacked(path, _SAMPLED_BYTES)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) and encoding == "utf8":
        raise _not_utf8(path, encoding, "utf-16")
    try:
        text = raw.decode(encoding, "replace").removeprefix("\ufeff")
    except LookupError as error:
        raise UsageError(f"unknown encoding {encoding!r}.") from error
    if len(raw) == _SAMPLED_BYTES:
        text = text[: text.rfind("\n") + 1]
    named, start = excel_delimiter(text)
    delimiter = delimiter or named or ("\t" if table_suffix(path) == ".tsv" else None)
    before, text = text.count("\n", 0, start), text[start:]
    comments = next((k for k, line in enumerate(text.split("\n")) if not line.startswith("#")), 0)
    best, rows = _delimited(_after_lines(text, comments), delimiter)
    if comments:
        last = _rows(_after_lines(text, comments - 1).partition("\n")[0], best)
        names_label = any(cell.strip().lower() in LABEL_KEYS for cell in (rows or [[]])[0])
        if not rows or (last and len(last[0]) == len(rows[0]) and not names_label):
            comments -= 1
            best, rows = _delimited(_after_lines(text, comments), delimiter)
    columns = list(zip(*rows[1:], strict=False)) if best != "," else []
    commas = any(
        any("," in cell for cell in column) and all(_DECIMAL_COMMA.fullmatch(cell) for cell in column)
        for column in columns
    )
    return CsvForm(best, "," if commas else ".", tuple(rows[0]) if rows else (), before + comments)


def _after_lines(text: str, number: int) -> str:
    return text.split("\n", number)[number]


def _delimited(text: str, delimiter: str | None) -> tuple[str, list[list[str]]]:
    """The delimiter of a CSV text, where it is not given, and its first records."""
    samples = {mark: _rows(text, mark) for mark in (_DELIMITERS if delimiter is None else (delimiter,))}
    wide = {mark: rows for mark, rows in samples.items() if rows and len(rows[0]) > 1}
    fits = {mark: len(rows[0]) for mark, rows in wide.items() if all(len(row) == len(rows[0]) for row in rows)}
    best = max(fits, key=lambda mark: fits[mark], default=next(iter(wide or samples)))
    return best, samples[best]


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """The first records of a CSV text; none where it cannot be taken apart so."""
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return [record for record in islice(records, _SAMPLED_ROWS) if record]
    except csv.Error:
        return []  # whoever reads the table says what is wrong


def _not_utf8(path: Path, encoding: str, likely: str = "latin-1") -> UnreadableError:
    return UnreadableError(
        f"{str(path)!r} is not text in encoding {encoding!r}.", f"Name its encoding, for example ?encoding={likely}."
    )


def _read_jsonl(path: Path) -> Any:
    """A table of the objects, one a line. Not by Arrow's own reader, which some texts of four bytes bring down."""
    import pyarrow as pa

    with reading(path, "JSON Lines"):
        rows = [parse_json(line) for line in _unpacked(path).split(b"\n") if line.strip()]
        strange = next((k for k, row in enumerate(rows) if not isinstance(row, dict)), None)
        if strange is not None:
            raise ValueError(f"row {strange} is no object with a value for each column")
        columns = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [row.get(name) for row in rows]
            try:
                columns[name] = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                first = dict(reversed([(_JSON_KINDS[type(v)], k) for k, v in enumerate(values) if v is not None]))
                held = sorted((row, kind) for kind, row in first.items())
                if len(held) < 2:
                    raise
                raise LabelError(
                    f"{str(path)!r}: column {name!r} mixes types: "
                    f"{' and then '.join(kind for _, kind in held)} in row {held[1][0]}.",
                    "Write all its values as strings or all as numbers.",
                ) from error
        return pa.table(columns)


_JSON_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def one_line(error: BaseException) -> str:
    """The start of a message without its line breaks."""
    return " ".join(str(error).split())[:300]


def _read_conll(path: Path, encoding: str) -> Any:
    """Lines of fields, a token each, with empty lines between sentences, as lists: the first field `TOKENS`, the last
    `TAGS`, others by their numbers from 1. Lines that begin ``-DOCSTART-`` end a sentence, and so do comments: lines
    that begin with ``#`` and have another number of fields."""
    import pyarrow as pa

    try:
        lines = _unpacked(path).decode(encoding).removeprefix("\ufeff").splitlines()
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_utf8(path, encoding) from error
    first = next((line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))), "")
    mark = "\t" if "\t" in first else None
    width, sentences = len(first.split(mark)), list[list[list[str]]]()
    inside = False
    for number, line in enumerate(lines, 1):
        fields = [field.strip() for field in line.split(mark)]
        comment = line.startswith("#") and len(fields) != width
        if not line.strip() or fields[0] == "-DOCSTART-" or comment:
            inside = False
            continue
        if len(fields) != width or width < 2 or not all(fields):
            wanted = "2 or more" if width < 2 else str(width)
            raise UnreadableError(
                f"{str(path)!r}, line {number}: {len(fields)} fields, {wanted} are wanted.",
                "Write a token a line, its tag in the last field, and an empty line between sentences.",
            )
        if not inside:
            sentences.append([])
        inside = True
        sentences[-1].append(fields)
    names = [TOKENS, *(str(k) for k in range(1, width - 1)), TAGS]
    kind = pa.list_(pa.string())
    columns = {name: [[fields[k] for fields in sentence] for sentence in sentences] for k, name in enumerate(names)}
    return pa.table({name: pa.array(cells, kind) for name, cells in columns.items()})
