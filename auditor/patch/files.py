"""Read and write ``*.labelpatch.jsonl``, trusting nothing in the file."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError, EmptyDataError, UnreadableError
from auditor.core.files import atomic_write
from auditor.patch.records import (
    Patch,
    PatchRecord,
    check_patch,
    header_from_json,
    header_to_json,
    record_from_json,
    record_to_json,
)

__all__ = ["MAX_LINE", "SUFFIX", "load_schema", "read_patch", "strict_json", "write_patch"]

SUFFIX = ".labelpatch.jsonl"
#: Longest line in bytes. A header with 100,000 class names of 30 letters fits.
MAX_LINE = 4 << 20
_BOM = b"\xef\xbb\xbf"


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
    header, records, notes = None, [], []
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
                if not raw.strip():
                    continue
                value = strict_json(raw, f"{where}, line {number}")
                if header is None:
                    header = header_from_json(value, where)
                else:
                    records.append(record_from_json(value, f"{where}, line {number}", number))
    except OSError as error:
        raise UnreadableError(f"cannot read {where}: {error.strerror or error}.", "Check the path.") from error
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


def write_patch(patch: Patch, path: Path | str) -> None:
    """Write a patch, atomically, after the same checks as `read_patch`.

    Raises
    ------
    DataError
        If the patch breaks a rule, or the name does not end in ``.labelpatch.jsonl``.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise DataError(f"{str(path)!r}: the name of a label patch ends in {SUFFIX}.", f"Use {path.stem}{SUFFIX}.")
    header = header_from_json(header_to_json(patch.header), "the new patch")
    records: list[PatchRecord] = [
        record_from_json(record_to_json(r), f"the new patch, record {k}", 0) for k, r in enumerate(patch.records)
    ]
    check_patch(header, records, "the new patch")
    lines = [header_to_json(header), *(record_to_json(r) for r in records)]
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    with atomic_write(path) as handle:
        handle.write(text.encode("utf-8"))
