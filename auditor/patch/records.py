"""What a label patch is: a header, records, and the rules that hold inside the file (`docs/label-patch.md`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, AliasPath, BeforeValidator, Field, Strict, TypeAdapter, ValidationError

from auditor.core.errors import DataError
from auditor.core.hashing import hash_json
from auditor.core.label_forms import LabelForm, form_of, refuse_unlike
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME
from auditor.review.vocabulary import OTHER, VERDICTS

VERSION: Final = "1"
OPS: Final = ("relabel", "multi", "drop")
REASONS: Final = ("neither", "bad_item")
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

T = TypeVar("T")
_Text = Annotated[str, Strict()]
_Hash = Annotated[_Text, Field(pattern="^sha256:[0-9a-f]{64}$")]
_Count = Annotated[int, Strict(), Field(ge=0)]


def _known_scheme(name: str) -> str:
    if name not in SCHEMES:
        raise ValueError(f"the hash scheme is unknown; known are {', '.join(SCHEMES)}, others may take a newer auditor")
    return name


def _known_form(document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    try:
        form_of(document)
    except DataError as error:
        raise ValueError(error.what) from error
    return document


def _class_names(names: tuple[str, ...]) -> tuple[str, ...]:
    # None at all where labels have a form (`_whole_header`).
    if len(names) == 1 or not all(names):
        raise ValueError("two or more class names are needed")
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice")
    return names


def _in_data_set(name: str) -> Any:
    return Field(validation_alias=AliasPath("dataset", name))


_OrEmpty = Annotated[_Text, BeforeValidator(lambda text: "" if text is None else text)]


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
        In the order of the label integers; none where labels have a form.
    label_column : str
        The column the patch changes, or what stands for several; ``"label"`` where the source has no columns (folders,
        arrays).
    created, tool, run, license : str
    version : str
    label_form : mapping or None
        How labels are written that are no classes (`auditor.core.label_forms.form_document`).
    """

    name: Annotated[_Text, _in_data_set("name")]
    split: Annotated[_Text | None, _in_data_set("split")]
    n: Annotated[_Count, _in_data_set("n")]
    fingerprint: Annotated[_Hash, _in_data_set("fingerprint")]
    hash_scheme: Annotated[_Text, AfterValidator(_known_scheme), _in_data_set("hash")]
    classes: Annotated[tuple[_Text, ...], AfterValidator(_class_names), _in_data_set("classes")]
    label_column: Annotated[_Text, Field(validation_alias="base_label_column")] = "label"
    created: _OrEmpty = ""
    tool: _OrEmpty = ""
    run: _Text | None = None
    license: Annotated[_Text, Field(pattern=r"^(CC0-1\.0|CC-BY-4\.0)$")] = "CC0-1.0"
    version: Annotated[_Text, Field(validation_alias="labelpatch")] = VERSION
    label_form: Annotated[Mapping[str, Any] | None, AfterValidator(_known_form), _in_data_set("label_form")] = None

    @property
    def form(self) -> LabelForm | None:
        """How labels are written that are no classes."""
        return form_of(self.label_form)


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

    id: _Hash
    op: Annotated[_Text, Field(pattern=f"^({'|'.join(OPS)})$")]
    from_label: Annotated[_Text, Field(validation_alias="from")]
    to: tuple[_Text, ...] = ()
    reason: Annotated[_Text, Field(pattern=f"^({'|'.join(REASONS)})$")] | None = None
    verdict: Annotated[_Text, Field(pattern=f"(?s)^({'|'.join(VERDICTS)}|{OTHER}.+)$")] | None = None
    votes: Mapping[str, _Count] | None = None
    n: _Count | None = None
    posterior: Annotated[float, Strict(), Field(ge=0, le=1)] | None = None
    index: _Count | None = None
    path: _Text | None = None
    rank: _Count | None = None
    note: _Text | None = None
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


def record_of(given: str, labels: tuple[str, ...], reason: str | None, **fields: Any) -> PatchRecord | None:
    """The record that puts `labels` in the place of the given one; None where they say the same.

    Parameters
    ----------
    given : str
    labels : tuple of str
        None: the item is dropped, for `reason`.
    reason : str or None
    **fields :
        All other fields of the record.
    """
    if labels == (given,):
        return None
    op = "drop" if not labels else "relabel" if len(labels) == 1 else "multi"
    if op == "drop" and reason not in REASONS:
        raise DataError(f"an item labelled {given!r} has no label afterwards, and no reason to be dropped.")
    return PatchRecord(op=op, from_label=given, to=labels, reason=reason if op == "drop" else None, **fields)


def disagreements(
    said: Iterable[tuple[tuple[str, str], PatchRecord | None, T]],
) -> Iterator[tuple[tuple[str, str], T, T]]:
    """Where sources say different things about exact copies with one label.

    Parameters
    ----------
    said : iterable of (key, record, source)
        Key is content hash and label before; the record None where the label stays.

    Yields
    ------
    key, first source, source that differs from it
    """
    first: dict[tuple[str, str], tuple[Any, T]] = {}
    for key, record, source in said:
        outcome = record and record.outcome
        before, earlier = first.setdefault(key, (outcome, source))
        if before != outcome:
            yield key, earlier, source


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
            **({} if header.label_form is None else {"label_form": dict(header.label_form)}),
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
    # What a header made here may leave out, one of a file must say.
    return _parsed(_HEADER, {"base_label_column": None, "license": None} | value, where)


