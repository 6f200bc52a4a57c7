"""Published crowd verdicts on suspected label errors: all schemas of the ``mturk.json`` files.

Source: Northcutt, Athalye, Mueller 2021 (arXiv:2103.14749) and its data repository. Five people judged every item;
the files differ in how they name items, labels and answers. The schema is told from the fields, never from the
file's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from auditor.core.errors import DataError, LabelError
from auditor.core.files import read_json, read_lines
from auditor.core.row_lookup import RowLookup, file_numbers
from auditor.review.vocabulary import other

Schema = Literal["class", "imagenet", "imdb", "amazon", "audioset"]

#: What an item can turn out to be. ``error`` is audioset's: its errors are not split further.
CATEGORIES: Final = ("non-error", "correctable", "multi-label", "neither", "non-agreement", "error")
_OUTCOMES: Final = {"given": "non-error", "guessed": "correctable", "both": "multi-label", "neither": "neither"}

#: Number of each class in IMDB's label file.
_IMDB: Final = {"Negative": 0, "Positive": 1}
_ILSVRC = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


#: People who judge one item; in the published files five.
_MOST_VOTES = 1_000


@dataclass(frozen=True)
class PublishedItem:
    """One judged item.

    Attributes
    ----------
    id : int or str
        As published; what it means depends on the schema (see `published_rows`).
    url : str
    schema : str
    given, guessed : tuple of str
        Class names; one each, except in audioset.
    given_index, guessed_index : int or None
        Label integers, where the schema has them.
    votes : dict of str to int
        ``given``, ``guessed``, ``both``, ``neither`` and, by their published names, all other answers. Empty for
        audioset.
    label_votes : dict of str to int
        audioset: votes of each label.
    """

    id: int | str
    url: str
    schema: Schema
    given: tuple[str, ...]
    guessed: tuple[str, ...]
    given_index: int | None = None
    guessed_index: int | None = None
    votes: Mapping[str, int] = field(default_factory=dict)
    label_votes: Mapping[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """People who judged the item. Where both labels are the same, the file counts their votes twice."""
        doubled = self.votes.get("guessed", 0) if self.given == self.guessed else 0
        return sum(self.votes.values()) - doubled


def read_published(path: Path | str) -> list[PublishedItem]:
    """Read a file of verdicts.

    Raises
    ------
    UnreadableError, DataError
        If it is not JSON, or an item fits no known schema; naming the item and its keys.
    """
    return parse_published(read_json(Path(path)), repr(str(path)))


def parse_published(value: Any, where: str = "the verdicts") -> list[PublishedItem]:
    """As `read_published`, from the parsed JSON."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{where} is not a list of judged items.", "Give an mturk.json of the label-errors repository.")
    items = [_parse_item(one, f"{where}, item {k}") for k, one in enumerate(value)]
    repeated = [i for i, count in Counter(item.id for item in items).items() if count > 1]
    if repeated:
        raise DataError(f"{where}: the id {repeated[0]!r} occurs more than once.")
    return items


def _parse_item(value: Any, where: str) -> PublishedItem:
    votes = value.get("mturk") if isinstance(value, dict) else None
    if not isinstance(votes, dict) or not all(_is_count(count) for count in votes.values()):
        raise DataError(f"{where}: no votes ('mturk') that are whole numbers from 0 to {_MOST_VOTES:,}.")
    where = f"{where} (id {value.get('id')!r})"
    keys = set(votes)
    common: dict[str, Any] = {"id": value.get("id"), "url": str(value.get("url", ""))}
    if not isinstance(common["id"], str) and not _is_number(common["id"]):
        raise DataError(f"{where}: its id is neither a row number nor a text.")
    if "given_original_labels" in value:
        given, guessed = _names(value, "given_original_labels", where), _names(value, "our_guessed_labels", where)
        if keys != set(given) | set(guessed):
            raise DataError(f"{where}: the votes are for other labels than the ones shown.")
        return PublishedItem(**common, schema="audioset", given=given, guessed=guessed, label_votes=votes)
    given, guessed = value.get("given_original_label"), value.get("our_guessed_label")
    if keys == {"positive", "negative", "neutral", "off-topic"} and _texts(given, guessed):
        own = {"given": votes[_of(given, votes, where)], "guessed": votes[_of(guessed, votes, where)]}
        rest = {k: n for k, n in votes.items() if k not in (given.lower(), guessed.lower())}
        return PublishedItem(**common, schema="amazon", given=(given,), guessed=(guessed,), votes={**own, **rest})
    if (
        keys == {"given", "guessed", "neutral", "off-topic"}
        and _texts(given, guessed)
        and {given, guessed} <= _IMDB.keys()
    ):
        common |= {"given_index": _IMDB[given], "guessed_index": _IMDB[guessed]}
        return PublishedItem(**common, schema="imdb", given=(given,), guessed=(guessed,), votes=votes)
    names = value.get("given_original_label_name"), value.get("our_guessed_label_name")
    numbered = _is_number(given) and _is_number(guessed)
    plain = {"given", "guessed", "neither"} <= keys <= {"given", "guessed", "neither", "both"}
    if plain and _texts(*names) and numbered and isinstance(common["id"], int):
        return PublishedItem(
            **common,
            schema="imagenet" if _ILSVRC.search(common["url"]) else "class",
            given=(str(names[0]),),
            guessed=(str(names[1]),),
            given_index=given,
            guessed_index=guessed,
            votes={"both": 0, **votes},
        )
    raise DataError(
        f"{where} fits no known schema: fields {', '.join(sorted(map(str, value)))}; votes {', '.join(sorted(keys))}.",
        "Known: cifar10, cifar100, caltech256, quickdraw, 20news, mnist, imagenet, imdb, amazon, audioset.",
    )


