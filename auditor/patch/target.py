"""What a patch is applied to: a data set, the place of each label in its files, and how a corrected copy is written."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, LabelError, UsageError
from auditor.core.files import write_text
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.data.reference import Reference
from auditor.patch.copies import MULTI_FILE, CopyState
from auditor.patch.records import SCHEMES


@dataclass(frozen=True)
class Edit:
    """What a copy shall look like, by row key (see `Target.keys`).

    Attributes
    ----------
    labels : mapping
        Key to new label name, for rows whose single label changes.
    raws : mapping
        Key to the exact spelling to restore, for some of them.
    multi : mapping
        Key to all labels, for every row that has several afterwards.
    dropped : frozenset
        All keys that are set aside afterwards.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    raws: Mapping[str, str] = field(default_factory=dict)
    multi: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Opening:
    """What a target is made from.

    Attributes
    ----------
    dataset : Dataset
        All items of all splits that the reference opens, except those set aside.
    reference : Reference
    settings : Settings
    split : str or None
        The split that was asked for.
    root : Path or None
        The copy's folder where this is a corrected copy.
    state : CopyState or None
        Its memory.
    """

    dataset: Dataset
    reference: Reference
    settings: Settings
    split: str | None = None
    root: Path | None = None
    state: CopyState | None = None


class Target(ABC):
    """A data set whose labels can be corrected.

    Attributes
    ----------
    dataset, split, root, state :
        As in `Opening`.
    keys : str array (n,)
        Row of each item in the data before any patch.
    column : str
        Label column.
    multi_place : str
        For messages: where several labels are written.
    """

    keys: np.ndarray
    multi_place = MULTI_FILE

    def __init__(self, opening: Opening, column: str) -> None:
        self.dataset, self.split, self.column = opening.dataset, opening.split, column
        self.root, self.state = opening.root, opening.state
        reference = opening.reference
        #: What paths of items are relative to; None for sets known by name.
        self.paths_from: Path | None = None
        if reference.location:
            folder = reference.path if reference.path.is_dir() else reference.path.parent
            self.paths_from = Path(reference.options.get("root") or folder)
        if self.state is not None:
            _keep_classes(self.dataset, self.state.class_names)
            self.use_scheme(self.state.hash_scheme)

    @property
    def memory(self) -> CopyState:
        """What a copy remembers; for data that is no copy, a memory without changes."""
        data = self.dataset
        names = data.class_names if data.form is None else data.form.names
        return self.state or CopyState(data.reference, {}, tuple(names), data.hash_scheme, self.column)

    @property
    def given_names(self) -> np.ndarray:
        """Current label names, object array (n,)."""
        return self.dataset.given

    def use_scheme(self, scheme: str) -> None:
        """Make the item hashes by `scheme`.

        Raises
        ------
        DataError
            Refusal rule 4, if this kind of data cannot be hashed so.
        """
        if SCHEMES.get(scheme) != self.dataset.modality:
            raise DataError(
                f"the patch anchors items by {scheme!r} ({SCHEMES.get(scheme, 'unknown')}), but {self.dataset.name!r} "
                f"holds {self.dataset.modality} items.",
                "Name the content column of the data set (image=, text=, columns=), or take the right data set.",
            )
        if isinstance(self.dataset, ImageDataset) and self.dataset.hash_scheme != scheme:
            self.dataset.hash_scheme = scheme
            for cached in ("content_hashes", "fingerprint"):
                self.dataset.__dict__.pop(cached, None)

    @abstractmethod
    def write(self, out: Path, edit: Edit, link: bool) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """Write a corrected copy.

        Parameters
        ----------
        out : Path
            Empty folder.
        edit : Edit
        link : bool
            Hard-link files that do not change instead of copying them.

        Returns
        -------
        raws : dict
            Key to the spelling that was replaced, for text files.
        extra, open_as : dict
            `CopyState.extra` and `CopyState.open_as` of the copy.
        """


class Unwritable(Target):
    """Data that has no files a copy could be made of; a mapping file can be."""

    def __init__(self, opening: Opening, why: str) -> None:
        super().__init__(opening, opening.reference.options.get("label", "label"))
        self.keys = np.arange(len(self.dataset)).astype(str)
        self.why = why

    def write(self, out: Path, edit: Edit, link: bool) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        raise UsageError(
            f"no corrected copy of {self.dataset.reference!r} can be written: {self.why}.",
            "Write the corrections to a table instead, with --mapping FILE.csv.",
        )


def _keep_classes(dataset: Dataset, names: tuple[str, ...]) -> None:
    """Give the copy the classes of the original, also where it has no item of one any more."""
    if dataset.form is not None:  # a corrected label may be one that the original has not
        return
    unknown = [n for n in dataset.class_names if n not in names]
    if unknown:
        raise LabelError(
            f"the copy has the class {unknown[0]!r}, which the data it was made from had not.",
            "It was edited by something else; make the copy again.",
        )
    place = np.array([names.index(n) for n in dataset.class_names], dtype=np.int64)
    dataset.items = replace(dataset.items, labels=place[dataset.labels])
    dataset.class_names = names


def write_multi_file(out: Path, multi: Mapping[str, tuple[str, ...]], places: Mapping[str, dict[str, Any]]) -> None:
    """Write `MULTI_FILE`: one line per item with several labels, with what names the row in this format."""
    if not multi:
        return
    lines = [json.dumps({**places[key], "labels": list(multi[key])}, ensure_ascii=False) for key in sorted(multi)]
    write_text(out / MULTI_FILE, "\n".join(lines) + "\n")
