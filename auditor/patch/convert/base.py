"""Convert, and what every converter works with: a view of the data, and corrections by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.core.reading import regular_file
from auditor.core.registry import Registry
from auditor.core.row_lookup import RowLookup
from auditor.core.version import __version__
from auditor.data.base import Dataset
from auditor.patch.files import is_patch_name, read_patch, write_patch
from auditor.patch.open_target import open_target
from auditor.patch.records import Patch, PatchHeader, PatchRecord, disagreements, record_of, unique_records


@dataclass(frozen=True)
class Options:
    """What a converter may be told.

    Attributes
    ----------
    k : int
        Votes of five that make a consensus (published verdicts).
    index : Path or None
        ``index.json`` of published verdicts for imagenet and imdb.
    column : str
        Column of corrected labels.
    strip : str
        What the file puts in front of the paths that the data has.
    """

    k: int = 3
    index: Path | None = None
    column: str = "corrected_label"
    strip: str = ""


class Converter(Protocol):
    """Reader and writer of one format. Instantiated without arguments."""

    summary: str
    #: Whether writing lists every row of the data, not only the corrected ones.
    needs_data_to_write: bool

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        """Corrections by row, and notes. Raises `DataError` for what is not of this format or not of this data."""

    def write(self, patch: Patch, path: Path, data: Any, options: Options) -> list[str]:
        """Write atomically; returns notes on what has no place in the format. `data` is a `DataView`, or None where
        none was given and none is needed."""


FORMATS: Registry[type[Converter]] = Registry(
    "patch format",
    {
        "published": "auditor.patch.convert.published:Published",
        "real": "auditor.patch.convert.real:Real",
        "csv": "auditor.patch.convert.table:Table",
        "label-studio": "auditor.patch.convert.label_studio:LabelStudio",
        "argilla": "auditor.patch.convert.argilla:Argilla",
        "cvat": "auditor.patch.convert.cvat:Cvat",
        "coco": "auditor.patch.convert.coco:Coco",
        "fiftyone": "auditor.patch.convert.fiftyone:FiftyOne",
        "column": "auditor.patch.convert.column:Column",
    },
    entry_point_group="auditor.patch_formats",
)


@dataclass(frozen=True)
class Correction:
    """What a source says about one row.

    Attributes
    ----------
    row : int
        Row of the `DataView`.
    labels : tuple of str
        Labels after: the given one alone where it is right; none where the item is to be dropped.
    reason : str or None
        For none: ``"neither"`` or ``"bad_item"``.
    more : dict
        Further fields of the record: verdict, votes, n, posterior, rank, note.
    """

    row: int
    labels: tuple[str, ...]
    reason: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataView:
    """The rows of one split of a data set, and ways to find them.

    Attributes
    ----------
    part : Dataset
    column : str
        Label column.
    split : str or None
    whole : Dataset
        All splits.
    root : Path or None
        Folder that the paths of the items are relative to.
    strip : str
        What the file puts in front of these paths.
    """

    part: Dataset
    column: str
    split: str | None
    whole: Dataset
    root: Path | None = None
    strip: str = ""

    @cached_property
    def names(self) -> list[str]:
        """Given label of each row."""
        return [self.part.class_names[k] for k in self.part.labels]

    @cached_property
    def hashes(self) -> list[str]:
        """Content hash of each row."""
        return [str(h) for h in self.part.content_hashes]

    @cached_property
    def rows(self) -> RowLookup:
        """Which row an item of the file is."""
        items = self.part.items
        names = [_paths(self.part)]
        return RowLookup(len(self.part), ids=items.ids, index=items.index, names=names, hashes=lambda: self.hashes)

    def row_of_path(self, path: str, where: str = "") -> int | None:
        """Row of a path as the data has it, or with the folders in front that the data lies in, as far up as given."""
        path = path.replace("\\", "/").removeprefix(self.strip)
        row = self.rows.by_name(path, where)
        folders = () if self.root is None else self.root.absolute().parts
        for first in range(len(folders)):
            above = "/".join(folders[first:]).replace("//", "/") + "/"
            if row is None and path.startswith(above):
                row = self.rows.by_name(path.removeprefix(above), where)
        return row

    @cached_property
    def _by_file(self) -> RowLookup:
        """By file names alone, in all splits."""
        return RowLookup(len(self.whole), names=[[path.rpartition("/")[2] for path in _paths(self.whole)]])

    def row_of_upload(self, name: str, where: str) -> int | None:
        """Row of a file whose folders are not known any more.

        Raises
        ------
        DataError
            If several items of the data, in whatever split, are called so.
        """
        row = self._by_file.by_name(name, where)
        return None if row is None else self.rows.by_id(str(self.whole.ids[row]))

    def rows_of(self, record: PatchRecord) -> list[int]:
        """All rows with the content and the label before of a record."""
        return [k for k in self.rows.by_hash(record.id) if self.names[k] == record.from_label]

    def class_name(self, value: Any, where: str) -> str:
        """A class from its name or its number.

        Raises
        ------
        DataError
        """
        names = self.part.class_names
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        if isinstance(value, str) and value in names:
            return value
        raise DataError(f"{where}: {str(value)[:80]!r} is not one of the {len(names)} classes of the data.")

    def header(self) -> PatchHeader:
        """A header for this data."""
        return PatchHeader(
            name=self.part.name,
            split=self.split,
            n=len(self.part),
            fingerprint=self.part.fingerprint,
            hash_scheme=self.part.hash_scheme,
            classes=tuple(self.part.class_names),
            label_column=self.column,
            tool=f"auditor {__version__}",
        )


def _paths(data: Dataset) -> list[str]:
    return [str(p).replace("\\", "/") for p in (data.items.ids if data.items.paths is None else data.items.paths)]


def open_view(reference: str, settings: Settings, split: str | None = None, strip: str = "") -> DataView:
    """Open the data that a file of another tool speaks of.

    Raises
    ------
    UsageError
        If the data has several splits and none is named; `split` is the one of the patch that is written.
    """
    target = open_target(reference, settings)
    whole = data = target.dataset
    splits = list(dict.fromkeys(map(str, data.items.splits)))
    wanted = target.split or (split if split in splits else None)
    if wanted is None and len(splits) > 1:
        raise UsageError(f"{reference!r} has the splits {', '.join(splits)}.", "Name one, for example ?split=test.")
    if wanted is not None:
        data = data.subset(np.flatnonzero(data.items.splits == wanted))
    only = wanted or (splits[0] if splits[0] != "all" else None)
    return DataView(data, target.column, only, whole, target.paths_from, strip)


def assemble(data: DataView, corrections: Sequence[Correction], created: str) -> tuple[Patch, list[str]]:
    """A patch from corrections by row.

    Exact copies with one label share a record; where the source says different things about them, they are left out.

    Returns
    -------
    patch : Patch
    notes : list of str
    """
    items = data.part.items
    said: list[tuple[tuple[str, str], PatchRecord | None, int]] = []
    for correction in corrections:
        row = correction.row
        record = record_of(
            data.names[row],
            correction.labels,
            correction.reason,
            id=data.hashes[row],
            index=int(items.index[row]),
            path=None if items.paths is None else str(items.paths[row]),
            **correction.more,
        )
        said.append(((data.hashes[row], data.names[row]), record, row))
    conflicts = list(disagreements(said))
    contested = {key for key, _, _ in conflicts}
    notes = []
    if contested:
        first = min(row for _, _, row in conflicts)
        notes.append(
            f"{len(contested)} items were left out: their exact copies are labelled differently by the source "
            f"(the first: row {first})"
        )
    records = unique_records(record for key, record, _ in said if record is not None and key not in contested)
    return Patch(replace(data.header(), created=created), tuple(records.values())), notes


def labels_after(patch: Patch, data: DataView) -> tuple[list[tuple[str, ...]], dict[int, PatchRecord]]:
    """Labels of every row after `patch`, and the record that changed it.

    Raises
    ------
    DataError
        If a record fits no row: the data is another one.
    """
    labels: list[tuple[str, ...]] = [(name,) for name in data.names]
    changed: dict[int, PatchRecord] = {}
    for record in patch.records:
        rows = data.rows_of(record)
        if not rows:
            raise DataError(
                f"{record.where()}, labelled {record.from_label!r}, is not in {data.part.name!r}.",
                "Give the data the patch was made for.",
            )
        for k in rows:
            labels[k], changed[k] = record.to, record
    return labels, changed


#: What to do about an item that is not found.
MISSING = (
    "Give the data and the split it speaks of. Paths are whole, as the data has them; what the file puts in front of "
    "them is named with --strip."
)
#: Name of the patch format itself.
PATCH = "patch"


@dataclass(frozen=True)
class Converted:
    """What a conversion did."""

    patch: Patch
    notes: tuple[str, ...]
    source: str
    target: str


def convert(
    source: Path,
    out: Path,
    settings: Settings,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    reference: str | None = None,
    options: Options | None = None,
    created: str | None = None,
) -> Converted:
    """Convert corrections between a label patch and the formats of `FORMATS`.

    Parameters
    ----------
    source, out : Path
    settings : Settings
    read_as, write_as : str, optional
        Names of formats; ``patch`` is known by its name.
    reference : str, optional
        The data spoken of: needed to read every format but a patch (they have no content hashes), and to write those
        that list every row.
    options : Options, optional
    created : str, optional
        Time of a new header; now by default.

    Raises
    ------
    UsageError, UnknownNameError
        A format or the data is not named.
    DataError
        As the reader and writer of the format.
    """
    options = options or Options()
    read_as, write_as = _format(source, read_as, "--from"), _format(out, write_as, "--to")
    view: DataView | None = None
    if read_as == PATCH:
        patch = read_patch(source)
        if patch.header.form is not None and write_as != PATCH:
            raise UsageError(
                f"the patch {str(source)!r} is of labels of the kind {patch.header.form.kind!r}, which {write_as!r} "
                "does not hold.",
                "Write the corrections to a table with: auditor patch apply PATCH DATASET --mapping FILE.csv",
            )
        notes = list(patch.notes)
    else:
        reader = FORMATS.load(read_as)()
        if reference is None:
            raise UsageError(
                f"a {read_as!r} file has no content hashes; the data it speaks of is needed.",
                "Name it with --data DATASET.",
            )
        view = open_view(reference, settings, strip=options.strip)
        corrections, notes = reader.read(source if source.is_dir() else regular_file(source), view, options)
        patch, left_out = assemble(view, corrections, created or datetime.now(UTC).isoformat(timespec="seconds"))
        notes = [*notes, *left_out]
    if write_as == PATCH:
        write_patch(patch, out)
    else:
        writer = FORMATS.load(write_as)()
        if view is None and reference is not None:
            view = open_view(reference, settings, patch.header.split)
        if view is None and writer.needs_data_to_write:
            raise UsageError(f"writing {write_as!r} needs the data.", "Name it with --data DATASET.")
        notes += writer.write(patch, out, view, options)
    return Converted(patch, tuple(notes), read_as, write_as)


def _format(path: Path, name: str | None, option: str) -> str:
    if name is None and not is_patch_name(path):
        raise UsageError(f"the format is not clear; name it with {option}.", f"Known: patch, {', '.join(FORMATS)}.")
    return name or PATCH
