"""What people wrote in a store that is damaged: what a database still gives, and what stands in the pages of its file.

A row of SQLite lies in one piece in its page, behind a header that says how long each of its values is; what does not
fit goes on in pages of its own. Verdicts, remarks and guidelines (`checksums.WRITTEN`) carry a checksum over all they
say and the item they speak of, so that a row found anywhere in the file or its log is known to be what was stored,
whatever has become of the pages that led to it.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import sqlalchemy as sa

from auditor.core.errors import RunError, UnreadableError, UsageError
from auditor.core.reading import reading
from auditor.review import schema
from auditor.review.carry_over import Judged, Said, Vote, judged_in
from auditor.review.checksums import EVENTS, GUIDELINES, REMARKS, SUBJECT, WRITTEN, Written
from auditor.review.database import NewerStoreError, sqlite_file, store_url
from auditor.review.guidelines import guideline_of
from auditor.review.loading import RunTables, form_of_run, item_rows_of
from auditor.review.log import FRAME as LOG_FRAME
from auditor.review.log import HEADER as LOG_HEADER
from auditor.review.log import log_of
from auditor.review.people import checked_reviewer, person_key
from auditor.review.store import VerdictStore
from auditor.review.vocabulary import Labels, canonical

#: How often a store is copied that changes meanwhile.
_TRIES: Final = 5
_COPY: Final = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"
#: Serial types in the header of a row: of texts, of whole numbers, of numbers.
_TEXT: Final = rb"[\x0d-\x7f]|[\x81-\xff][\x00-\x7f]|[\x81-\xff][\x80-\xff][\x00-\x7f]"
_WHOLE: Final = rb"[\x01-\x06\x08\x09]"
_NUMBER: Final = rb"[\x01-\x09]"
#: Bytes of a page: stores have those of SQLite's default.
_PAGE: Final = 4096
#: More than a row has: what says so is none.
_LONGEST: Final = 1 << 20
_SIZES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}


def judged_in_file(where: str, run: RunTables) -> Judged:
    """What people wrote in a store, read from its pages where it is damaged. Its file stays as it is.

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
    if problem is not None and not any(table.rows for table in carved.values()):
        raise problem
    return _together(judged, carved, copy)


@dataclass
class _Carved:
    """The rows of one table as they stand in pages.

    Attributes
    ----------
    rows : dict of tuple to dict
        By key: values by the names of the columns, and the item's under ``subject``. Those with their checksum, and
        events from before there were checksums.
    broken : set of tuple
        Keys of others.
    counted : int
        Rows that there were, as far as can be seen; 0 where the store does not number them.
    unsealed : int
        Rows without a checksum among `rows`.
    """

    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    broken: set[tuple[Any, ...]] = field(default_factory=set)
    counted: int = 0
    unsealed: int = 0


def _together(judged: Judged, carved: Mapping[str, _Carved], path: Path) -> Judged:
    """What holds by both."""
    events, remarks, rules = (carved[table.table.name].rows for table in WRITTEN)
    taken_back = {event["target_uuid"] for event in events.values()}
    last: dict[tuple[str, str], Vote] = {}
    for _, event in sorted(events.items()):
        if event["kind"] == "verdict" and event["event_uuid"] not in taken_back:
            vote = Vote(**{name: (event | event["subject"])[name] for name in Vote._fields})
            last[person_key(vote.reviewer), vote.item_id] = vote
    for vote in judged.votes:  # what no page gives, such as the end of a long row
        if vote.event_uuid not in taken_back and (vote.event,) not in events:
            person = person_key(vote.reviewer)
            before = last.setdefault((person, vote.item_id), vote)
            last[person, vote.item_id] = max(before, vote, key=lambda one: one.event)
    said = {(one.remark,): one for one in judged.remarks}
    said |= {key: Said(**{name: (row | row["subject"])[name] for name in Said._fields}) for key, row in remarks.items()}
    versions = {(one.class_name, one.version): one for one in judged.guidelines}
    versions |= {key: guideline_of({name: row[name] for name in GUIDELINES.said}) for key, row in rules.items()}
    known: dict[str, set[tuple[Any, ...]]] = {
        EVENTS.table.name: {*events, *((vote.event,) for vote in judged.votes)},
        REMARKS.table.name: set(said),
        GUIDELINES.table.name: set(versions),
    }
    damaged, notes = dict[tuple[str, tuple[Any, ...]], str](), list[str]()
    for written in WRITTEN:
        name = written.table.name
        table, there = carved[name], known[name]
        counted = _counted(written, table, there)
        wanted = {(number,) for number in range(1, counted + 1)} | table.broken
        wanted |= {key for other, key in judged.damaged if other == name}
        missing = sorted(wanted - there)
        broken = "it is not what was stored"
        damaged |= {(name, key): broken if key in table.broken else "it is gone" for key in missing}
        if there or missing:
            undos = ", undos perhaps among them" if missing and name == EVENTS.table.name else ""
            read = f"Of {max(counted, len(there) + len(missing)):,} {name} {len(there):,} were read"
            notes.append(f"{read}, from its pages and its log; {len(missing):,} are missing{undos}")
        if table.unsealed:
            notes.append(f"{table.unsealed:,} of them are older than checksums: nothing proves that they are whole")
    notes[:1] = [" ".join([f"{str(path)!r} is damaged.", *notes[:1]])]
    return replace(
        judged,
        votes=sorted(last.values()),
        damaged=damaged,
        notes=(*judged.notes, *notes),
        remarks=[one for _, one in sorted(said.items())],
        guidelines=[one for _, one in sorted(versions.items())],
    )


