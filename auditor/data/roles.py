"""Which column is the label, which is the content: taken from the user, else inferred, and always said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.core.errors import MissingRoleError, UsageError
from auditor.core.label_forms import TokenTags
from auditor.data.columns import MemoryTable
from auditor.data.dates import read_dates
from auditor.data.folder import IMAGE_SUFFIXES
from auditor.data.label_kinds import AUTO, columns_of, tag_pattern
from auditor.data.labels import listed, split_names
from auditor.data.reference import nearest
from auditor.data.token_labels import is_list, token_column
from auditor.engine.semantics import LABEL_KEYS

#: Options that name columns.
ROLE_OPTIONS = frozenset({"image", "text", "columns", "label", "id", "group", "split_column"})
#: Options that say how columns become a data set; the reference of data in memory repeats those that were given.
COLUMN_OPTIONS = ROLE_OPTIONS | {"kind", "missing", "root"}
#: Columns that pandas makes of a table's index when it is saved; the last ones are also what others call a feature.
_SAVED_INDEX = re.compile(r"|unnamed: ?\d+(\.\d+)*|__index_level_\d+__|(index|level_\d+)", re.IGNORECASE)

IMAGE_NAMES = ("image", "img", "image_path", "path", "file_name", "filename", "file", "filepath")
TEXT_NAMES = (
    *(
        "text",
        "sentence",
        "content",
        "review",
        "document",
        "body",
        "comment",
        "question",
        "utterance",
        "tweet",
        "message",
    ),
    *("texts", "sentences", "reviews", "comments", "tweets", "messages"),
)
#: Short texts of these names may also stand beside the features of a table.
TITLE_NAMES = ("title", "headline", "description", "summary", "abstract", "caption", "prompt", "query", "post")
ID_NAMES = ("id", "item_id", "uuid")
SPLIT_VALUES = frozenset({"train", "test", "validation", "val", "valid", "dev", "all"})

#: Strings this long on average, and mostly different, are texts rather than categories.
_TEXT_LENGTH = 20
#: A string column with more distinct values than this share of the rows is no category.
_MOSTLY_DISTINCT = 0.5
_SAMPLE = 200
#: Kinds of labels that may be tags of tokens.
_OF_TOKENS = (AUTO, TokenTags.kind)


@dataclass(frozen=True)
class Roles:
    """Chosen columns.

    Attributes
    ----------
    label : str
        A column, or what stands for several (`auditor.data.label_kinds.columns_of`).
    kind : str
        ``"image"`` (encoded bytes), ``"image-path"``, ``"text"`` or ``"table"``.
    content : tuple of str
        One column for images and texts, the feature columns of a table.
    id, group, split : str or None
    notes : list of str
        Every choice that was not the user's.
    """

    label: str
    kind: str
    content: tuple[str, ...]
    id: str | None = None
    group: str | None = None
    split: str | None = None
    notes: list[str] = field(default_factory=list)

    def labels(self, table: MemoryTable) -> tuple[str, ...]:
        """The columns that hold the label."""
        return columns_of(self.label, table.features.types)


def choose_roles(table: MemoryTable, options: Mapping[str, str], where: str) -> Roles:
    """Choose the columns.

    Raises
    ------
    UsageError
        For a column that does not exist (with the nearest), a contradiction, or where nothing can be inferred.
    """
    names = list(table.features.types)
    for key in sorted(ROLE_OPTIONS & set(options)):
        for name in split_names(options[key]) or () if key == "columns" else (options[key],):
            if name not in names and not (key == "label" and columns_of(name, names)):
                raise UsageError(
                    f"{where} has no column {name!r} ({key}={options[key]}).",
                    f"{nearest(name, names)}Columns: {', '.join(names)}.",
                )
    given = [key for key in ("image", "text", "columns") if key in options]
    if len(given) > 1:
        raise UsageError(f"{where}: {' and '.join(given)} exclude one another.", "Name one content.")
    notes: list[str] = []
    label = options.get("label")
    if label is None and options.get("kind") in (AUTO, "multilabel") and (label := tag_pattern(table)) is not None:
        notes.append(f"label columns: {label!r} (0 and 1 for each tag)")
    label = label or _find_label(table, names, where, notes)
    taken = {*columns_of(label, names), options.get("id"), options.get("group"), options.get("split_column")}
    free = [n for n in names if n not in taken]
    # Whether a column called id is unique shows when the items are made.
    called_id = (n for n in free if n.lower() in ID_NAMES and table.features.types[n] in ("text", "number"))
    id_column = options.get("id") or next(called_id, None)
    split = options.get("split_column") or _find_split(table, free)
    free = [n for n in free if n not in (id_column, split)]
    kind, content = _content(table, options, label, free, where, notes)
    if kind == "table":
        content = _features(table, content, explicit="columns" in options, notes=notes)
        if not content:
            texts = [name for name in free if table.features.types[name] == "text"]
            said = {"text": texts[0]} if texts else {"columns": ",".join(free) or "COLUMN"}
            raise MissingRoleError(
                f"{where} has no column that could be audited besides the label {label!r}.", said, names
            )
    return Roles(label, kind, content, id_column, options.get("group"), split, notes)


def _find_label(table: MemoryTable, names: Sequence[str], where: str, notes: list[str]) -> str:
    classes = list(table.features.classes)
    by_name = [n for candidate in LABEL_KEYS for n in names if n.lower() == candidate]
    for candidates, why in ((by_name, "by its name"), (classes if len(classes) == 1 else [], "the only class column")):
        if candidates:
            notes.append(f"label column: {candidates[0]!r} ({why})")
            return candidates[0]
    raise MissingRoleError(
        f"cannot tell which column of {where} holds the labels.", {"label": _likely_label(table, names)}, names
    )


def _likely_label(table: MemoryTable, names: Sequence[str]) -> str:
    """The last column whose values repeat, one of texts rather than one of numbers."""
    heads = {n: table.head(n, _SAMPLE) for n in names if table.features.types[n] in ("text", "number", "bool", "class")}
    few = {n: len(set(head)) for n, head in heads.items() if 2 <= len(set(head)) <= len(head) / 2}
    texts = [n for n in few if table.features.types[n] in ("text", "class")]
    return (texts or list(few) or ["COLUMN"])[-1]


def _find_split(table: MemoryTable, names: Sequence[str]) -> str | None:
    for name in names:
        if name.lower() == "split" and table.features.types[name] == "text":
            values = set(map(str, table.head(name, _SAMPLE)))
            if values and {v.lower() for v in values} <= SPLIT_VALUES:
                return name
    return None


def _content(
    table: MemoryTable, options: Mapping[str, str], label: str, free: Sequence[str], where: str, notes: list[str]
) -> tuple[str, tuple[str, ...]]:
    types = table.features.types
    if name := options.get("image"):
        if types[name] in ("image", "bytes"):
            return "image", (name,)
        if types[name] == "text":
            return "image-path", (name,)
        raise UsageError(f"column {name!r} of {where} holds neither images nor paths.")
    if name := options.get("text"):
        if types[name] != "text" and not (options.get("kind") in _OF_TOKENS and is_list(table, name)):
            raise UsageError(f"column {name!r} of {where} does not hold texts.")
        return "text", (name,)
    if names := options.get("columns"):
        return "table", split_names(names) or ()
    kind = options.get("kind")
    if kind in _OF_TOKENS and (tokens := token_column(table, label, free, said=kind != AUTO)) is not None:
        notes.append(f"token column: {tokens!r}")
        return "text", (tokens,)
    if image := _first([n for n in free if types[n] in ("image", "bytes")], IMAGE_NAMES):
        notes.append(f"image column: {image!r}")
        return "image", (image,)
    strings = [n for n in free if types[n] == "text"]
    if path := _first([n for n in strings if are_paths(table.head(n, _SAMPLE))], IMAGE_NAMES):
        notes.append(f"image paths: column {path!r}")
        return "image-path", (path,)
    if text := _text_column(table, strings, alone=all(n in strings or _is_saved_index(table, n) for n in free)):
        notes.append(f"text column: {text!r}")
        return "text", (text,)
    return "table", tuple(free)


def _text_column(table: MemoryTable, strings: Sequence[str], alone: bool) -> str | None:
    """The column of texts: long ones, or such that are called so. `alone`: there is nothing but strings."""
    heads = {n: [str(v) for v in table.head(n, _SAMPLE)] for n in strings}
    distinct = {n for n, values in heads.items() if len(set(values)) > _MOSTLY_DISTINCT * len(values)}
    long = [n for n in strings if n in distinct and sum(map(len, heads[n])) >= _TEXT_LENGTH * len(heads[n])]
    long = [n for n in long if read_dates(heads[n]) is None]  # with a time and an offset they are as long as sentences
    # A column called text is one, however short; with few values it is a category, unless there is nothing else.
    called = [n for n in strings if n.lower() in TEXT_NAMES and (n in distinct or (len(strings) == 1 and alone))]
    titles = [n for n in strings if alone and n.lower() in TITLE_NAMES and (n in distinct or len(strings) == 1)]
    return _first([*called, *long], TEXT_NAMES) or _first(titles, TITLE_NAMES)


def _first(names: Sequence[str], preferred: Sequence[str]) -> str | None:
    """The best known of `names`, else the first in file order."""
    return next((n for known in preferred for n in names if n.lower() == known), names[0] if names else None)


def are_paths(values: Sequence[Any]) -> bool:
    """Whether nearly all of some texts end as image files do."""
    ends = [any(str(v).lower().endswith(s) for s in IMAGE_SUFFIXES) for v in values if v]
    return bool(ends) and sum(ends) >= 0.9 * len(ends)


def _features(table: MemoryTable, candidates: Sequence[str], explicit: bool, notes: list[str]) -> tuple[str, ...]:
    """Feature columns of a table; what was left out is said."""
    kept: list[str] = []
    left_out: list[str] = []
    indices: list[str] = []
    for name in candidates:
        kind = table.features.types[name]
        head = table.head(name, _SAMPLE) if kind == "text" else []
        # Names and keys: one category per row tells nothing about other rows.
        too_many = len(head) >= 20 and len(set(head)) > _MOSTLY_DISTINCT * len(head)
        dated = is_date_column(table, name)
        usable = dated or kind in ("number", "bool", "class") or (kind == "text" and (explicit or not too_many))
        is_index = usable and not explicit and _is_saved_index(table, name)
        (indices if is_index else kept if usable else left_out).append(name)
        if dated:
            notes.append(f"column {name!r} holds dates: read as year, month, weekday, hour and days since 1970")
    if explicit and left_out:
        raise UsageError(f"columns {listed(list(map(repr, left_out)))} hold neither numbers, categories nor dates.")
    if not explicit:
        notes.append(f"feature columns: {listed(list(map(repr, kept)))}")
        if indices:
            notes.append(
                "columns left out (a saved index; name them in columns= to use them): "
                f"{listed(list(map(repr, indices)))}"
            )
        if left_out:
            notes.append(
                f"columns left out (neither numbers, categories nor dates): {listed(list(map(repr, left_out)))}"
            )
    return tuple(kept)


def is_date_column(table: MemoryTable, name: str) -> bool:
    """Whether all values of a column are dates, as such or written out."""
    kind = table.features.types[name]
    if kind != "text":
        return kind == "date"
    return read_dates(table.head(name, _SAMPLE)) is not None and read_dates(table.column(name).to_pylist()) is not None


def _is_saved_index(table: MemoryTable, name: str) -> bool:
    match = _SAVED_INDEX.fullmatch(name)
    if name in table.features.index or (match and not match[2]):
        return True
    return match is not None and all(isinstance(v, int | float) and v == int(v) for v in table.head(name, _SAMPLE))
