"""CSV and JSON Lines files: only the changed fields are touched, every other byte stays."""

from __future__ import annotations

import bz2
import gzip
import json
import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from auditor.core.errors import DataError, UnreadableError
from auditor.core.files import atomic_write, parse_json, read_json, write_json
from auditor.core.reading import parsing
from auditor.patch.rows import FilePlan, RowFile, merge_rows

_PACKED = {".gz": (gzip.decompress, lambda raw: gzip.compress(raw, mtime=0)), ".bz2": (bz2.decompress, bz2.compress)}


@dataclass(eq=False)
class _TextRows(RowFile):
    """A text file as the text before the first row and one raw text per row.

    Parameters
    ----------
    path : Path
    name : str
    encoding : str
    column : str
        Label column.
    spell : callable
        Label to its spelling in the column, in the form of `spelling`, or in each of `columns`.
    owns_multi : bool
        The column ``<label>_multi`` in the file is ours.
    columns : tuple of str
        The columns of a label that lies in several; what was replaced is then a JSON list.
    """

    path: Path
    name: str
    encoding: str
    column: str
    spell: Callable[[str], list[str]]
    owns_multi: bool = False
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        raw = self.path.read_bytes()
        unpack = _PACKED.get(self.path.suffix.lower())
        try:
            text = (unpack[0](raw) if unpack else raw).decode(self.encoding)
        except (UnicodeDecodeError, OSError, EOFError) as error:
            raise UnreadableError(f"cannot read {str(self.path)!r}: {error}.") from error
        self.head, self.rows = self._split(text)
        self.n = len(self.rows)

    @abstractmethod
    def _split(self, text: str) -> tuple[str, list[str]]:
        """The text before the first row, and each row with its line end."""

    @abstractmethod
    def _spans(self, row: str) -> list[tuple[int, int]]:
        """Where the label's spelling begins and ends in the row, in each of its columns."""

    def spelling(self, row: int) -> str:
        """How the label of a row is written."""
        start, end = self._spans(self.rows[row])[0]
        return self.rows[row][start:end]

    def _spelled(self, before: list[str], label: str) -> list[str]:
        """How `label` is written in the place of what is there."""
        return self.spell(label)

    def _relabelled(self, row: str, label: str, raw: str | None) -> tuple[str, str]:
        """The row with another label, spelled as `raw` says if it does; and the spelling that was replaced."""
        spans = self._spans(row)
        before = [row[start:end] for start, end in spans]
        if raw is None:
            after = self._spelled(before, label)
        else:
            after = [raw] if not self.columns else list(map(str, parse_json(raw)))
        if len(after) != len(spans):
            raise UnreadableError(f"the memory of a copy of {str(self.path)!r} is damaged.", "Make the copy again.")
        for (start, end), spelling in sorted(zip(spans, after, strict=True), reverse=True):
            row = row[:start] + spelling + row[end:]
        return row, json.dumps(before) if self.columns else before[0]

    def _with_multi(self, row: str, labels: tuple[str, ...] | None) -> str:
        """The row with its several labels, where the format has a place for them."""
        return row

    def unchanged(self, plan: FilePlan) -> Path | None:
        return self.path if plan.nothing and not plan.multi and not self.owns_multi else None

    def rewrite(self, out: Path, aside: Path | None, aside_out: Path, plan: FilePlan) -> dict[int, str]:
        laid = [] if aside is None else read_json(aside)
        if not isinstance(laid, list) or not all(isinstance(row, str) for row in laid):
            raise UnreadableError(f"{str(aside)!r} is damaged: it is no list of rows.", "Make the copy again.")
        order, kept = merge_rows(self.n, plan, repr(str(self.path)), len(laid))
        every = [*self.rows, *laid]
        rows = [every[k] for k in order]
        replaced: dict[int, str] = {}
        for row, name in plan.labels.items():
            rows[row], replaced[row] = self._relabelled(rows[row], name, plan.raws.get(row) or None)
        if plan.multi or self.owns_multi:
            rows = [self._with_multi(text, plan.multi.get(k)) for k, text in enumerate(rows)]
        if len(plan.after):
            write_json(aside_out, [rows[k] for k in plan.after])
        encoded = (self.head + "".join(t for t, stays in zip(rows, kept, strict=True) if stays)).encode(self.encoding)
        packed = _PACKED.get(self.path.suffix.lower())
        with atomic_write(out) as handle:
            handle.write(packed[1](encoded) if packed else encoded)
        return replaced