def _is_count(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _MOST_VOTES


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31


def _texts(*values: Any) -> bool:
    return all(isinstance(v, str) for v in values)


def _of(name: str, votes: Mapping[str, int], where: str) -> str:
    if name.lower() not in votes:
        raise DataError(f"{where}: there are no votes for the label {name!r}.")
    return name.lower()


def _names(value: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    names = value.get(key)
    if not isinstance(names, list) or not _texts(*names):
        raise DataError(f"{where}: {key!r} is not a list of labels.")
    return tuple(names)


def category(item: PublishedItem, k: int = 3) -> str:
    """What `k` of five people make of an item: one of `CATEGORIES`.

    Absolute counts, and ``given`` first: in some mnist items both labels are the same and so are their votes.
    Majorities for neutral, a third class or off-topic are non-agreement. An audioset item is a non-error if exactly
    the given labels have `k` votes.

    Raises
    ------
    DataError
        If `k` is no majority of five.
    """
    if k not in (3, 4, 5):
        raise DataError(f"consensus of {k} of 5 votes: only 3, 4 and 5 are majorities.")
    if item.schema == "audioset":
        agreed = {label for label, votes in item.label_votes.items() if votes >= k}
        return "non-error" if agreed == set(item.given) else "error"
    won = (outcome for answer, outcome in _OUTCOMES.items() if item.votes.get(answer, 0) >= k)
    return next(won, "non-agreement")


def consensus_counts(items: Sequence[PublishedItem], k: int = 3) -> dict[str, int]:
    """Table 2 of the paper: ``checked``, every category that occurs, and ``errors`` = checked - non-errors."""
    counts = Counter(category(item, k) for item in items)
    return {"checked": len(items), "errors": len(items) - counts["non-error"], **{c: counts[c] for c in CATEGORIES}}


def published_votes(item: PublishedItem) -> list[tuple[str, str | None]]:
    """One (verdict, class name) for each person, in a fixed order.

    Verdicts are ``given``, ``suggested`` (the published guess), ``other:<class>``, ``both``, ``neither`` and
    ``unsure``; the class is the one that is right according to it, for ``both`` the guess. IMDB's neutral and
    off-topic, and Amazon's off-topic, are ``unsure``: the published rule counts them as non-agreement. Amazon's third
    class is ``other:<class>``.

    Raises
    ------
    DataError
        For audioset, where people voted on each label, not on the item.
    """
    if item.schema == "audioset":
        raise DataError(
            f"item {item.id!r} has several labels with votes of their own, not one verdict per person.",
            "Multi-label verdicts can be counted (consensus_counts), not imported.",
        )
    given, guess = item.given[0], item.guessed[0]
    verdicts: dict[str, tuple[str, str | None]] = {"given": ("given", given), "guessed": ("suggested", guess)}
    verdicts |= {"both": ("both", guess), "neither": ("neither", None)}
    result: list[tuple[str, str | None]] = []
    for answer, count in item.votes.items():
        if answer == "guessed" and given == guess:
            continue  # the same votes as for "given"
        third = item.schema == "amazon" and answer != "off-topic"
        fallback = (other(answer.capitalize()), answer.capitalize()) if third else ("unsure", None)
        result += [verdicts.get(answer, fallback)] * count
    return sorted(result, key=lambda pair: pair[0])


def published_rows(items: Sequence[PublishedItem], index: Sequence[str] | None = None) -> np.ndarray:
    """Array row of each item, int64 (n,).

    Parameters
    ----------
    items : sequence of PublishedItem
    index : sequence of str, optional
        Row to file name (``index.json``); needed for imagenet, whose ids are file numbers, and imdb, whose ids are
        file names. Elsewhere the id is the row.

    Raises
    ------
    DataError
        If the index is needed and missing, or an id is in it never or more than once.
    """
    schema = items[0].schema
    if schema not in ("imagenet", "imdb"):
        return np.array([int(item.id) for item in items], dtype=np.int64)
    if index is None:
        raise DataError(f"the ids of {schema} are no rows; the list of its files is needed.", "Give index.json.")
    keys: Sequence[int | str] = [f"test/{name.removesuffix('.txt')}" for name in index]
    if schema == "imagenet":
        numbers = file_numbers(index)
        if numbers is None:
            odd = next(name for name in index if file_numbers([name]) is None)
            raise DataError(f"the index names {odd!r}, which is no validation image of ImageNet.")
        keys = numbers
    times, rows = Counter(keys), {key: row for row, key in enumerate(keys)}
    for item in items:
        if times[item.id] != 1:
            raise DataError(f"the id {item.id!r} is in the index {times[item.id]} times; exactly one row is needed.")
    return np.array([rows[item.id] for item in items], dtype=np.int64)


def read_index(path: Path) -> list[str]:
    """Row to file name: a JSON list, a JSON object from row number to name, or a text file with a name a line.

    Raises
    ------
    DataError
        If it is none of these.
    """
    if path.suffix.lower() in (".txt", ".lst"):
        return read_lines(path)
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
    table = {
        shown[0]: class_names[number]
        for item in items
        for shown, number in ((item.given, item.given_index), (item.guessed, item.guessed_index))
        if number is not None and 0 <= number < len(class_names)
    }
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


def place_published(
    items: Sequence[PublishedItem],
    class_names: Sequence[str],
    given_names: Sequence[str],
    index: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
) -> tuple[list[PublishedItem], np.ndarray, list[str]]:
    """Verdicts on the rows of the data they were given for, every given label checked.

    Parameters
    ----------
    items : sequence of PublishedItem
    class_names : sequence of str
        Of the data.
    given_names : sequence of str
        Class name of every row of the data.
    index : sequence of str, optional
        As in `published_rows`.
    numbers : sequence of int, optional
        Row number within its split of every row of the data; default 0, 1, 2, ..

    Returns
    -------
    items : list of PublishedItem
        With the class names of the data.
    rows : int64 array (n,)
        Position of each item in `given_names`.
    notes : list of str

    Raises
    ------
    DataError, LabelError
        As `published_rows`, `renamed` and `check_rows`.
    """
    rows = published_rows(items, index)
    if numbers is not None:
        lookup = RowLookup(len(given_names), index=numbers)
        rows = np.array([-1 if (k := lookup.by_index(int(row))) is None else k for row in rows], dtype=np.int64)
    placed, notes = renamed(items, class_names)
    check_rows(placed, rows, given_names)
    return placed, rows, notes


def check_rows(
    items: Sequence[PublishedItem], rows: np.ndarray, here: Sequence[object], judged: Sequence[object] | None = None
) -> None:
    """Every item must carry, at its row, the label that the verdicts were given for.

    Parameters
    ----------
    items : sequence of PublishedItem
    rows : int array (n,)
        From `published_rows`.
    here : sequence
        Label of every row of the data: its class name, or its number.
    judged : sequence, optional
        Label each item was judged with, in the same form; by default its class name. Class names may repeat
        (ImageNet's do), numbers do not.

    Raises
    ------
    LabelError
        For the first item whose label differs; one failure means that the rows are not those of this data.
    """
    judged = [item.given[0] for item in items] if judged is None else judged
    wrong = [
        (item, int(row), label)
        for item, row, label in zip(items, rows, judged, strict=True)
        if not 0 <= row < len(here) or here[row] != label
    ]
    if wrong:
        item, row, label = wrong[0]
        value = repr(here[row]) if 0 <= row < len(here) else "no row"
        raise LabelError(
            f"{len(wrong):,} of {len(items):,} verdicts do not fit this data; the first: id {item.id!r} was judged as "
            f"{label!r}, row {row} is {value}.",
            "Take the data and the split the verdicts were given for; imagenet and imdb need their index file.",
        )


def label_numbers(items: Sequence[PublishedItem]) -> tuple[np.ndarray, np.ndarray]:
    """Given and guessed label numbers, two int64 arrays (n,), as the published label files count.

    Raises
    ------
    DataError
        For amazon, which has no label file to count by, and audioset, whose items have several labels.
    """
    if items[0].schema in ("amazon", "audioset"):
        what = f"the labels of {items[0].schema} have no published numbers."
        raise DataError(what, "Its verdicts can only be counted.")
    given, guessed = np.array([(item.given_index, item.guessed_index) for item in items], np.int64).T
    return given, guessed