def _counted(written: Written, table: _Carved, there: Collection[tuple[Any, ...]]) -> int:
    """Rows that there were; 0 where the store does not number them."""
    if len(written.key) > 1:
        return 0
    # A number that no checksum covers may be any: it counts only where most of what it stands for was seen.
    proven, plausible = written.key[0] in written.said, 2 * len(there) + 1000
    return max(table.counted, *(number for (number,) in there if proven or number <= plausible), 0)


def _carved(path: Path, run: RunTables) -> dict[str, _Carved]:
    """The rows of `WRITTEN` by the name of the table."""
    files = [file for file in (path, log_of(path), Path(f"{log_of(path)}-damaged")) if file.is_file()]
    raws = []
    for file in files:
        with reading(file, "pages of a store"):
            raws.append(file.read_bytes())
    pages = _pages(raws[0], raws[1:])
    subjects: dict[int, list[dict[str, Any]]] = {
        item: [dict(zip(SUBJECT, values, strict=True))] for item, values in enumerate(item_rows_of(run, SUBJECT), 1)
    }
    for raw in raws:
        for row in _rows(raw, schema.items, pages):
            subjects.setdefault(row["item"], []).append({name: row[name] for name in SUBJECT})
    labels: Labels = form_of_run(run) or run.class_names
    return {written.table.name: _carve(raws, written, pages, subjects, labels) for written in WRITTEN}


def _carve(
    raws: Sequence[bytes],
    written: Written,
    pages: Mapping[int, bytes],
    subjects: Mapping[int, list[dict[str, Any]]],
    classes: Labels,
) -> _Carved:
    carved, name = _Carved(), written.table.name
    for raw in raws:
        for row in _rows(raw, written.table, pages):
            key = tuple(row[column] for column in written.key)
            if key in carved.rows or row.get("kind", "verdict") not in ("verdict", "retract"):
                continue
            of_item = subjects.get(row["item"], []) if written.subject else [{}]
            fits = [subject for subject in of_item if _is_sound(written, row, subject, classes)]
            if fits:
                carved.rows[key] = row | {"subject": fits[0]}
                carved.unsealed += row.get("checksum") is None
            else:
                carved.broken.add(key)
        # How many of them SQLite has numbered.
        header = re.escape(bytes([3, 13 + 2 * len(name)])) + b"(" + _WHOLE + b")" + name.encode() + b"(.{8})"
        for match in re.finditer(header, raw, re.DOTALL):
            carved.counted = max(carved.counted, int(_value(match[1][0], match[2][: _SIZES[match[1][0]]])))
    if len(written.key) > 1:  # without numbers nothing tells a broken row from what only looks like one
        return replace(carved, broken=set())
    # As `_counted` takes what is there.
    seen = len(carved.rows) + len(carved.broken)
    if carved.counted > 2 * seen + 1000:
        carved.counted = 0
    end = _counted(written, carved, carved.rows)
    return replace(carved, broken={key for key in carved.broken - set(carved.rows) if key[0] <= end})


