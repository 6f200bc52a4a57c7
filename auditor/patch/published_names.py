"""Published verdicts beside the data: its rows and its spelling of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from auditor.core.errors import DataError, UnreadableError
from auditor.core.files import read_json
from auditor.review.published import PublishedItem

__all__ = ["read_index", "renamed"]


def read_index(path: Path) -> list[str]:
    """Row to file name: a JSON list, a JSON object from row number to name, or a text file with a name a line.

    Raises
    ------
    DataError
        If it is none of these.
    """
    if path.suffix.lower() in (".txt", ".lst"):
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableError(f"cannot read {str(path)!r}: {error}.") from error
    value = read_json(path)
    if isinstance(value, dict) and set(value) == {str(k) for k in range(len(value))}:
        value = [value[str(k)] for k in range(len(value))]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise DataError(f"{str(path)!r} is not a list of file names.", "Give index.json of the label-errors data.")
    return value


def renamed(items: Sequence[PublishedItem], class_names: Sequence[str]) -> tuple[list[PublishedItem], list[str]]:
    """Published class names in the spelling of the data; by number where they differ.

    Raises
    ------
    DataError
        If neither names nor numbers fit.
    """
    names = {n for item in items for n in (*item.given, *item.guessed) if n}
    if names <= set(class_names):
        return list(items), []
    table: dict[str, str] = {}
    if items[0].schema in ("class", "imagenet"):
        for item in items:
            for name, number in ((item.given[0], item.given_index), (item.guessed[0], item.guessed_index)):
                if number is not None and 0 <= number < len(class_names):
                    table[name] = class_names[number]
    elif items[0].schema == "imdb" and len(class_names) == 2:
        table = dict(zip(("Negative", "Positive"), class_names, strict=True))
    missing = sorted(names - set(table))
    if missing or len(set(table.values())) < len(table):
        raise DataError(
            f"the verdicts speak of the class {(missing or sorted(names))[0]!r}, the data has: "
            f"{', '.join(map(repr, class_names[:12]))}{', ..' if len(class_names) > 12 else ''}.",
            "Take the data the verdicts were given for.",
        )
    swap = lambda old: tuple(table.get(n, n) for n in old)  # noqa: E731
    changed = [replace(item, given=swap(item.given), guessed=swap(item.guessed)) for item in items]
    return changed, ["class names differ from the published ones; matched by their numbers"]
