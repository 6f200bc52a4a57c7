"""Argilla: records of a data set with one label question, as ``dataset.records.to_json`` writes them.

Source: argilla 2.8, `Record.to_dict`. Every person's response is a vote; more than half must agree. A record finds its
item by its id, by the hash in its metadata, by a text or by a path among its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.errors import DataError
from auditor.core.files import read_json, write_json
from auditor.patch.convert.base import Correction, DataView, Options
from auditor.patch.convert.votes import Answer, voted
from auditor.patch.records import REASONS, Patch, PatchRecord

#: Second question of the records that `auditor` writes: items without a class.
_VERDICT = "verdict"


class Argilla:
    """Records with responses to a LabelQuestion or a MultiLabelQuestion; several values are several labels."""

    summary = "Argilla records (dataset.records.to_json), one label question; people vote"
    needs_data_to_write = False

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        records = read_json(path)
        if not isinstance(records, list) or not all(isinstance(r, dict) and "responses" in r for r in records):
            raise DataError(f"{str(path)!r} holds no records of Argilla.", "Write them with dataset.records.to_json.")
        question = _question(records, str(path))
        answered = []
        for number, record in enumerate(records):
            where = f"{str(path)!r}, record {record.get('id', number)}"
            answers = [_answer(name, value, data, where) for name, value in _responses(record, question, where)]
            about = {**_object(record, "fields"), **_object(record, "metadata"), "id": record.get("id")}
            answered.append((about, answers, where))
        return voted(answered, data, "records without a response")

    def write(self, patch: Patch, path: Path, data: DataView | None, options: Options) -> list[str]:
        write_json(path, [_record(record) for record in patch.records])
        return ["votes are kept in each record's metadata; Argilla sees one suggestion"]


def _object(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _question(records: list[Any], where: str) -> str:
    """Name of the one question with the class.

    Raises
    ------
    DataError
    """
    names = {str(name) for record in records for name, given in _object(record, "responses").items() if given}
    names -= {_VERDICT}
    if len(names) > 1:
        raise DataError(
            f"{where!r} has responses to several questions: {', '.join(sorted(names))}.",
            "Leave the one with the class.",
        )
    return names.pop() if names else "label"


def _responses(record: Mapping[str, Any], question: str, where: str) -> list[tuple[str, Any]]:
    """(question, value) of each person."""
    found = []
    for name in (question, _VERDICT):
        given = _object(record, "responses").get(name) or []
        if not isinstance(given, list) or not all(isinstance(one, dict) and "value" in one for one in given):
            raise DataError(f"{where}: the responses to {name!r} are no list of objects with a value.")
        found += [(name, one["value"]) for one in given if one["value"] is not None]
    return found


def _answer(name: str, value: Any, data: DataView, where: str) -> Answer:
    if name == _VERDICT and value in REASONS:
        return (), value
    values = value if isinstance(value, list) else [value]
    return tuple(sorted({data.class_name(one, where) for one in values})), None


def _record(record: PatchRecord) -> dict[str, Any]:
    about = {"hash": record.id, "given": record.from_label, "index": record.index, "path": record.path}
    about["votes"] = None if record.votes is None else "; ".join(f"{name}: {n}" for name, n in record.votes.items())
    one = record.to[0] if len(record.to) == 1 else list(record.to)
    answer = {_VERDICT: record.reason} if record.op == "drop" else {"label": one}
    return {
        "id": f"{record.id} {record.from_label}",
        "fields": {"item": record.path or record.id},
        "metadata": {name: value for name, value in about.items() if value is not None},
        "suggestions": {name: {"value": value, "score": None, "agent": "auditor"} for name, value in answer.items()},
        "responses": {name: [{"value": value, "user_id": _NOBODY}] for name, value in answer.items()},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }


#: Argilla's people are UUIDs; the patch does not say who voted.
_NOBODY = "00000000-0000-0000-0000-000000000000"