def _is_sound(written: Written, row: Mapping[str, Any], subject: Mapping[str, Any], classes: Labels) -> bool:
    sealed = row.get("checksum")
    if sealed is not None:
        return written.seal(row, [subject[name] for name in written.subject]) == sealed
    if written is not EVENTS:  # which alone are older than their checksums
        return False
    try:
        checked_reviewer(row["reviewer"])
        if row["kind"] == "retract":
            return row["target_uuid"] is not None
        canonical(row["verdict"], subject["given"], subject["suggested"], classes)
    except (ValueError, UsageError):
        return False
    return bool(row["shown_label"] == subject["given"])


def _pages(store: bytes, logs: Sequence[bytes]) -> dict[int, bytes]:
    """Pages by number: the latest of a log, else that of the file."""
    pages = {1 + at // _PAGE: store[at : at + _PAGE] for at in range(0, len(store), _PAGE)}
    for log in logs:
        for at in range(LOG_HEADER, len(log), LOG_FRAME + _PAGE):
            pages[int.from_bytes(log[at : at + 4])] = log[at + LOG_FRAME : at + LOG_FRAME + _PAGE]
    return pages


def _header(table: sa.Table) -> re.Pattern[bytes]:
    """Beginnings of the headers of a table's rows: their own length, and what each value is.

    That of the checksum, which rows of earlier versions do not have, is left open. A number that is the key of the
    table is no value of the row.
    """
    columns = [column for column in table.columns if column.name != "checksum"]
    kinds = []
    for column in columns:
        kind = _TEXT if isinstance(column.type, sa.Text) else _NUMBER if isinstance(column.type, sa.Double) else _WHOLE
        kinds.append(b"\\x00" if _is_number_of(column) else b"(?:" + kind + (b"|\\x00)" if column.nullable else b")"))
    least = re.escape(bytes([1 + len(columns)]))
    return re.compile(b"(?=[" + least + rb"-\x40]" + b"".join(kinds) + b")", re.DOTALL)


def _is_number_of(column: sa.Column[Any]) -> bool:
    return column.primary_key and len(column.table.primary_key) == 1 and not isinstance(column.type, sa.Text)


def _rows(raw: bytes, table: sa.Table, pages: Mapping[int, bytes]) -> Iterator[dict[str, Any]]:
    """Values by column of each piece of `raw` that looks like a row of the table."""
    columns = list(table.columns)
    for match in _header(table).finditer(raw):
        at = match.start()
        end = at + raw[at]
        place, kinds = at + 1, []
        while place < min(end, len(raw)):
            kind, place = _varint(raw, place)
            kinds.append(kind)
        if place != end or not len(columns) - 1 <= len(kinds) <= len(columns):
            continue
        if any(kind in (10, 11) or (kind > 11 and kind % 2 == 0) for kind in kinds):  # no column holds bytes
            continue
        sizes = [_SIZES[kind] if kind < 12 else (kind - 13) // 2 for kind in kinds]
        content = _continued(raw, at, end - at + sum(sizes), pages)[end - at :]
        row, place = dict[str, Any](), 0
        try:
            for column, kind, size in zip(columns, kinds, sizes, strict=False):
                value = _value(kind, content[place : place + size])
                row[column.name] = float(value) if isinstance(column.type, sa.Double) and value is not None else value
                place += size
        except (UnicodeDecodeError, struct.error):
            continue
        if _is_number_of(columns[0]):
            row[columns[0].name] = _key_before(raw, at)
        if row[columns[0].name] and place <= len(content):
            yield row


def _continued(raw: bytes, at: int, length: int, pages: Mapping[int, bytes]) -> bytes:
    """A row of this length that begins at `at`; less of it where its end cannot be found.

    What does not fit into a page goes on in others, each of which names the next one (fileformat2.html of SQLite, 1.6).
    """
    if length > _LONGEST:
        return b""
    if length <= _PAGE - 35:
        return raw[at : at + length]
    least = (_PAGE - 12) * 32 // 255 - 23
    first = least + (length - least) % (_PAGE - 4)
    first = first if first <= _PAGE - 35 else least
    content, number = raw[at : at + first], int.from_bytes(raw[at + first : at + first + 4])
    while len(content) < length and len(page := pages.get(number, b"")) > 4:
        content, number = content + page[4:], int.from_bytes(page[:4])
    return content[:length]


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
