"""Read and write ``*.labelpatch.jsonl`` and its parquet twin, trusting nothing in the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError, EmptyDataError, UnreadableError
from auditor.core.files import write_text
from auditor.patch.parquet_twin import PARQUET_SUFFIX, read_lines, write_lines
from auditor.patch.records import (
    Patch,
    PatchRecord,
    check_patch,
    header_from_json,
    header_to_json,
    record_from_json,
    record_to_json,
)
from auditor.patch.strict_json import strict_json

SUFFIX = ".labelpatch.jsonl"
#: Longest line in bytes. A header with 100,000 class names of 30 letters fits.
MAX_LINE = 4 << 20
_BOM = b"\xef\xbb\xbf"


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
    path = Path(path)
    where = repr(str(path))
    header, records = None, []
    notes: list[str] = []
    if path.name.endswith(PARQUET_SUFFIX):
        lines: Iterator[tuple[str, int, Any]] = (
            (f"{where}, row {k}" if k else where, k, value) for k, value in enumerate(read_lines(path))
        )
    else:
        lines = _lines(path, where, notes)
    for place, number, value in lines:
        if header is None:
            header = header_from_json(value, where)
        else:
            records.append(record_from_json(value, place, number))
    if header is None:
        raise EmptyDataError(f"{where} is empty.", "Make a patch with: auditor patch create RUN")
    check_patch(header, records, where)
    # The same outcome said twice (check_patch refuses two different ones): the first is kept.
    unique: dict[tuple[str, str], PatchRecord] = {}
    for record in records:
        unique.setdefault((record.id, record.from_label), record)
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
    records: list[PatchRecord] = [
        record_from_json(record_to_json(r), f"the new patch, record {k}", 0) for k, r in enumerate(patch.records)
    ]
    check_patch(header, records, "the new patch")
    if path.name.endswith(PARQUET_SUFFIX):
        write_lines(header_to_json(header), [record_to_json(r) for r in records], path)
        return
    lines = [header_to_json(header), *(record_to_json(r) for r in records)]
    write_text(path, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))
