"""The verdicts of a store that is damaged: what a database still gives, and what stands in the pages of its file.

A row of SQLite lies in one piece in its page, behind a header that says how long each of its values is. Events carry a
checksum over all they say and the item they speak of, so that a row found anywhere in the file or its log is known to
be what was stored, whatever has become of the pages that led to it. Rows longer than a page are not found so.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from auditor.core.errors import RunError, UnreadableError, UsageError
from auditor.core.reading import reading
from auditor.review import schema
from auditor.review.carry_over import Judged, Vote, judged_in
from auditor.review.checksums import SAID, SUBJECT, checksum
from auditor.review.database import NewerStoreError, sqlite_file, store_url
from auditor.review.loading import RunTables, item_rows_of
from auditor.review.log import log_of
from auditor.review.people import checked_reviewer, person_key
from auditor.review.store import VerdictStore
from auditor.review.vocabulary import canonical

#: How often a store is copied that changes meanwhile.
_TRIES: Final = 5
_COPY: Final = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"
#: Serial types in the header of a row: of texts, of texts or nothing, of numbers, of numbers or nothing.
_TEXT: Final = rb"(?:[\x0d-\x7f]|[\x81-\xff][\x00-\x7f])"
_TEXT_OR_NOT: Final = rb"(?:\x00|" + _TEXT + rb")"
_WHOLE: Final = rb"[\x01-\x06\x08\x09]"
_NUMBER_OR_NOT: Final = rb"[\x00-\x09]"
#: Beginnings of the headers of events (both kinds have seven letters) and of items. The key is no value of the row.
_EVENT: Final = re.compile(rb"(?=[\x0f-\x40]\x00" + _TEXT + rb"\x1b" + _TEXT_OR_NOT + _WHOLE + _TEXT + rb")", re.DOTALL)
_ITEM: Final = re.compile(
    rb"(?=[\x11-\x40]\x00" + _TEXT + _TEXT_OR_NOT + _NUMBER_OR_NOT + _TEXT_OR_NOT * 2 + _TEXT + _TEXT_OR_NOT + rb")",
    re.DOTALL,
)
#: How many events SQLite has numbered.
_COUNTED: Final = re.compile(rb"\x03\x19([\x01-\x06\x08\x09])events(.{8})", re.DOTALL)
_SIZES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
_REAL: Final = {"client_time", "server_time", "inclusion"}


def judged_in_file(where: str, run: RunTables) -> Judged:
    """The verdicts that hold in a store, read from its pages where it is damaged. Its file stays as it is.

    Parameters
    ----------
    where : str
        As in `Database`.
    run : RunTables
        Its items stand in for those of the store that are damaged, too.

    Raises
    ------
    RunError
        If there is no store, a newer version wrote it, or nothing in it can be read.
    """
    path = sqlite_file(where)
    if path is None or not path.is_file():
        with VerdictStore.open(where, make=False) as source:
            return judged_in(source)
    with TemporaryDirectory(prefix="auditor-store-") as folder:
        copy = Path(folder) / f"copy{path.suffix}"
        if not _copied(path, copy):  # somebody writes to it all the time: it is whole
            with VerdictStore.open(where, make=False) as source:
                return judged_in(source)
        try:
            judged = _read_copy(copy, run)
        except RunError as error:
            texts = [text and text.replace(str(copy), str(path)) for text in (error.what, error.way_out)]
            raise type(error)(str(texts[0]), texts[1]) from error
    notes = tuple(note.replace(str(copy), str(path)) for note in judged.notes)
    return replace(judged, url=store_url(where), notes=notes)


def _copied(path: Path, copy: Path) -> bool:
    """Copy a store and its log, as they are at one moment; False where they never stood still.

    By a process of its own, whose locks are not ours: closing a file drops all locks of its process on it.
    """

    def state() -> list[tuple[int, int]]:
        return [(f.stat().st_size, f.stat().st_mtime_ns) for f in (path, log_of(path)) if f.is_file()]

    for _ in range(_TRIES):
        before = state()
        for suffix in ("", "-wal", "-shm", "-wal-damaged"):
            if Path(f"{path}{suffix}").is_file():
                files = [f"{path}{suffix}", f"{copy}{suffix}"]
                done = subprocess.run(
                    [sys.executable, "-c", _COPY, *files], capture_output=True, text=True, check=False
                )
                if done.returncode:
                    said = (done.stderr.strip().splitlines() or ["it ended"])[-1]
                    raise UnreadableError(f"cannot copy {files[0]!r}: {said}.")
        if state() == before:
            return True
    return False


def _read_copy(copy: Path, run: RunTables) -> Judged:
    carved, judged, problem = _carved(copy, run), Judged((), {}), None
    try:
        with VerdictStore.open(copy, make=False, salvage=True) as source:
            judged = judged_in(source)
    except NewerStoreError:
        raise
    except RunError as error:
        problem = error
    if problem is None and not judged.damaged:
        return judged
    if problem is not None and not carved.events:
        raise problem
    return _together(judged, carved, copy)


@dataclass
class _Carved:
    """Events as they stand in pages.

    Attributes
    ----------
    events : dict of int to dict
        By number: values by the names of `SAID`, and the item's under ``subject``. Those with their checksum, or from
        before there were checksums.
    broken : set of int
        Numbers of others.
    counted : int
        Events that there were, as far as can be seen.
    unsealed : int
        Events without a checksum among `events`.
    """

    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    counted: int = 0
    unsealed: int = 0


def _together(judged: Judged, carved: _Carved, path: Path) -> Judged:
    """The verdicts that hold by both."""
    taken_back = {event["target_uuid"] for event in carved.events.values()}
    last: dict[tuple[str, str], Vote] = {}
    for number, event in sorted(carved.events.items()):
        if event["kind"] == "verdict" and event["event_uuid"] not in taken_back:
            vote = Vote(**{name: event[name] for name in Vote._fields if name in event}, **event["subject"])
            last[person_key(vote.reviewer), vote.item_id] = vote._replace(event=number)
    for vote in judged.votes:  # rows that are longer than a page
        if vote.event_uuid not in taken_back and vote.event not in carved.events:
            person = person_key(vote.reviewer)
            before = last.setdefault((person, vote.item_id), vote)
            last[person, vote.item_id] = max(before, vote, key=lambda one: one.event)
    known = {*carved.events, *(vote.event for vote in judged.votes)}
    counted = max(carved.counted, max(known, default=0))
    damaged = {
        number: "it is not what was stored" if number in carved.broken else "it is gone"
        for number in range(1, counted + 1)
        if number not in known
    }
    notes = [
        f"{str(path)!r} is damaged. Of {counted:,} events {len(known):,} were read, from its pages and its log; "
        f"{len(damaged):,} are missing{', undos perhaps among them' if damaged else ''}"
    ]
    if carved.unsealed:
        notes.append(f"{carved.unsealed:,} of them are older than checksums: nothing proves that they are whole")
    return replace(judged, votes=sorted(last.values()), damaged=damaged, notes=(*judged.notes, *notes))


def _carved(path: Path, run: RunTables) -> _Carved:
    files = [file for file in (path, log_of(path), Path(f"{log_of(path)}-damaged")) if file.is_file()]
    raws = []
    for file in files:
        with reading(file, "pages of a store"):
            raws.append(file.read_bytes())
    subjects: dict[int, list[tuple[Any, ...]]] = {
        item: [subject] for item, subject in enumerate(item_rows_of(run, SUBJECT), 1)
    }
    names = [column.name for column in schema.items.columns]
    for raw in raws:
        for item, values in _rows(raw, _ITEM, (len(names) - 1, len(names))):
            row = dict(zip(names, values, strict=False))
            subjects.setdefault(item, []).append(tuple(row[name] for name in SUBJECT))
    carved = _Carved()
    for raw in raws:
        for number, values in _rows(raw, _EVENT, (len(SAID), len(SAID) + 1)):
            event = dict(zip(SAID, values, strict=False)) | {"event": number}
            event |= {name: float(event[name]) for name in _REAL if isinstance(event[name], int)}
            if event["kind"] not in ("verdict", "retract") or number in carved.events:
                continue
            sealed = values[-1] if len(values) > len(SAID) else None
            of_item = subjects.get(event["item"], [])
            fits = [s for s in of_item if _is_sound(event, s, sealed, run.class_names)]
            if fits:
                carved.events[number] = event | {"subject": dict(zip(SUBJECT, fits[0], strict=True))}
                carved.unsealed += sealed is None
            else:
                carved.broken.add(number)
        for match in _COUNTED.finditer(raw):
            carved.counted = max(carved.counted, int(_value(match[1][0], match[2][: _SIZES[match[1][0]]])))
    # A damaged number may be any: it counts only where most of what it stands for was seen.
    seen = max([*carved.events, *carved.broken], default=0)
    if carved.counted > 2 * seen + 1000:
        carved.counted = 0
    carved.broken = {number for number in carved.broken if number <= max(carved.counted, *carved.events, 0)}
    return carved


def _is_sound(event: dict[str, Any], subject: Sequence[Any], sealed: str | None, classes: Sequence[str]) -> bool:
    if sealed is not None:
        return checksum([*(event[name] for name in SAID), *subject]) == sealed
    _, _, given, suggested = subject
    try:
        checked_reviewer(event["reviewer"])
        if event["kind"] == "retract":
            return event["target_uuid"] is not None
        canonical(event["verdict"], given, suggested, classes)
    except (ValueError, UsageError):
        return False
    return bool(event["shown_label"] == given)


def _rows(raw: bytes, header: re.Pattern[bytes], widths: tuple[int, int]) -> Iterator[tuple[int, list[Any]]]:
    """Key and values of each row whose header begins so and that has as many values, the first of which is nothing."""
    for match in header.finditer(raw):
        at = match.start()
        end = at + raw[at]
        place, kinds = at + 1, []
        while place < min(end, len(raw)):
            kind, place = _varint(raw, place)
            kinds.append(kind)
        if place != end or len(kinds) not in widths or any(kind in (10, 11) for kind in kinds):
            continue
        key, values = _key_before(raw, at), list[Any]()
        try:
            for kind in kinds:
                size = _SIZES[kind] if kind < 12 else (kind - 12) // 2
                values.append(_value(kind, raw[place : place + size]))
                place += size
        except (UnicodeDecodeError, struct.error):
            continue
        if key and place <= len(raw):
            yield key, values


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = 0
    for length in range(9):
        if place + length >= len(raw):
            break
        byte = raw[place + length]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, place + length + 1


def _key_before(raw: bytes, at: int) -> int:
    """The row's key, which ends where its header begins; 0 if there is none."""
    start = at - 1
    if start < 0 or raw[start] > 0x7F:
        return 0
    while start > 0 and at - start < 8 and raw[start - 1] > 0x7F:
        start -= 1
    return _varint(raw, start)[0]


def _value(kind: int, data: bytes) -> Any:
    if kind == 0:
        return None
    if kind == 7:
        return struct.unpack(">d", data)[0]
    if kind < 10:
        return int.from_bytes(data, signed=True) if kind < 8 else kind - 8
    return data.decode() if kind % 2 else data
