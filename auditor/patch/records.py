"""What a label patch is: a header, records, and the rules that hold inside the file (`docs/label-patch.md`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.core.errors import DataError
from auditor.core.hashing import hash_json
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME

VERSION: Final = "1"
OPS: Final = ("relabel", "multi", "drop")
REASONS: Final = ("neither", "bad_item")
LICENSES: Final = ("CC0-1.0", "CC-BY-4.0")
#: Verdicts without a class; ``other:<class>`` comes on top.
VERDICTS: Final = ("given", "suggested", "both", "neither", "unsure", "bad_item")
#: Fields of a record's JSON object, in the order they are written.
FIELDS = ("id", "index", "path", "op", "from", "to", "reason", "verdict", "votes", "n", "posterior", "rank", "note")
#: Item hashes this version can make again, by kind of data.
SCHEMES: Final = {
    RGB_SCHEME: "image",
    FILE_SCHEME: "image",
    "sha256-utf8": "text",
    "sha256-row-values": "table",
    "sha256-probability-row": "probabilities",
}
#: Splits models are judged on: no record without a human verdict.
EVALUATION_SPLITS: Final = frozenset({"test", "testing", "val", "valid", "validation", "dev"})

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class PatchHeader:
    """First line of a patch.

    Attributes
    ----------
    name, split : str, str or None
        Data set and split; None means all splits.
    n : int
        Rows of that split.
    fingerprint : str
        `Dataset.fingerprint` before the patch.
    hash_scheme : str
        How the ids of the records were made; a key of `SCHEMES`.
    classes : tuple of str
        In the order of the label integers.
    label_column : str
        The column the patch changes; ``"label"`` where the source has no columns (folders, arrays).
    created, tool, run, license : str
    version : str
    """

    name: str
    split: str | None
    n: int
    fingerprint: str
    hash_scheme: str
    classes: tuple[str, ...]
    label_column: str = "label"
    created: str = ""
    tool: str = ""
    run: str | None = None
    license: str = "CC0-1.0"
    version: str = VERSION


@dataclass(frozen=True)
class PatchRecord:
    """One correction.

    Attributes
    ----------
    id : str
        Content hash of the item: the anchor.
    op : str
        ``"relabel"``, ``"multi"`` or ``"drop"``.
    from_label : str
        Class name before.
    to : tuple of str
        One name for relabel, two or more for multi, none for drop.
    reason : str or None
        ``"neither"`` or ``"bad_item"``, for drop.
    verdict, votes, n, posterior :
        What the reviewers said.
    index, path :
        Hints; never used to find an item unless ``--force-index`` asks for it.
    rank, note :
    line : int
        Line in the file, for messages; 0 for records that were not read.
    """

    id: str
    op: str
    from_label: str
    to: tuple[str, ...] = ()
    reason: str | None = None
    verdict: str | None = None
    votes: Mapping[str, int] | None = None
    n: int | None = None
    posterior: float | None = None
    index: int | None = None
    path: str | None = None
    rank: int | None = None
    note: str | None = None
    line: int = field(default=0, compare=False)

    @property
    def outcome(self) -> tuple[str, tuple[str, ...]]:
        """What decides whether two records say the same: the operation and the set of labels after it."""
        return self.op, tuple(sorted(self.to)) if self.op == "multi" else self.to

    def where(self) -> str:
        """The record for messages: line, row hint and the start of the hash."""
        row = "" if self.index is None else f", row {self.index}"
        return f"line {self.line}{row} ({self.id[:15]}..)" if self.line else f"{self.id[:15]}..{row}"


@dataclass(frozen=True)
class Patch:
    """A label patch in memory.

    Attributes
    ----------
    header : PatchHeader
    records : tuple of PatchRecord
    notes : tuple of str
        What the reader tolerated.
    """

    header: PatchHeader
    records: tuple[PatchRecord, ...]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` over header and records, independent of how the file is spelled."""
        return hash_json([header_to_json(self.header), [record_to_json(r) for r in self.records]])


def primary_label(record: PatchRecord) -> str:
    """The one class a single-label column holds after the record: for multi the label before if it stays."""
    if record.op == "relabel":
        return record.to[0]
    return record.from_label if record.op == "drop" or record.from_label in record.to else record.to[0]