@dataclass(eq=False)
class CsvRows(_TextRows):
    """A CSV file, with `before` lines in front of its header. Several labels go to a file beside it: a further column
    would become a feature."""

    delimiter: str = ","
    before: int = 0

    def __post_init__(self) -> None:
        end = re.escape(self.delimiter)
        # A quoted field as RFC 4180 has it, or a plain one; then the delimiter or the end of the record.
        self._field = re.compile(rf'("[^"]*(?:""[^"]*)*"[^{end}\r\n]*|[^{end}\r\n]*)({end}|\r\n|\n|\r|\Z)')
        self._at: list[int] = []
        super().__post_init__()

    def _split(self, text: str) -> tuple[str, list[str]]:
        starts: list[int] = []
        begin, fields = len("\n".join(text.split("\n", self.before)[: self.before])) + bool(self.before), 0
        header: list[str] = []
        for match in self._field.finditer(text, begin):  # without gaps: the plain alternative matches the empty text
            if not starts:
                header.append(match[1])
            fields += 1
            if match[2] != self.delimiter or match.end() == len(text):
                if fields > 1 or match[1]:  # empty lines are no records
                    starts.append(begin)
                elif not starts:
                    header.clear()
                begin, fields = match.end(), 0
        names = [unquoted(h.removeprefix("\ufeff")) for h in header]
        if lacking := [name for name in self.columns or (self.column,) if name not in names]:
            raise DataError(f"{str(self.path)!r} has no column {lacking[0]!r} in its first line.")
        self._at = [names.index(name) for name in self.columns or (self.column,)]
        bounds = [*starts[1:], len(text)]
        return text[: bounds[0]], [text[a:b] for a, b in pairwise(bounds)]

    def spelling(self, row: int) -> str:
        return unquoted(super().spelling(row))

    def _spans(self, row: str) -> list[tuple[int, int]]:
        fields = [match.span(1) for match in islice(self._field.finditer(row), max(self._at) + 1)]
        return [fields[at] if at < len(fields) else (len(row), len(row)) for at in self._at]

    def _spelled(self, before: list[str], label: str) -> list[str]:
        return list(map(self._quoted, before, self.spell(label)))

    def _quoted(self, before: str, value: str) -> str:
        if before.startswith('"') or any(c in value for c in (self.delimiter, '"', "\r", "\n")):
            return '"' + value.replace('"', '""') + '"'
        return value


def unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' else field


class JsonlRows(_TextRows):
    """A JSON Lines file. Rows with several labels get the field ``<label>_multi``."""

    def _split(self, text: str) -> tuple[str, list[str]]:
        head, rows = "", []
        for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):  # other separators are characters of texts
            if line.strip():
                rows.append(line)
            elif rows:
                rows[-1] += line
            else:
                head += line
        return head, rows

    def _spans(self, row: str) -> list[tuple[int, int]]:
        fields = self._fields(row)
        return [fields[name][1:] for name in self.columns or (self.column,)]

    def _with_multi(self, row: str, labels: tuple[str, ...] | None) -> str:
        name = f"{self.column}_multi"
        spans = self._fields(row)
        if name in spans:
            if not self.owns_multi:
                raise DataError(
                    f"{str(self.path)!r} has a field {name!r} already, where several labels would be written.",
                    "Rename it, or write the corrections to a table with --mapping FILE.csv.",
                )
            before, _, end = spans[name]
            row = row[:before] + row[end:]
        if labels is None:
            return row
        close = row.rindex("}")
        start = len(row[:close].rstrip())
        return f"{row[:start]}, {json.dumps(name)}: {json.dumps(list(labels), ensure_ascii=False)}{row[start:]}"

    def _fields(self, row: str) -> dict[str, tuple[int, int, int]]:
        """Top-level key to (end of the value before it, start and end of its value)."""
        decoder, spans = json.JSONDecoder(), dict[str, tuple[int, int, int]]()
        with parsing(self.path, "JSON Lines"):
            place = last = row.index("{") + 1
            while (place := _after(row, place, ",")) < len(row) and row[place] != "}":
                key, place = decoder.raw_decode(row, place)
                start = _after(row, place, ":")
                _, place = decoder.raw_decode(row, start)
                spans[key] = (last, start, place)
                last = place
        if lacking := [name for name in self.columns or (self.column,) if name not in spans]:
            raise DataError(f"{str(self.path)!r}: a row has no field {lacking[0]!r}: {row[:80]!r}.")
        return spans


def _after(text: str, place: int, sign: str) -> int:
    """Where blanks and `sign` end."""
    return len(text) - len(text[place:].lstrip(" \t\r\n" + sign))
