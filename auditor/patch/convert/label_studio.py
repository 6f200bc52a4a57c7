"""Label Studio: the JSON export of a project with one Choices control.

Source: labelstud.io, "Label Studio Task Format". Every person's annotation is a vote; more than half must agree.
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

#: Second control of the tasks that `auditor` writes: items without a class.
_VERDICT = "verdict"


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
        answered = []
        for number, task in enumerate(tasks):
            where = f"{str(path)!r}, task {task.get('id', number)}"
            answers = [_answer(annotation, control, data, where) for annotation in _annotations(task, where)]
            answered.append((task.get("data"), [a for a in answers if a], where))
        return voted(answered, data, "tasks without an annotation")

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
