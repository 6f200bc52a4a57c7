"""Find the files behind a data reference, or behind a corrected copy: `open_target`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.core.label_forms import LabelForm, Levels, TagSets, TokenTags, split_tags
from auditor.data.build import roles_and_labels
from auditor.data.columns import FileTable, MemoryTable, SplitFiles, arrow_kind, parquet_file
from auditor.data.hub import local_splits, remote_splits
from auditor.data.intake import encode_supplied, read_labels
from auditor.data.kinds import ImageDataset
from auditor.data.labels import MISSING, listed, number_of, split_names
from auditor.data.locate import search_folders
from auditor.data.open import DATASETS, open_dataset
from auditor.data.reference import Reference, parse_reference
from auditor.data.roles import Roles
from auditor.data.sources import ColumnSource
from auditor.data.table import read_text_tables, table_files
from auditor.data.tables import csv_form
from auditor.patch.copies import CopyState, copy_state
from auditor.patch.folder_target import FolderTarget, shown_path
from auditor.patch.parquet_rows import AddedColumn, ParquetRows
from auditor.patch.rows import ArrayRows, RowFile, RowTarget, inside
from auditor.patch.target import Opening, Target, Unwritable
from auditor.patch.text_rows import CsvRows, JsonlRows, unquoted


def open_target(reference: str, settings: Settings, any_kind: bool = False) -> Target:
    """Open what a patch is to be applied to.

    Parameters
    ----------
    reference : str
        Any data reference, or the folder of a corrected copy.
    settings : Settings
    any_kind : bool
        As of `open_dataset`.

    Raises
    ------
    AuditorError
        As `open_dataset`; `DataError` where a copy is damaged.
    """
    copy = _as_copy(reference)
    if copy is not None:
        root, state = copy
        parsed, settings = _reference_of(root, state, settings)
        return _target(parsed, settings, None, root, state)
    parsed = parse_reference(reference, DATASETS.names())
    split = parsed.options.get("split")
    # Named sets read only the files of their split; elsewhere all rows are needed to keep the files whole.
    if parsed.scheme not in ("cifar10", "cifake", "cifake:class"):
        parsed = replace(parsed, options={k: v for k, v in parsed.options.items() if k != "split"})
        # Still check that the split exists, with the message of open_dataset.
        if split is not None:
            open_dataset(reference, settings, any_kind=any_kind)
    return _target(parsed, settings, split, any_kind=any_kind)


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


def moved_ids(reference: str) -> dict[str, str]:
    """Ids of the files that a corrected copy holds in another place than its source, with the id each had there.

    Empty for data that is no copy, and for copies of tables, whose rows stay where they are. Errors as `copy_state`.
    """
    copy = _as_copy(reference)
    moved = {} if copy is None else copy[1].extra.get("moved", {})
    return {shown_path(place): shown_path(home) for place, home in moved.items()}


def _reference_of(root: Path, state: CopyState, settings: Settings) -> tuple[Reference, Settings]:
    about = state.open_as
    place = (root / about["path"]).resolve()
    if not place.is_relative_to(root.resolve()) or about["scheme"] not in DATASETS.names():
        raise DataError(f"the copy {str(root)!r} remembers a place outside itself.", "Make the copy again.")
    options = dict(about["options"])
    for key in about.get("inside", ()):  # options that are paths inside the copy
        if key not in options:
            raise DataError(f"the copy {str(root)!r} remembers no option {key!r}.", "Make the copy again.")
        options[key] = str(inside(root / options[key], root))
    if about["scheme"] == "cifar10":
        return Reference("cifar10", "", options), replace(settings, data_dirs=(root,), offline=True)
    return Reference(about["scheme"], str(place), options), settings


def _columns(opening: Opening, table: MemoryTable, where: str) -> tuple[Roles, np.ndarray]:
    """The roles, and the row of the files behind each item: rows without a label are no items."""
    roles, encoded = roles_and_labels(table, opening.reference.options, where)
    if not np.array_equal(encoded.codes[encoded.present], opening.dataset.labels):
        raise DataError(f"the files of {opening.dataset.name!r} changed while they were read.", "Try again.")
    return roles, encoded.present


def _spelling(table: MemoryTable, label: str, options: Mapping[str, str]) -> Callable[[str], Any]:
    """How a class name is stored in the label column of one file."""
    described = split_names(options.get("classes")) or table.features.classes.get(label)
    cells = [] if table.features.types.get(label, "null") == "null" else table.head(label, len(table))
    sample = next(iter(cells), None)

    def number(name: str) -> int:
        if described is None:
            return int(name)
        if name not in described:
            raise DataError(
                f"column {label!r} of one of the files has no class {name!r}; it describes {listed(described)}."
            )
        return described.index(name)

    if isinstance(sample, bool):
        return lambda name: name == "True"
    if isinstance(sample, int | float):
        return lambda name: type(sample)(number(name))
    if described is not None and sample is not None and not set(cells) <= {*described, *MISSING}:
        written = {number_of(cell): cell for cell in reversed(cells)}  # positions as texts: 007 stays 007
        return lambda name: written.get(number(name), str(number(name)))
    return str


def _label_columns(table: MemoryTable, roles: Roles) -> tuple[str, ...]:
    """The columns of a label that lies in several; none where one column is called as the role says."""
    return () if roles.label in table.features.types else roles.labels(table)


def _form_spelling(
    table: MemoryTable, roles: Roles, form: LabelForm, options: Mapping[str, str]
) -> Callable[[str], Any]:
    """How a label of a form is stored in the label column of one file, or in each of its columns."""
    import pyarrow as pa

    if columns := _label_columns(table, roles):
        made = [_flag_of(table.column(name).type) for name in columns]
        return lambda text: [make(has) for make, has in zip(made, form.values([text])[0].tolist(), strict=True)]
    column = table.column(roles.label)
    if isinstance(form, TagSets):
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        return split_tags if is_list else str
    if isinstance(form, TokenTags):
        return _tags_spelling(column.type, form)
    if isinstance(form, Levels) and any(number_of(name) is None for name in form.names):
        return _spelling(table, roles.label, {"classes": ",".join(form.names), **options})  # or places in the names
    if arrow_kind(column.type) != "number":
        return str

    def number(text: str) -> float | int:
        value = float(text)
        if not pa.types.is_integer(column.type):
            return value
        if not value.is_integer():
            raise DataError(
                f"column {roles.label!r} holds whole numbers, which {text} is none of.",
                "Correct the verdict, or give the column another type first.",
            )
        return int(value)

    return number


def _tags_spelling(arrow_type: Any, form: TokenTags) -> Callable[[str], Any]:
    """A row of tags as a column of this type holds it: lists of names, or of their places; or a text."""
    import pyarrow as pa

    if not (pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type)):
        return str
    if not pa.types.is_integer(arrow_type.value_type):
        return str.split
    if all(name.isdecimal() for name in form.names):  # numbers without names
        return lambda text: [int(tag) for tag in text.split()]
    return lambda text: form.values([text])[0].tolist()


def _flag_of(arrow_type: Any) -> Callable[[bool], Any]:
    """Whether an item has a tag as a column of this type says it."""
    import pyarrow as pa

    return bool if pa.types.is_boolean(arrow_type) else float if pa.types.is_floating(arrow_type) else int


def _images(opening: Opening) -> ColumnSource | None:
    source = opening.dataset.source if isinstance(opening.dataset, ImageDataset) else None
    return source if isinstance(source, ColumnSource) else None


def _remembered(opening: Opening, name: str) -> dict[str, Any] | None:
    """What a copy remembers of its file `name`."""
    return None if opening.state is None else opening.state.extra.get("files", {}).get(name)


def _target(
    parsed: Reference,
    settings: Settings,
    split: str | None,
    root: Path | None = None,
    state: CopyState | None = None,
    any_kind: bool = False,
) -> Target:
    dataset = open_dataset(str(parsed), settings, any_kind=any_kind)
    reference = parse_reference(dataset.reference, DATASETS.names())
    opening = Opening(dataset, reference, settings, split, root, state)
    build = _BUILDERS.get(reference.scheme)
    if build is None:
        return Unwritable(opening, f"there are no files behind {reference.scheme!r} that could be copied")
    return build(opening)


def _named(opening: Opening) -> Target:
    """CIFAR-10 and CIFAKE: image columns; one file per split in the order of the items."""
    dataset, reference = opening.dataset, opening.reference
    source = _images(opening)
    if source is None:
        return Unwritable(opening, "it lies in another form than parquet files")
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
        name = f"{'cifar10/' if cifar else ''}{split}-00000-of-00001.parquet"
        files.append(ParquetRows(physical, name, column, names.index, _remembered(opening, name), order, added))
        place[here, 0], place[here, 1] = k, np.arange(len(here))
    opens: dict[str, Any] = {"scheme": "cifar10", "path": "cifar10", "options": dict(reference.options)}
    if not cifar:
        # CIFAKE takes its labels from file names, which a corrected copy keeps; so it is read by its columns.
        options = {"image": source.column, "label": column, "classes": ",".join(names)}
        opens = {"scheme": "hf", "path": ".", "options": options}
    return RowTarget(opening, column, files, place, opens)


def _hub(opening: Opening) -> Target:
    reference, settings = opening.reference, opening.settings
    splits, folder = None, None
    for base in (reference.path, *(b / reference.location for b in search_folders(settings))):
        if base.is_dir():
            splits, folder = local_splits(base, reference.options.get("root")), base
            break
    if not splits:
        name = reference.location if folder is None else str(folder.absolute())
        splits = remote_splits(name, reference.options, settings)
    roles, kept = _columns(opening, FileTable(splits), repr(opening.dataset.name))
    files = []
    for split in splits:
        for number, file in enumerate(split.files):
            name = f"data/{split.split}-{number:05d}-of-{len(split.files):05d}.parquet"
            if file.is_parquet and folder is not None:
                name = Path(file.path).relative_to(folder.absolute()).as_posix()
            own = FileTable([SplitFiles(split.split, (file,))])
            form, options = opening.dataset.form, reference.options
            value = _spelling(own, roles.label, options) if form is None else _form_spelling(own, roles, form, options)
            remembered, columns = _remembered(opening, name), _label_columns(own, roles)
            rows = ParquetRows([file], name, roles.label, value, remembered, images=_images(opening), columns=columns)
            files.append(rows)
    pinned = _pinned(reference.options, roles, form=opening.dataset.form)
    opens = {"scheme": "hf", "path": ".", "options": pinned}
    return RowTarget(
        opening, roles.label, files, _place(kept, [file.rows for split in splits for file in split.files]), opens
    )


def _parquet(opening: Opening) -> Target:
    path = opening.reference.path.absolute()
    file = parquet_file(path)
    table = FileTable([SplitFiles("all", (file,))])
    roles, kept = _columns(opening, table, repr(str(path)))
    form, options = opening.dataset.form, opening.reference.options
    value = _spelling(table, roles.label, options) if form is None else _form_spelling(table, roles, form, options)
    remembered, columns = _remembered(opening, path.name), _label_columns(table, roles)
    rows = ParquetRows([file], path.name, roles.label, value, remembered, images=_images(opening), columns=columns)
    opens = _opens(opening.reference, roles, form)
    return RowTarget(opening, roles.label, [rows], _place(kept, [file.rows]), opens)


def _text_table(opening: Opening) -> Target:
    path, options, state = opening.reference.path.absolute(), opening.reference.options, opening.state
    table = read_text_tables(path, options)
    roles, kept = _columns(opening, table, repr(str(path)))
    form, columns = opening.dataset.form, _label_columns(table, roles)
    value = _spelling(table, roles.label, options) if form is None else _form_spelling(table, roles, form, options)
    is_csv = opening.reference.scheme == "csv"
    # As the file writes a class: 007, 1E5, "d\u00f6g"; as a copy's rows of it were written, if none is left.
    read = unquoted if is_csv else str
    spellings = {} if state is None else {change.was: read(change.raw) for change in state.changes if change.raw}
    if form is not None:  # a label that other rows have is written as it is, not as they happen to write it
        spellings = {}

    def spell(name: str) -> list[str]:
        written = value(name) if columns else [value(name)]
        if is_csv and form is not None and not columns and not isinstance(form, Levels):
            return [name]
        known = spellings.get(name)
        return [known or (str(one) if is_csv else json.dumps(one, ensure_ascii=False)) for one in written]

    files: list[CsvRows | JsonlRows] = []
    for file in [file for _, file in table_files(path)] if path.is_dir() else [path]:
        if is_csv:
            encoding, layout = options.get("encoding", "utf8"), csv_form(file, options)
            files.append(
                CsvRows(
                    file,
                    file.name,
                    encoding,
                    roles.label,
                    spell,
                    columns=columns,
                    delimiter=layout.delimiter,
                    before=layout.before,
                )
            )
        else:
            has_several = state is not None and bool(state.multi)
            files.append(JsonlRows(file, file.name, "utf8", roles.label, spell, has_several, columns))
    if (n := sum(rows.n for rows in files)) != len(table):
        raise DataError(
            f"{str(path)!r}: {len(table)} rows were read, but {n} are found in its text: its quotes or line "
            "breaks cannot be told apart safely.",
            "Write the corrections to a table instead, with --mapping FILE.csv.",
        )
    codes, items = np.unique(opening.dataset.labels, return_index=True)
    names, place = opening.dataset.class_names, _place(kept, [rows.n for rows in files])
    if form is None:
        for code, (file_number, row) in zip(codes, place[items], strict=True):
            spellings[names[code]] = files[file_number].spelling(row)
    opens = _opens(opening.reference, roles, form)
    return RowTarget(opening, roles.label, files, place, opens, multi_in_files=not is_csv)


def _supplied(opening: Opening) -> Target:
    dataset, options, path = opening.dataset, opening.reference.options, opening.reference.path
    labels = Path(options["labels"]) if "labels" in options else None
    if labels is None or labels.suffix != ".npy" or path.suffix != ".npy":
        return Unwritable(opening, "labels and probabilities must be two .npy files")
    values = read_labels(labels).values
    kept = encode_supplied(values, dataset.class_names, "labels").present
    names = split_names(options.get("classes")) or dataset.class_names
    value: Callable[[str], Any] = str if values.dtype.kind == "U" else names.index
    dtype = (_remembered(opening, "labels.npy") or {}).get("dtype")
    files = [ArrayRows(labels, "labels.npy", value, dtype), ArrayRows(path, "pred_probs.npy")]
    place = np.column_stack([np.zeros_like(kept), kept])
    options = {**options, "labels": "labels.npy"}
    opens = {"scheme": "probs", "path": "pred_probs.npy", "options": options, "inside": ["labels"]}
    return _Supplied(opening, "label", files, place, opens, multi_in_files=False)


class _Supplied(RowTarget):
    """Labels and probabilities: a row set aside leaves both files."""

    def _plan(self, k: int, edit: Any) -> Any:
        plan = super()._plan(0, edit)
        return plan if k == 0 else replace(plan, labels={}, before=self._aside[0])


def _place(rows: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    starts = np.cumsum([0, *sizes])
    file = np.searchsorted(starts, rows, side="right") - 1
    return np.column_stack([file, rows - starts[file]])


def _opens(reference: Reference, roles: Roles, form: LabelForm | None = None) -> dict[str, Any]:
    """How the copy of one file is opened."""
    path = reference.path.absolute()
    folder, name = (path, ".") if path.is_dir() else (path.parent, path.name)
    return {"scheme": reference.scheme, "path": name, "options": _pinned(reference.options, roles, folder, form)}


def _pinned(options: Any, roles: Roles, folder: Path | None = None, form: LabelForm | None = None) -> dict[str, str]:
    """Options that open the copy with the same columns, whatever would be inferred from what is left in it."""
    pinned = {k: v for k, v in options.items() if k not in ("split", "config", "revision")}
    pinned["label"] = roles.label
    if form is not None and form.names and not any("," in name for name in form.names):
        pinned.setdefault("classes", ",".join(form.names))
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


_BUILDERS: dict[str, Callable[[Opening], Target]] = {
    "folder": FolderTarget,
    "cifar10": _named,
    "cifake": _named,
    "cifake:class": _named,
    "hf": _hub,
    "csv": _text_table,
    "jsonl": _text_table,
    "parquet": _parquet,
    "probs": _supplied,
}
