"""The one data-set protocol: what every adapter gives and every later step relies on.

A data set is a list of items over all its splits. Each item has a stable id, a given label, a split, its row in
that split, and a content hash; pixels, texts and table rows are decoded only when asked for.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, LabelError
from auditor.core.escaping import printable
from auditor.core.hashing import hash_strings
from auditor.core.label_forms import LabelForm

Modality = Literal["image", "text", "table", "probabilities"]
_WORDS = {"image": "image", "text": "text", "table": "row"}


def item_word(modality: str) -> str:
    """What people call one item of data of this kind."""
    return _WORDS.get(modality, "item")


@dataclass(frozen=True)
class BadItem:
    """An item that could not be decoded. It becomes a finding; it never stops a run."""

    position: int
    reason: str


@dataclass(frozen=True)
class ItemTable:
    """Who the items are, without their content. All arrays have shape (n,) and the same order.

    Attributes
    ----------
    ids : str array
        Unique and stable: the same item has the same id in every run, whatever is added around it.
    labels : int64 array
        Given label, a position in `class_names`.
    splits : str array
        ``"train"``, ``"test"``, ... or ``"all"`` where the source has no splits.
    index : int64 array
        0-based row within the item's split, in the source's order. A hint for people, never an identity.
    groups : str array or None
        The user's group column: items of one group never cross a fold.
    paths : str array or None
        File name or URL inside the source, where there is one.
    rows : int64 array or None
        0-based row of each item in a source that is one table, whatever its splits; rows without a label are no items.
    """

    ids: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    index: np.ndarray
    groups: np.ndarray | None = None
    paths: np.ndarray | None = None
    rows: np.ndarray | None = None

    def take(self, positions: np.ndarray) -> ItemTable:
        """The items at `positions`, in that order."""
        columns: dict[str, Any] = {k: None if a is None else a[positions] for k, a in vars(self).items()}
        return ItemTable(**columns)


@dataclass(eq=False, repr=False)
class Dataset(ABC):
    """Base of all data sets.

    Attributes
    ----------
    name : str
        Short name for people and file names, e.g. ``"cifar10"``.
    reference : str
        Canonical reference that opens the same data again, e.g. ``"cifar10"`` or ``"folder:///data/pets"``.
    class_names : tuple of str
        In the order of the label integers. Of labels with a `form`, every label that occurs, as its text.
    items : ItemTable
    form : LabelForm or None
        How labels that are more than a class are written (`auditor.core.label_forms`); None for classes.
    label : str or None
        The label column, or what stands for several, where there are columns.
    notes : list of str
        Things the adapter did that the user should know (values clipped, rows skipped).
    tensor : tensor (n, ...) or None
        The items as the caller holds them, where that is a torch tensor; for torch modules, which read them so. No part
        of what is stored or hashed.
    """

    name: str
    reference: str
    class_names: tuple[str, ...]
    items: ItemTable
    notes: list[str] = field(default_factory=list)
    tensor: Any = field(default=None, repr=False, kw_only=True)
    form: LabelForm | None = field(default=None, kw_only=True)
    label: str | None = field(default=None, kw_only=True)

    modality: ClassVar[Modality]

    def __post_init__(self) -> None:
        validate_items(self.name, self.items, self.class_names, "class" if self.form is None else self.form.word)

    def __len__(self) -> int:
        return len(self.items.ids)

    def __repr__(self) -> str:
        splits, counts = np.unique(self.items.splits, return_counts=True)
        sizes = [f"{split} {count:,}" for split, count in zip(splits, counts, strict=True)]
        parts, names = (", ".join(words[:6]) + ", ..." * (len(words) > 6) for words in (sizes, self.class_names))
        kind = "classes" if self.form is None else f"different labels, each a {self.form.word}"
        return printable(f"{type(self).__name__} {self.name}: {parts}; {len(self.class_names)} {kind}: {names}")

    @property
    def labels(self) -> np.ndarray:
        """Given labels, int64 (n,)."""
        return self.items.labels

    @property
    def given(self) -> np.ndarray:
        """Given labels as texts, object array (n,)."""
        return np.array(self.class_names, dtype=object)[self.labels]

    @property
    def label_values(self) -> np.ndarray:
        """Given labels to compute with, one row an item, as `form` says; `labels` where it is None."""
        return self.labels if self.form is None else self.form.values(self.class_names)[self.labels]

    @property
    def ids(self) -> np.ndarray:
        """Item ids, str (n,)."""
        return self.items.ids

    @property
    @abstractmethod
    def hash_scheme(self) -> str:
        """How `content_hashes` are made, e.g. ``"sha256-rgb-bytes"``."""

    def subset(self, positions: np.ndarray) -> Self:
        """The same data set restricted to `positions`, in that order; ids, hashes and names stay the same.

        Not validated again: a batch for a worker may hold one class, or be empty.
        """
        positions = np.asarray(positions, dtype=np.int64)
        part = copy.copy(self)
        part.__dict__.pop("fingerprint", None)
        part.items = self.items.take(positions)
        part.notes = list(self.notes)
        part.tensor = None if self.tensor is None else self.tensor[positions]
        if "content_hashes" in self.__dict__:
            part.__dict__["content_hashes"] = self.content_hashes[positions]
        part._restrict(positions)
        return part

    def _restrict(self, positions: np.ndarray) -> None:
        """Replace the content by its part at `positions`."""
        raise NotImplementedError

    @abstractmethod
    def item(self, position: int) -> Any:
        """One decoded item: PIL image (RGB), str, or dict of column values."""

    @cached_property
    def content_hashes(self) -> np.ndarray:
        """``sha256:<hex>`` of each item's content by `hash_scheme`, str (n,). Undecodable items hash their
        raw bytes. Computed once."""
        return self._content_hashes()

    @abstractmethod
    def _content_hashes(self) -> np.ndarray: ...

    @cached_property
    def fingerprint(self) -> str:
        """``sha256:<hex>`` over ids, content hashes, labels, splits and class names."""
        parts = [self.hash_scheme, *self.class_names]
        for row in zip(self.items.ids, self.content_hashes, self.items.labels, self.items.splits, strict=True):
            parts.extend(map(str, row))
        return hash_strings(parts)


class FormOfReference:
    """Base of the adapters that open any path: there is nothing to look up for `auditor datasets`."""

    options: frozenset[str] = frozenset()

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        return "form", "any path"


def validate_items(name: str, items: ItemTable, class_names: Sequence[str], word: str = "class") -> None:
    """Check what every adapter must deliver; `word` is what one label is called.

    Raises
    ------
    EmptyDataError, LabelError
        With the first offending row.
    """
    n = len(items.ids)
    if n == 0:
        raise EmptyDataError(f"data set {name!r} has no items.", "Check the path, the split and the filters.")
    for field_name in ("labels", "splits", "index", "groups", "paths"):
        column = getattr(items, field_name)
        if column is not None and len(column) != n:
            raise LabelError(f"data set {name!r}: {len(column)} {field_name} for {n} items.")
    if len(set(class_names)) != len(class_names):
        raise LabelError(f"data set {name!r}: class names repeat: {sorted(class_names)}.")
    outside = np.flatnonzero((items.labels < 0) | (items.labels >= len(class_names)))
    if len(outside):
        row = int(outside[0])
        raise LabelError(
            f"data set {name!r}: label {int(items.labels[row])} of item {str(items.ids[row])!r} (row {row}) is "
            f"outside the {len(class_names)} classes; {len(outside)} such labels.",
            "Labels are 0-based positions in the list of class names.",
        )
    if len(class_names) < 2 or len(np.unique(items.labels)) < 2:
        raise LabelError(
            f"data set {name!r} has one {word} only: there is nothing a label could be confused with.",
            f"Give data with at least two {'classes' if word == 'class' else 'different labels'}.",
        )
    unique, counts = np.unique(items.ids, return_counts=True)
    if len(unique) != n:
        raise LabelError(
            f"data set {name!r}: item id {str(unique[counts > 1][0])!r} occurs {counts.max()} times.",
            "Ids must be unique.",
        )
