"""How labels that are no single class are written as one text, which files, verdicts and patches carry.

An item has one label, whatever its kind, and every room that only passes labels on passes texts. A **form** turns such
a text into the value that models and detectors compute with, and back; each label has one canonical text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np

from auditor.core.errors import DataError
from auditor.core.registry import Registry

#: Between the tags of a set.
SEPARATOR: Final = ";"
#: The set without tags: an empty text would be a missing label.
NO_TAGS: Final = "(no tags)"


@runtime_checkable
class LabelForm(Protocol):
    """What the labels of one data set are. Equal forms write equal labels alike.

    Attributes
    ----------
    kind : str
        Name in `auditor.kinds.registry.KINDS`.
    word : str
        What people call one label.
    names : tuple of str
        Names that labels are made of, in order; empty where there are none.
    """

    kind: ClassVar[str]
    word: ClassVar[str]

    @property
    def names(self) -> tuple[str, ...]: ...

    def canonical(self, text: str) -> str:
        """The one text of a label that somebody wrote.

        Raises
        ------
        ValueError
            If it is no label of this form; says why.
        """

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """Labels to compute with, one row each, from canonical texts. Errors as `canonical`."""

    def write(self, value: Any) -> str:
        """The canonical text of one row of `values`."""

    def order(self, texts: Iterable[str]) -> list[str]:
        """Canonical texts, sorted as people expect."""


@dataclass(frozen=True)
class TagSets:
    """Any number of tags an item; a label is the tags in the order of `names`, joined by `SEPARATOR`.

    Attributes
    ----------
    names : tuple of str
    """

    names: tuple[str, ...]
    kind: ClassVar[str] = "multilabel"
    word: ClassVar[str] = "set of tags"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {name: k for k, name in enumerate(self.names)})

    def canonical(self, text: str) -> str:
        """Tags in any order, blanks around them and repeated ones allowed."""
        return self.write(self._row(text))

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """bool (n, K)."""
        rows = [self._row(text) for text in texts]
        return np.array(rows) if rows else np.zeros((0, len(self.names)), bool)

    def write(self, value: Any) -> str:
        """Of a row of K truth values."""
        return SEPARATOR.join(name for name, has in zip(self.names, value, strict=True) if has) or NO_TAGS

    def order(self, texts: Iterable[str]) -> list[str]:
        """By their text."""
        return sorted(texts)

    def _row(self, text: str) -> np.ndarray:
        place: dict[str, int] = self.__dict__["_place"]
        row = np.zeros(len(self.names), bool)
        for tag in split_tags(text):
            if tag not in place:
                raise ValueError(f"unknown tag {tag[:80]!r}")
            row[place[tag]] = True
        return row


@dataclass(frozen=True)
class Numbers:
    """One number an item, written with as few digits as tell it from all others."""

    names: tuple[str, ...] = ()
    kind: ClassVar[str] = "regression"
    word: ClassVar[str] = "number"

    def canonical(self, text: str) -> str:
        """Anything Python reads as a finite number."""
        return self.write(self._number(text))

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """float64 (n,)."""
        return np.array([self._number(text) for text in texts], np.float64)

    def write(self, value: Any) -> str:
        """Of a finite number; whole ones without a point."""
        number = float(value) + 0.0  # not -0.0
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)

    def order(self, texts: Iterable[str]) -> list[str]:
        """By their value."""
        return sorted(texts, key=float)

    @staticmethod
    def _number(text: str) -> float:
        try:
            number = float(text)
        except ValueError as error:
            raise ValueError(f"{text[:80]!r} is no number") from error
        if not np.isfinite(number):
            raise ValueError(f"{text[:80]!r} is no finite number")
        return number


@dataclass(frozen=True)
class Levels:
    """One of several ordered classes an item, written as its name.

    Attributes
    ----------
    names : tuple of str
        From the lowest to the highest.
    """

    names: tuple[str, ...]
    kind: ClassVar[str] = "ordinal"
    word: ClassVar[str] = "ordered class"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {name: k for k, name in enumerate(self.names)})

    def canonical(self, text: str) -> str:
        """Blanks around a name are allowed; numbers may be written as 3 or 3.0."""
        return self.names[self._level(text)]

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """bool (n, K - 1): whether the class of an item is above each class but the highest."""
        levels = np.array([self._level(text) for text in texts], np.int64)
        return np.asarray(levels[:, None] > np.arange(len(self.names) - 1))

    def write(self, value: Any) -> str:
        """Of a row of K - 1 truth values."""
        return self.names[int(np.sum(value))]

    def order(self, texts: Iterable[str]) -> list[str]:
        """From the lowest to the highest."""
        return sorted(texts, key=self._level)

    def _level(self, text: str) -> int:
        place: dict[str, int] = self.__dict__["_place"]
        name = text.strip()
        if name not in place:
            with suppress(ValueError):
                name = Numbers().canonical(name)
        if name not in place:
            raise ValueError(f"unknown class {text[:80]!r}")
        return place[name]


@dataclass(frozen=True)
class TokenTags:
    """A tag for each token of an item, in their order, joined by blanks.

    Attributes
    ----------
    names : tuple of str
        Without blanks.
    """

    names: tuple[str, ...]
    kind: ClassVar[str] = "tokens"
    word: ClassVar[str] = "row of tags"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {name: k for k, name in enumerate(self.names)})

    def canonical(self, text: str) -> str:
        """Any blanks between the tags."""
        return self.write(self._row(text))

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """Object array (n,) of int64 arrays: the place of each tag in `names`."""
        rows = [self._row(text) for text in texts]
        values = np.empty(len(rows), dtype=object)
        values[:] = rows
        return values

    def write(self, value: Any) -> str:
        """Of a row of places in `names`."""
        return " ".join(self.names[k] for k in value)

    def order(self, texts: Iterable[str]) -> list[str]:
        """By their text."""
        return sorted(texts)

    def _row(self, text: str) -> np.ndarray:
        place: dict[str, int] = self.__dict__["_place"]
        tags = text.split()
        if not tags:
            raise ValueError("there are no tags")
        strange = next((tag for tag in tags if tag not in place), None)
        if strange is not None:
            raise ValueError(f"unknown tag {strange[:80]!r}")
        return np.array([place[tag] for tag in tags], np.int64)


#: Forms by their kind.
FORMS: Registry[type[LabelForm]] = Registry(
    "form of labels",
    {
        "multilabel": "auditor.core.label_forms:TagSets",
        "regression": "auditor.core.label_forms:Numbers",
        "ordinal": "auditor.core.label_forms:Levels",
        "tokens": "auditor.core.label_forms:TokenTags",
    },
)


def split_tags(text: str) -> list[str]:
    """The tags in a text, without blanks around them; none for `NO_TAGS`."""
    if text.strip() == NO_TAGS:
        return []
    return [tag for part in text.split(SEPARATOR) if (tag := part.strip())]


def refuse_unlike(form: LabelForm, text: str, given: str) -> None:
    """Refuse a label that no item with the given one can have, both canonical: another number of tags.

    Raises
    ------
    ValueError
        With both numbers.
    """
    if isinstance(form, TokenTags) and text.count(" ") != given.count(" "):
        raise ValueError(f"{text.count(' ') + 1} tags for {given.count(' ') + 1} tokens")


def form_document(form: LabelForm) -> dict[str, Any]:
    """What `form_of` makes the form of again, as JSON values."""
    return {"kind": form.kind, "names": list(form.names)}


def form_of(document: Mapping[str, Any] | None) -> LabelForm | None:
    """The form that a run folder, a verdict store or a patch says its labels have; None: one class an item.

    Raises
    ------
    DataError
        If it is damaged, or of a kind that this version does not know.
    """
    if document is None:
        return None
    kind, names = document.get("kind"), document.get("names", ())
    named = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if not isinstance(kind, str) or kind not in FORMS or not named:
        raise DataError(
            f"labels of the kind {kind!r} are not known here.", f"Known: {', '.join(FORMS)}. Is it of a newer auditor?"
        )
    return FORMS.load(kind)(tuple(names))  # type: ignore[call-arg]
