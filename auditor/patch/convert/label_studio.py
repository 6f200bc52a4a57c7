"""Label Studio: the JSON export of a project with one Choices control.

Source: labelstud.io, "Label Studio Task Format". Every person's annotation is a vote; more than half must agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from auditor.core.errors import DataError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_bytes
from auditor.patch.convert.base import MISSING, Correction, DataView, Options
from auditor.patch.records import REASONS, Patch, PatchRecord

#: Second control of the tasks that `auditor` writes: items without a class.
_VERDICT = "verdict"
#: Uploaded files get eight hex digits in front.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")

Answer = tuple[tuple[str, ...], str | None]


class LabelStudio:
    """Tasks with annotations of type ``choices``; several choices are several labels."""

    summary = "Label Studio JSON export, Choices control; annotators vote"
    needs_data_to_write = False

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        tasks = read_json(path)
        if not isinstance(tasks, list) or not all(isinstance(t, dict) for t in tasks):
            raise DataError(f"{str(path)!r} is not a JSON export of Label Studio.", "Export as JSON, not JSON-MIN.")
        _refuse_other_exports(tasks, str(path))
        control = _control(tasks, str(path))
        corrections, unanswered, split_votes = [], 0, 0
        for number, task in enumerate(tasks):
            where = f"{str(path)!r}, task {task.get('id', number)}"
            answers = [
                a for a in (_answer(annotation, control, data, where) for annotation in _annotations(task, where)) if a
            ]
            if not answers:
                unanswered += 1
                continue
            row = _row(task.get("data"), data, where)
            if row is None:
                raise DataError(f"{where}: its item is not in {data.part.name!r}.", MISSING)
            (answer, most), n = Counter(answers).most_common(1)[0], len(answers)
            if 2 * most <= n:
                split_votes += 1
                continue
            votes = dict(sorted(Counter(_word(a, data.names[row]) for a in answers).items()))
            more = {"verdict": _word(answer, data.names[row]), "votes": votes, "n": n}
            corrections.append(Correction(row, answer[0], answer[1], more))
        notes = [f"{unanswered} tasks without an annotation were left out"] * bool(unanswered)
        notes += [f"{split_votes} tasks on which no answer has more than half were left out"] * bool(split_votes)
        return corrections, notes

    def write(self, patch: Patch, path: Path, data: DataView | None, options: Options) -> list[str]:
        write_json(path, [_task(number, record) for number, record in enumerate(patch.records, start=1)])
        return ["votes are kept in each task's data; Label Studio sees one annotation"]


def _annotations(task: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        raise DataError(f"{where}: 'annotations' is not a list of objects.")
    return [a for a in annotations if not a.get("was_cancelled")]


def _results(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [result for result in _of_any_type(annotation) if result.get("type") == "choices"]


def _of_any_type(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = annotation.get("result")
    return [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []


def _refuse_other_exports(tasks: list[Any], where: str) -> None:
    """JSON-MIN, and controls that give no class, must not look like tasks that nobody answered.

    Raises
    ------
    DataError
    """
    if tasks and not any("annotations" in task or "completions" in task for task in tasks):
        short = "a JSON-MIN export" if any("annotation_id" in task for task in tasks) else "without annotations"
        raise DataError(f"{where!r} is {short} of Label Studio, which does not say what was asked.", "Export as JSON.")
    results = [r for t in tasks for a in _annotations(t, where) for r in _of_any_type(a)]
    kinds = {str(r.get("type")) for r in results}
    if kinds and "choices" not in kinds:
        raise DataError(
            f"{where!r} holds no Choices, only {', '.join(sorted(kinds))}: no control gives an item its class.",
            "Export a project whose class is a Choices control.",
        )


def _control(tasks: list[Any], where: str) -> str:
    """Name of the one control with the class."""
    names = {str(r.get("from_name")) for t in tasks for a in _annotations(t, where) for r in _results(a)} - {_VERDICT}
    if len(names) > 1:
        raise DataError(
            f"{where!r} has several Choices controls: {', '.join(sorted(names))}.", "Export the one with the class."
        )
    return names.pop() if names else "label"


def _answer(annotation: Mapping[str, Any], control: str, data: DataView, where: str) -> Answer | None:
    labels: list[str] = []
    for result in _results(annotation):
        value = result.get("value")
        choices = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(choices, list):
            raise DataError(f"{where}: a result of type choices has no list of choices.")
        if result.get("from_name") == _VERDICT:
            if len(choices) == 1 and choices[0] in REASONS:
                return (), choices[0]
        elif result.get("from_name") == control:
            labels += [data.class_name(c, where) for c in choices]
    return (tuple(sorted(set(labels))), None) if labels else None


def _word(answer: Answer, given: str) -> str:
    """An answer in the words of `auditor`'s verdicts."""
    labels, reason = answer
    if reason is not None:
        return reason
    if labels == (given,):
        return "given"
    return f"other:{labels[0]}" if len(labels) == 1 else "both"


def _row(about: Any, data: DataView, where: str) -> int | None:
    if not isinstance(about, dict):
        return None
    if isinstance(about.get("id"), str) and (row := data.rows.by_id(about["id"])) is not None:
        return row
    for key in ("hash", "content_hash"):
        if isinstance(about.get(key), str):
            rows = [k for k in data.rows.by_hash(about[key]) if about.get("given") in (None, data.names[k])]
            return rows[0] if rows else None
    texts = [value for value in about.values() if isinstance(value, str)]
    for text in texts:  # a text is its own content
        if rows := data.rows.by_hash(hash_bytes(text.encode("utf-8", "surrogatepass"))):
            return rows[0]
    if data.part.items.paths is None:
        return None
    named = {row for text in texts if (row := _row_of_file(text, data, where)) is not None}
    if len(named) > 1:
        raise DataError(f"{where}: its data name {len(named)} items.", "Export tasks with one file each.")
    return named.pop() if named else None


def _row_of_file(value: str, data: DataView, where: str) -> int | None:
    """Row of the file a task's address speaks of: ``/data/local-files/?d=cat/1.png``,
    ``/data/upload/3/1a2b3c4d-1.png``."""
    try:
        parts = urlsplit(value)
    except ValueError:  # no address, but a text with brackets
        return None
    local = parse_qs(parts.query).get("d")
    path = unquote(local[0] if local else parts.path)
    head, _, name = path.rpartition("/")
    if "/upload/" in f"{head}/":  # its own name is left; the folders are Label Studio's
        return data.row_of_upload(_UPLOAD.sub("", name), where)
    return data.row_of_path(path.removeprefix("/") if parts.scheme not in ("", "file") else path, where)


def _task(number: int, record: PatchRecord) -> dict[str, Any]:
    label, control = (list(record.to), "label") if record.op != "drop" else ([record.reason], _VERDICT)
    about: dict[str, Any] = {
        "hash": record.id,
        "given": record.from_label,
        "index": record.index,
        "image": record.path,
        "votes": record.votes and dict(record.votes),
    }
    result = {
        "id": f"r{number}",
        "from_name": control,
        "to_name": "item",
        "type": "choices",
        "value": {"choices": label},
    }
    return {
        "id": number,
        "data": {k: v for k, v in about.items() if v is not None},
        "annotations": [{"id": number, "was_cancelled": False, "ground_truth": True, "result": [result]}],
        "predictions": [],
    }