def labels_cell(record: PatchRecord) -> str:
    """The labels after the record in one cell of a table: a name, a JSON list of several, nothing for a drop."""
    return record.to[0] if len(record.to) == 1 else json.dumps(record.to, ensure_ascii=False) if record.to else ""


def header_to_json(header: PatchHeader) -> dict[str, Any]:
    """The header as the JSON object of the first line."""
    return {
        "labelpatch": header.version,
        "dataset": {
            "name": header.name,
            "split": header.split,
            "n": header.n,
            "fingerprint": header.fingerprint,
            "hash": header.hash_scheme,
            "classes": list(header.classes),
        },
        "base_label_column": header.label_column,
        **{name: getattr(header, name) for name in ("created", "tool", "run", "license")},
    }


def record_to_json(record: PatchRecord) -> dict[str, Any]:
    """A record as a JSON object; optional fields that are empty are left out."""
    to = None if record.op == "drop" else record.to[0] if record.op == "relabel" else list(record.to)
    value = {**vars(record), "from": record.from_label, "to": to, "votes": record.votes and dict(record.votes)}
    return {key: value[key] for key in FIELDS if value[key] is not None}


def header_from_json(value: Any, where: str) -> PatchHeader:
    """Check and read a header.

    Raises
    ------
    DataError
        Naming the field.
    """
    if not isinstance(value, dict) or "labelpatch" not in value:
        raise DataError(
            f"{where}: the first line is no header of a label patch.", "It must hold 'labelpatch' and 'dataset'."
        )
    version = value["labelpatch"]
    if not isinstance(version, str) or version.split(".")[0] != VERSION:
        raise DataError(
            f"{where}: format version {_short(version)} is unknown; this version of auditor reads {VERSION!r}.",
            "Update auditor, or ask the sender for a patch of version 1.",
        )
    about = _get(value, "dataset", dict, where)
    classes = _get(about, "classes", list, where)
    if len(classes) < 2 or not all(isinstance(name, str) and name for name in classes):
        raise DataError(f"{where}: 'dataset.classes' must be two or more class names.")
    if len(set(classes)) != len(classes):
        raise DataError(f"{where}: a name occurs twice in 'dataset.classes'.")
    scheme = _get(about, "hash", str, where)
    if scheme not in SCHEMES:
        raise DataError(
            f"{where}: hash scheme {_short(scheme)} is unknown.", f"Known: {', '.join(SCHEMES)}. Update auditor."
        )
    fingerprint = _get(about, "fingerprint", str, where)
    if not _HASH.fullmatch(fingerprint):
        raise DataError(f"{where}: 'dataset.fingerprint' {_short(fingerprint)} is not sha256:<64 hex digits>.")
    given_license = _get(value, "license", str, where)
    if given_license not in LICENSES:
        raise DataError(f"{where}: license {_short(given_license)} is unknown.", f"Known: {', '.join(LICENSES)}.")
    return PatchHeader(
        name=_get(about, "name", str, where),
        split=_maybe(about, "split", str, where),
        n=_natural(_get(about, "n", int, where), "dataset.n", where),
        fingerprint=fingerprint,
        hash_scheme=scheme,
        classes=tuple(classes),
        label_column=_get(value, "base_label_column", str, where),
        created=_maybe(value, "created", str, where) or "",
        tool=_maybe(value, "tool", str, where) or "",
        run=_maybe(value, "run", str, where),
        license=given_license,
        version=version,
    )


