"""What annotation tools' tasks share: which item a task is about, and the answer of more than half of its people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from auditor.core.errors import DataError
from auditor.core.hashing import hash_bytes
from auditor.patch.convert.base import MISSING, Correction, DataView

#: Uploaded files get eight hex digits in front.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")

#: Labels, in the order of their names, and the reason where there is none.
Answer = tuple[tuple[str, ...], str | None]


def voted(
    tasks: Iterable[tuple[Any, Sequence[Answer], str]], data: DataView, unanswered_is: str
) -> tuple[list[Correction], list[str]]:
    """Corrections by the answer of more than half, and notes on the tasks that were left out.

    Parameters
    ----------
    tasks : iterable of (what is known of the item, answers, where in the file)
    data : DataView
    unanswered_is : str
        What a task without an answer is called in the note, e.g. ``"tasks without an annotation"``.

    Raises
    ------
    DataError
        If an answered task is about no item of the data.
    """
    corrections, unanswered, split_votes = [], 0, 0
    for about, answers, where in tasks:
        if not answers:
            unanswered += 1
            continue
        row = row_of_task(about, data, where)
        if row is None:
            raise DataError(f"{where}: its item is not in {data.part.name!r}.", MISSING)
        (answer, most), n = Counter(answers).most_common(1)[0], len(answers)
        if 2 * most <= n:
            split_votes += 1
            continue
        votes = dict(sorted(Counter(_word(a, data.names[row]) for a in answers).items()))
        more = {"verdict": _word(answer, data.names[row]), "votes": votes, "n": n}
        corrections.append(Correction(row, answer[0], answer[1], more))
    notes = [f"{unanswered} {unanswered_is} were left out"] * bool(unanswered)
    notes += [f"{split_votes} tasks on which no answer has more than half were left out"] * bool(split_votes)
    return corrections, notes


def _word(answer: Answer, given: str) -> str:
    """An answer in the words of `auditor`'s verdicts."""
    labels, reason = answer
    if reason is not None:
        return reason
    if labels == (given,):
        return "given"
    return f"other:{labels[0]}" if len(labels) == 1 else "both"


def row_of_task(about: Any, data: DataView, where: str) -> int | None:
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