def record_from_json(value: Any, where: str, line: int) -> PatchRecord:
    """Check and read one record. Errors as `header_from_json`."""
    return _parsed(_RECORD, {**value, "line": line} if isinstance(value, dict) else value, where)


def _labels_listed(value: Any) -> Any:
    """The one name after a relabel as a list; the others have a list, or nothing, already."""
    if not isinstance(value, dict):
        raise ValueError("a record must be a JSON object")
    if value.get("op") == "drop" and "to" in value:
        raise ValueError("a drop has no 'to'")
    if value.get("op") != "relabel":
        return value
    if not isinstance(value.get("to"), str):
        raise ValueError("'to' of a relabel must be a string")
    return {**value, "to": [value["to"]]}


def _consistent(record: PatchRecord) -> PatchRecord:
    if (record.op == "drop") != (record.reason is not None):
        raise ValueError(f"'reason' must be {' or '.join(REASONS)} for a drop, and absent otherwise")
    if record.op == "multi" and len(set(record.to)) < max(2, len(record.to)):
        raise ValueError("'to' of a multi must be two or more different class names")
    return record


def _whole_header(header: PatchHeader) -> PatchHeader:
    if header.label_form is None and not header.classes:
        raise ValueError("'classes' of the data set: two or more class names are needed")
    if header.label_form is not None and header.classes:
        raise ValueError("'classes' of the data set: there are none where labels have a form")
    return header


_HEADER = TypeAdapter(Annotated[PatchHeader, AfterValidator(_whole_header)])
_RECORD = TypeAdapter(Annotated[PatchRecord, BeforeValidator(_labels_listed), AfterValidator(_consistent)])


def _parsed(form: TypeAdapter[T], value: Any, where: str) -> T:
    try:
        return form.validate_python(value)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        message = wrong["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        name = ".".join(map(str, wrong["loc"]))
        holds = "is missing" if wrong["type"] == "missing" else f"holds {_short(wrong['input'])}: {message}"
        raise DataError(f"{where}: {f'the field {name!r} {holds}' if name else message}.") from error


def _refuse_no_label(form: LabelForm, text: str, given: str, where: str) -> None:
    try:
        written = form.canonical(text)
        refuse_unlike(form, written, given)
    except ValueError as error:
        raise DataError(f"{where} {_short(text)} is no {form.word}: {error}.", "Correct the record.") from error
    if written != text:
        raise DataError(f"{where} {_short(text)} is written {_short(written)}.", "Correct the record.")


def check_patch(header: PatchHeader, records: Sequence[PatchRecord], where: str) -> None:
    """The rules between records: classes exist, nothing is said twice differently, and applying twice is once.

    Raises
    ------
    DataError
        Refusal rule 5, naming the rows.
    """
    known, form = set(header.classes), header.form
    for record in records:
        for name, what in [(record.from_label, "from"), *((n, "to") for n in record.to)]:
            if form is not None:
                _refuse_no_label(form, name, record.from_label, f"{where}, {record.where()}: {what!r}")
            elif name not in known:
                raise DataError(
                    f"{where}, {record.where()}: {what!r} {_short(name)} is not one of the {len(known)} classes.",
                    "Correct the record, or add the class to the header and to the data set.",
                )
        if record.to == (record.from_label,):
            raise DataError(f"{where}, {record.where()}: 'to' equals 'from', {_short(record.from_label)}.")
    for first, second in contradictions(records):
        raise DataError(
            f"{where}: {first.where()} says {describe(first)}, {second.where()} says {describe(second)}: "
            + ("two outcomes for one item." if first.from_label == second.from_label else "twice differs from once."),
            "Keep one of them; copies of one item with different labels need one label.",
        )


def unique_records(records: Iterable[PatchRecord]) -> dict[tuple[str, str], PatchRecord]:
    """The first record of each item with each label before."""
    unique: dict[tuple[str, str], PatchRecord] = {}
    for record in records:
        unique.setdefault((record.id, record.from_label), record)
    return unique


def contradictions(records: Sequence[PatchRecord]) -> Iterator[tuple[PatchRecord, PatchRecord]]:
    """Pairs that cannot both hold: two outcomes for one item, or a second record that would change once more what the
    first made of the label, so that applying the patch twice would differ from applying it once."""
    unique = unique_records(records)
    for record in records:
        first = unique[record.id, record.from_label]
        if first.outcome != record.outcome:
            yield first, record
    for record in unique.values():
        after = primary_label(record)
        follow = unique.get((record.id, after))
        if after != record.from_label and follow and primary_label(follow) != after:
            yield record, follow


def describe(record: PatchRecord) -> str:
    """What a record says, for messages."""
    after = f"drop ({record.reason})" if record.op == "drop" else " + ".join(map(_short, record.to))
    return f"{_short(record.from_label)} -> {after}"


def _short(value: Any) -> str:
    """A value of somebody else's file for a message: quoted, control characters escaped, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