def record_from_json(value: Any, where: str, line: int) -> PatchRecord:
    """Check and read one record. Errors as `header_from_json`."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: a record must be a JSON object.")
    item, op = _get(value, "id", str, where), _get(value, "op", str, where)
    if not _HASH.fullmatch(item):
        raise DataError(f"{where}: id {_short(item)} is not sha256:<64 hex digits>.")
    if op not in OPS:
        raise DataError(f"{where}: operation {_short(op)} is unknown.", f"Known: {', '.join(OPS)}.")
    if op == "drop" and "to" in value:
        raise DataError(f"{where}: a drop has no 'to'.")
    reason = _maybe(value, "reason", str, where)
    if (op == "drop") != (reason is not None) or (reason is not None and reason not in REASONS):
        raise DataError(f"{where}: 'reason' must be {' or '.join(REASONS)} for a drop, and absent otherwise.")
    verdict = _maybe(value, "verdict", str, where)
    if verdict is not None and verdict not in VERDICTS and not re.fullmatch(r"other:.+", verdict, re.DOTALL):
        raise DataError(
            f"{where}: verdict {_short(verdict)} is unknown.", f"Known: {', '.join(VERDICTS)}, other:CLASS."
        )
    posterior = value.get("posterior")
    if posterior is not None and (
        isinstance(posterior, bool) or not isinstance(posterior, int | float) or not 0 <= posterior <= 1
    ):
        raise DataError(f"{where}: 'posterior' {_short(posterior)} is not a number from 0 to 1.")
    votes = _maybe(value, "votes", dict, where)
    for count in (votes or {}).values():
        _natural(count, "votes", where)
    counts: dict[str, Any] = {}
    for name in ("n", "index", "rank"):
        number = _maybe(value, name, int, where)
        counts[name] = None if number is None else _natural(number, name, where)
    return PatchRecord(
        id=item,
        op=op,
        from_label=_get(value, "from", str, where),
        to=_to(value, op, where),
        reason=reason,
        verdict=verdict,
        votes=votes,
        posterior=None if posterior is None else float(posterior),
        path=_maybe(value, "path", str, where),
        note=_maybe(value, "note", str, where),
        line=line,
        **counts,
    )


def _to(value: Mapping[str, Any], op: str, where: str) -> tuple[str, ...]:
    if op == "drop":
        return ()
    if op == "relabel":
        return (_get(value, "to", str, where),)
    names = _get(value, "to", list, where)
    if len(names) < 2 or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        raise DataError(f"{where}: 'to' of a multi must be two or more different class names.")
    return tuple(names)


def check_patch(header: PatchHeader, records: Sequence[PatchRecord], where: str) -> None:
    """The rules between records: classes exist, nothing is said twice differently, and applying twice is once.

    Raises
    ------
    DataError
        Refusal rule 5, naming the rows.
    """
    known = set(header.classes)
    outcome: dict[tuple[str, str], PatchRecord] = {}
    for record in records:
        for name, what in [(record.from_label, "from"), *((n, "to") for n in record.to)]:
            if name not in known:
                raise DataError(
                    f"{where}, {record.where()}: {what!r} {_short(name)} is not one of the {len(known)} classes.",
                    "Correct the record, or add the class to the header and to the data set.",
                )
        if record.to == (record.from_label,):
            raise DataError(f"{where}, {record.where()}: 'to' equals 'from', {_short(record.from_label)}.")
        first = outcome.setdefault((record.id, record.from_label), record)
        if first.outcome != record.outcome:
            raise DataError(
                f"{where}: two outcomes for one item labelled {_short(record.from_label)}: {first.where()} says "
                f"{describe(first)}, {record.where()} says {describe(record)}.",
                "Keep one of them.",
            )
    for record in records:
        if (follow := chain(record, outcome)) is not None:
            after = _short(primary_label(record))
            raise DataError(
                f"{where}: {record.where()} turns {_short(record.from_label)} into {after}, which "
                f"{follow.where()} turns into {describe(follow)}; applying the patch twice would differ from once.",
                "These are copies of one item with different labels: give them one label.",
            )


def chain(record: PatchRecord, outcome: Mapping[tuple[str, str], PatchRecord]) -> PatchRecord | None:
    """The record that would change once more what `record` made of a label, so that applying twice is not once."""
    after = primary_label(record)
    follow = outcome.get((record.id, after))
    return follow if after != record.from_label and follow and primary_label(follow) != after else None


def describe(record: PatchRecord) -> str:
    """The outcome of a record for messages."""
    if record.op == "drop":
        return f"drop ({record.reason})"
    return " + ".join(map(_short, record.to))


def _short(value: Any) -> str:
    """A value of somebody else's file for a message: quoted, control characters escaped, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _get(value: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    if key not in value:
        raise DataError(f"{where}: the field {key!r} is missing.")
    if not isinstance(value[key], kind) or isinstance(value[key], bool):
        raise DataError(f"{where}: the field {key!r} holds {_short(value[key])}, not a {_KINDS[kind]}.")
    return value[key]


def _maybe(value: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    return None if value.get(key) is None else _get(value, key, kind, where)


_KINDS = {str: "string", int: "whole number", dict: "object", list: "list"}


def _natural(value: Any, name: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{where}: {name!r} {_short(value)} is not a whole number from 0.")
    return value
