"""Find the files behind a data reference, or behind a corrected copy: `open_target`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.data.base import Dataset
from auditor.data.build import FileTable, MemoryTable
from auditor.data.columns import SplitFiles, parquet_file
from auditor.data.hub import local_splits, remote_splits
from auditor.data.intake import encode_supplied, read_labels
from auditor.data.kinds import ImageDataset
from auditor.data.labels import encode_labels, split_names
from auditor.data.locate import search_folders
from auditor.data.open import DATASETS, open_dataset
from auditor.data.reference import Reference, parse_reference
from auditor.data.roles import Roles, choose_roles
from auditor.data.sources import ColumnFile, ColumnSource
from auditor.data.tables import read_table
from auditor.patch.array_rows import ArrayRows
from auditor.patch.copies import CopyState, copy_state
from auditor.patch.folder_target import FolderTarget
from auditor.patch.parquet_rows import AddedColumn, ParquetRows
from auditor.patch.rows import RowFile, RowTarget
from auditor.patch.target import Target, Unwritable
from auditor.patch.text_rows import CsvRows, JsonlRows

__all__ = ["OpenedTarget", "open_target"]


@dataclass(frozen=True)
class OpenedTarget:
    """A target and the split that was asked for in the reference, if any."""

    target: Target
    split: str | None


def open_target(reference: str, settings: Settings) -> OpenedTarget:
    """Open what a patch shall be applied to.

    Parameters
    ----------
    reference : str
        Any data reference, or the folder of a corrected copy.
    settings : Settings

    Raises
    ------
    AuditorError
        As `open_dataset`; `DataError` where a copy is damaged.
    """
    copy = _as_copy(reference)
    if copy is not None:
        root, state = copy
        parsed, settings = _reference_of(root, state, settings)
        return OpenedTarget(_target(parsed, settings, root, state), None)
    parsed = parse_reference(reference, DATASETS.names())
    split = parsed.options.get("split")
    # Named sets read only the files of their split; elsewhere all rows are needed to keep the files whole.
    if parsed.scheme not in ("cifar10", "cifake", "cifake:class"):
        parsed = replace(parsed, options={k: v for k, v in parsed.options.items() if k != "split"})
        # Still check that the split exists, with the message of open_dataset.
        if split is not None:
            open_dataset(reference, settings)
    return OpenedTarget(_target(parsed, settings, None, None), split)


def _as_copy(reference: str) -> tuple[Path, CopyState] | None:
    folder = Path(reference).expanduser()
    if folder.is_dir():
        state = copy_state(folder)
        return None if state is None else (folder.absolute(), state)
    if "://" not in reference:
        return None
    # folder:///copy, csv:///copy/x.csv: the same copy, named another way.
    parsed = parse_reference(reference, DATASETS.names())
    place = Path(parsed.location).expanduser() if parsed.location else None
    for root in () if place is None else (place, place.parent):
        state = copy_state(root)
        if state is not None and (root / state.open_as["path"]).absolute() == (place or root).absolute():
            return root.absolute(), state
    return None


def _reference_of(root: Path, state: CopyState, settings: Settings) -> tuple[Reference, Settings]:
    about = state.open_as
    place = (root / about["path"]).resolve()
    if not place.is_relative_to(root.resolve()) or about["scheme"] not in DATASETS.names():
        raise DataError(f"the copy {str(root)!r} remembers a place outside itself.", "Make the copy again.")
    options = dict(about["options"])
    for key in about.get("inside", ()):  # options that are paths inside the copy
        options[key] = str(root / options[key])
    if about["scheme"] == "cifar10":
        return Reference("cifar10", "", options), replace(settings, data_dirs=(root,), offline=True)
    return Reference(about["scheme"], str(place), options), settings


def _target(parsed: Reference, settings: Settings, root: Path | None, state: CopyState | None) -> Target:
    dataset = open_dataset(str(parsed), settings)
    scheme = parse_reference(dataset.reference, DATASETS.names()).scheme
    build = _BUILDERS.get(scheme)
    if build is None:
        return Unwritable(dataset, f"there are no files behind {scheme!r} that could be copied")
    return build(dataset, parse_reference(dataset.reference, DATASETS.names()), settings, root, state)


def _folder(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    return FolderTarget(dataset, reference.path, root, state)


def _named(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    """CIFAR-10 and CIFAKE: image columns; one file per split in the order of the items."""
    source = dataset.source if isinstance(dataset, ImageDataset) else None
    if not isinstance(source, ColumnSource):
        return Unwritable(dataset, "it lies in another form than parquet files")
    splits = list(dict.fromkeys(dataset.items.splits.tolist()))
    cifar, column = reference.scheme == "cifar10", "class" if reference.scheme == "cifake:class" else "label"
    names = dataset.class_names
    files: list[RowFile] = []
    place = np.empty((len(dataset), 2), dtype=np.int64)
    for k, split in enumerate(splits):
        here = np.flatnonzero(dataset.items.splits == split)
        rows = source.rows[here]
        used = np.unique(np.searchsorted(source.starts, rows, side="right") - 1)
        physical = [source.files[f] for f in used]
        order = rows - int(source.starts[used[0]])
        added = AddedColumn(dataset.labels[here], names) if column == "class" else None
        name = f"cifar10/{split}-00000-of-00001.parquet" if cifar else f"{split}-00000-of-00001.parquet"
        extra = _extra(state, name)
        files.append(ParquetRows(physical, name, column, names.index, extra, order, added))
        place[here, 0], place[here, 1] = k, np.arange(len(here))
    opens: dict[str, Any] = {"scheme": "cifar10", "path": "cifar10", "options": dict(reference.options)}
    if not cifar:
        # CIFAKE takes its labels from file names, which a corrected copy keeps; so it is read by its columns.
        opens = {
            "scheme": "hf",
            "path": ".",
            "options": {"image": source.column, "label": column, "classes": ",".join(names)},
        }
    return RowTarget(dataset, column, root, state, files, place, opens, multi_in_files=True)


def _hub(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    options = reference.options
    splits, folder = None, None
    for base in (reference.path, *(b / reference.location for b in search_folders(settings))):
        if base.is_dir():
            splits, folder = local_splits(base), base
            break
    if splits is None:
        name = reference.location if folder is None else str(folder.absolute())
        splits = remote_splits(name, options, settings)
    physical = [(split.split, file) for split in splits for file in split.files]
    files = []
    roles, value = _column_of(FileTable(splits), options, repr(dataset.name))
    per_split: dict[str, int] = {}
    for split, file in physical:
        number = per_split[split] = per_split.get(split, -1) + 1
        count = sum(s == split for s, _ in physical)
        name = f"data/{split}-{number:05d}-of-{count:05d}.parquet"
        if file.is_parquet and folder is not None:
            name = Path(file.path).relative_to(folder.absolute()).as_posix()
        files.append(ParquetRows([file], name, roles.label, value, _extra(state, name)))
    kept = _kept_rows(FileTable(splits), roles, options, dataset)
    opens = {"scheme": "hf", "path": ".", "options": _pinned(options, roles)}
    return RowTarget(
        dataset, roles.label, root, state, files, _place(kept, [f for _, f in physical]), opens, multi_in_files=True
    )


def _parquet(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    path = reference.path.absolute()
    file = parquet_file(path)
    table = FileTable([SplitFiles("all", (file,))])
    roles, value = _column_of(table, reference.options, repr(str(path)))
    kept = _kept_rows(table, roles, reference.options, dataset)
    rows = ParquetRows([file], path.name, roles.label, value, _extra(state, path.name))
    opens = {"scheme": "parquet", "path": path.name, "options": _pinned(reference.options, roles, path.parent)}
    return RowTarget(dataset, roles.label, root, state, [rows], _place(kept, [file]), opens, multi_in_files=True)


def _text_table(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    path, options = reference.path.absolute(), reference.options
    strings = [options[k] for k in ("id", "image", "text", "group") if k in options]
    csv_options = {k: options[k] for k in ("delimiter", "encoding") if k in options}
    table = MemoryTable(read_table(path, strings, **csv_options))
    roles, value = _column_of(table, options, repr(str(path)))
    kept = _kept_rows(table, roles, options, dataset)
    rows: CsvRows | JsonlRows
    if reference.scheme == "csv":
        encoding, delimiter = options.get("encoding", "utf8"), _delimiter(path, options)
        rows = CsvRows(path, path.name, encoding, delimiter, roles.label, lambda name: str(value(name)))
    else:
        owns = state is not None and bool(state.multi)
        rows = JsonlRows(path, path.name, "utf8", roles.label, _json_of(value), owns)
    if rows.n != len(table):
        raise DataError(
            f"{str(path)!r}: {len(table)} rows were read, but {rows.n} are found in its text: its quotes or line "
            "breaks cannot be told apart safely.",
            "Write the corrections to a table instead, with --mapping FILE.csv.",
        )
    opens = {"scheme": reference.scheme, "path": path.name, "options": _pinned(options, roles, path.parent)}
    place = np.column_stack([np.zeros_like(kept), kept])
    return RowTarget(
        dataset, roles.label, root, state, [rows], place, opens, multi_in_files=reference.scheme == "jsonl"
    )


def _supplied(
    dataset: Dataset, reference: Reference, settings: Settings, root: Path | None, state: CopyState | None
) -> Target:
    labels = Path(reference.options["labels"]) if "labels" in reference.options else None
    if labels is None or labels.suffix != ".npy" or reference.path.suffix != ".npy":
        return Unwritable(dataset, "labels and probabilities must be two .npy files")
    codes = encode_supplied(read_labels(labels).values, dataset.class_names, "labels").codes
    names = split_names(reference.options.get("classes")) or dataset.class_names
    text = np.load(labels, mmap_mode="r", allow_pickle=False).dtype.kind == "U"
    extra = _extra(state, "labels.npy") or {}
    files = [
        ArrayRows(labels, "labels.npy", (lambda name: name) if text else names.index, extra.get("dtype")),
        ArrayRows(reference.path, "pred_probs.npy"),
    ]
    kept = np.flatnonzero(codes >= 0)
    place = np.column_stack([np.zeros_like(kept), kept])
    options = {**reference.options, "labels": "labels.npy"}
    opens = {"scheme": "probs", "path": "pred_probs.npy", "options": options, "inside": ["labels"]}
    return _Supplied(dataset, "label", root, state, files, place, opens, multi_in_files=False)


class _Supplied(RowTarget):
    """Labels and probabilities: a row set aside leaves both files."""

    def _plan(self, k: int, edit: Any) -> Any:
        plan = super()._plan(0, edit)
        return plan if k == 0 else replace(plan, labels={}, before=self._aside[0])


def _column_of(table: Any, options: Any, where: str) -> tuple[Roles, Callable[[str], Any]]:
    """The roles, and how a class name is stored in the label column."""
    roles = choose_roles(table, options, where)
    kind = table.features.types[roles.label]
    described = split_names(options.get("classes")) or table.features.classes.get(roles.label)
    sample = next(iter(table.head(roles.label, 1)), None)
    if isinstance(sample, bool):
        return roles, lambda name: name == "True"
    if isinstance(sample, int | float):
        number = type(sample)
        return roles, lambda name: number(described.index(name)) if described is not None else number(name)
    return roles, (lambda name: name) if kind != "other" else str


def _kept_rows(table: Any, roles: Roles, options: Any, dataset: Dataset) -> np.ndarray:
    """Row of the files behind each item: rows without a label are no items."""
    import pyarrow as pa

    described = table.features.classes.get(roles.label)
    column = table.column(roles.label)
    if table.features.types[roles.label] == "other":
        column = column.cast(pa.string())
    encoded = encode_labels(
        column.to_pylist(),
        split_names(options.get("classes")) or described,
        "labels",
        None if described is None else -1,
    )
    if not np.array_equal(encoded.codes[encoded.present], dataset.labels):
        raise DataError(f"the files of {dataset.name!r} changed while they were read.", "Try again.")
    return encoded.present


def _place(rows: np.ndarray, files: Sequence[ColumnFile]) -> np.ndarray:
    starts = np.cumsum([0, *(f.rows for f in files)])
    file = np.searchsorted(starts, rows, side="right") - 1
    return np.column_stack([file, rows - starts[file]])


def _pinned(options: Any, roles: Roles, folder: Path | None = None) -> dict[str, str]:
    """Options that open the copy with the same columns, whatever would be inferred from what is left in it."""
    pinned = {k: v for k, v in options.items() if k not in ("split", "config", "revision")}
    pinned["label"] = roles.label
    if roles.kind in ("image", "image-path"):
        pinned["image"] = roles.content[0]
    elif roles.kind == "text":
        pinned["text"] = roles.content[0]
    elif not any("," in name for name in roles.content):
        pinned["columns"] = ",".join(roles.content)
    for key, name in (("id", roles.id), ("split_column", roles.split)):
        if name is not None:
            pinned[key] = name
    if roles.kind == "image-path" and folder is not None:
        pinned.setdefault("root", str(folder))
    return pinned


def _extra(state: CopyState | None, name: str) -> dict[str, Any] | None:
    return None if state is None else state.extra.get("files", {}).get(name)


def _delimiter(path: Path, options: Any) -> str:
    if "delimiter" in options:
        return str(options["delimiter"])
    if path.suffix.lower() == ".tsv" or path.with_suffix("").suffix.lower() == ".tsv":
        return "\t"
    import pyarrow as pa
    from pyarrow import csv

    # As read_csv decides: a header of one column with a semicolon in it is a table of semicolons.
    options_of_read = csv.ReadOptions(encoding=options.get("encoding", "utf8"))
    try:
        with csv.open_csv(
            path, read_options=options_of_read, parse_options=csv.ParseOptions(newlines_in_values=True)
        ) as reader:
            names = reader.schema.names
    except pa.ArrowException:
        return ","
    return ";" if len(names) == 1 and ";" in names[0] else ","


def _json_of(value: Callable[[str], Any]) -> Callable[[str], str]:
    import json

    return lambda name: json.dumps(value(name), ensure_ascii=False)


_BUILDERS: dict[str, Callable[..., Target]] = {
    "folder": _folder,
    "cifar10": _named,
    "cifake": _named,
    "cifake:class": _named,
    "hf": _hub,
    "csv": _text_table,
    "jsonl": _text_table,
    "parquet": _parquet,
    "probs": _supplied,
}
