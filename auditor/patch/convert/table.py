"""CSV: one correction a line. What `auditor` writes keeps every field; what others write needs only a few."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError
from auditor.core.escaping import csv_rows, csv_text
from auditor.core.files import parse_json, write_text
from auditor.core.reading import reading
from auditor.patch.convert.base import MISSING, Correction, DataView, Options
from auditor.patch.records import FIELDS, Patch, labels_cell, record_to_json

COLUMNS = ("hash", *FIELDS)
#: Other names that are understood.
_ALIASES = {
    "from": ("from", "given", "given_label", "label"),
    "to": ("to", "corrected", "corrected_label", "new_label", "suggested_label"),
    "path": ("path", "image", "file", "filename", "file_name"),
    "id": ("id", "item_id"),
    "index": ("index", "row"),
    "hash": ("hash", "content_hash"),
}


class Table:
    """Columns `COLUMNS`; rows are found by hash, id, path or index, in this order."""

    summary = "CSV with a line per correction: hash, id, path or index; from; to (or op and reason)"
    needs_data_to_write = False

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        with reading(path, "CSV") as file:
            rows = csv_rows(file.read_bytes().decode("utf-8-sig"))
        if not rows:
            return [], []
        known = {key: next((n for n in names if n in rows[0]), None) for key, names in _ALIASES.items()}
        if known["to"] is None or not any(known[k] for k in ("hash", "id", "path", "index")):
            raise DataError(
                f"{str(path)!r} has the columns {', '.join(map(str, rows[0]))}.",
                f"Needed: one of hash, id, path, index; and {' or '.join(_ALIASES['to'])}.",
            )
        corrections: list[Correction] = []
        for line, row in enumerate(rows, start=2):
            cell = {key: (row.get(name) or "") if name else "" for key, name in known.items()}
            corrections += _corrections(row, cell, data, f"{str(path)!r}, line {line}")
        return corrections, []

    def write(self, patch: Patch, path: Path, data: DataView | None, options: Options) -> list[str]:
        lines = []
        for r in patch.records:
            rows = [] if data is None else data.rows_of(r)
            item = str(data.part.ids[rows[0]]) if data is not None and rows else ""
            votes = None if r.votes is None else json.dumps(dict(r.votes), ensure_ascii=False)
            fields = record_to_json(r) | {"hash": r.id, "id": item, "to": labels_cell(r), "votes": votes}
            lines.append([fields.get(name) for name in COLUMNS])
        write_text(path, csv_text(COLUMNS, lines))
        return []


def _corrections(row: Mapping[str, str], cell: Mapping[str, str], data: DataView, where: str) -> list[Correction]:
    """One correction, or one for each copy where the row is named by its hash."""
    if cell["hash"]:
        places = [k for k in data.rows.by_hash(cell["hash"]) if cell["from"] in ("", data.names[k])]
    else:
        place = None
        if cell["id"]:
            place = data.rows.by_id(cell["id"])
        elif cell["path"]:
            place = data.row_of_path(cell["path"], where)
        elif cell["index"]:
            place = data.rows.by_index(int(_number(cell["index"], int, where)))
        places = [] if place is None else [place]
    if not places:
        raise DataError(f"{where}: its item is not in {data.part.name!r}, or labelled otherwise.", MISSING)
    if cell["from"] and cell["from"] != data.names[places[0]]:
        raise DataError(f"{where}: the item is labelled {data.names[places[0]]!r}, not {cell['from'][:80]!r}.")
    labels, reason = _labels(row, cell["to"], data, where)
    more: dict[str, Any] = {k: row.get(k) or None for k in ("verdict", "note")}
    more |= {k: None if not row.get(k) else _number(row[k], int, where) for k in ("n", "rank")}
    more["posterior"] = _number(row["posterior"], float, where) if row.get("posterior") else None
    more["votes"] = _json(row["votes"], dict, where) if row.get("votes") else None
    return [Correction(k, labels, reason, more) for k in places]


def _labels(row: Mapping[str, str], to: str, data: DataView, where: str) -> tuple[tuple[str, ...], str | None]:
    op = row.get("op") or "relabel"
    if op == "drop":
        return (), row.get("reason") or "neither"
    if op not in ("relabel", "multi"):
        raise DataError(f"{where}: unknown operation {op[:80]!r}.", "Known: relabel, multi, drop.")
    names = [to] if op == "relabel" else _json(to, list, where)
    return tuple(data.class_name(name, where) for name in names), None


def _number(text: str, kind: type, where: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise DataError(f"{where}: {text[:80]!r} is not a number.") from error


def _json(text: str, kind: type, where: str) -> Any:
    try:
        value = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {text[:80]!r} is not JSON.") from error
    if not isinstance(value, kind):
        raise DataError(f"{where}: {text[:80]!r} is not a JSON {'list' if kind is list else 'object'}.")
    return value
