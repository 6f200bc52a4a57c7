"""From columns with roles to a data set: the one path for CSV, JSON Lines, parquet, Hub data and what is in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import DataError, LabelError, MissingRoleError, UsageError
from auditor.core.label_forms import TokenTags
from auditor.core.reading import local_path
from auditor.data.base import Dataset, ItemTable
from auditor.data.columns import MemoryTable, arrow_kind
from auditor.data.dates import date_features, read_dates
from auditor.data.decode import is_lossless
from auditor.data.folder import LOSSLESS_SUFFIXES, index_in_split
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset, TableDataset, TextDataset
from auditor.data.label_kinds import AUTO, columns_of, likely_kind, tag_cells, tag_names
from auditor.data.labels import LABEL_KINDS, EncodedLabels, listed, refuse_measurement, split_names
from auditor.data.roles import Roles, choose_roles
from auditor.data.sources import FileSource, Source, leaving
from auditor.data.token_labels import is_list, joined_tokens
from auditor.stats.predictability import TELLING, predictability

if TYPE_CHECKING:
    import pandas as pd

_SCHEME_SAMPLE = 64


def build_dataset(
    table: MemoryTable, options: Mapping[str, str], name: str, reference: str, where: str, folder: Path | None = None
) -> Dataset:
    """Make the data set.

    Parameters
    ----------
    table : MemoryTable
    options : mapping
        Column roles, ``classes``, ``root``; see `auditor.data.roles`.
    name, reference : str
        As in `Dataset`.
    where : str
        For messages.
    folder : Path, optional
        Image paths are relative to it (``root`` overrides it).

    Raises
    ------
    UsageError, LabelError, EmptyDataError
    """
    roles, encoded = roles_and_labels(table, options, where)
    if isinstance(encoded.form, TokenTags) and roles.kind != "text":
        raise UsageError(f"{where} has no column of tokens.", "Name the one that holds them: text=NAME.")
    keep = encoded.present
    items = _items(table, roles, encoded.codes, where).take(keep)
    common: dict[str, Any] = {
        "name": name,
        "reference": reference,
        "class_names": encoded.names,
        "items": items,
        "notes": [*roles.notes, *table.notes_on((*roles.labels(table), *roles.content)), *encoded.notes],
        "form": encoded.form,
        "label": roles.label,
    }
    if roles.kind == "image":
        source = table.source(roles.content[0]).take(keep)
        return ImageDataset(**common, source=source, hash_scheme=_scheme(source))
    if roles.kind == "image-path":
        root = Path(options["root"]).expanduser() if "root" in options else (folder or Path.cwd())
        paths = table.column(roles.content[0]).take(keep).to_pylist()
        return _image_paths(paths, roles.content[0], os.path.abspath(root), where, common)
    if roles.kind == "text":
        values = table.column(roles.content[0]).take(keep).to_pylist()
        if isinstance(encoded.form, TokenTags):
            given = [encoded.names[code] for code in encoded.codes[keep]]
            texts = joined_tokens(values, given, f"column {roles.content[0]!r} of {where}")
            return TextDataset(**common, column=np.array(texts, dtype=object))
        if is_list(table, roles.content[0]):
            raise UsageError(f"column {roles.content[0]!r} of {where} holds lists.", "Tags of tokens: kind=tokens.")
        if gone := values.count(None):
            common["notes"].append(f"{gone} rows without a text are kept as empty texts")
        return TextDataset(**common, column=np.array([v or "" for v in values], dtype=object))
    frame = _frame(table, roles.content).iloc[keep].reset_index(drop=True)
    return TableDataset(**common, frame=frame, named="columns" in options)


def roles_and_labels(table: MemoryTable, options: Mapping[str, str], where: str) -> tuple[Roles, EncodedLabels]:
    """The roles of the columns, and the labels as positions in the classes: those of the options, of the column's
    description, or its values. Row numbers that give the label away are no features, unless they are asked for.

    Raises
    ------
    UsageError, LabelError, EmptyDataError
    """
    roles = choose_roles(table, options, where)
    name, missing, kind = roles.label, split_names(options.get("missing")), options.get("kind", "class")
    classes = split_names(options.get("classes")) or table.features.classes.get(name)
    of_column = f"column {name!r} of {where}"
    if name in table.features.types:
        cells = _label_cells(table.column(name), kind, of_column)
    else:
        columns = columns_of(name, table.features.types)
        cells, classes = tag_cells(table, name, columns, where), tag_names(name, columns)  # whatever classes= says
    if kind == AUTO and roles.kind == "text" and is_list(table, roles.content[0]):
        kind = TokenTags.kind
        roles.notes.insert(0, f"label kind: {kind} (a tag for each of {roles.content[0]!r}); another one with kind=")
    if kind == AUTO:
        kind, why = ("multilabel", "") if name not in table.features.types else likely_kind(cells, classes, of_column)
        if kind != "class":
            roles.notes.insert(0, f"label kind: {kind}{f' ({why})' if why else ''}; another one with kind=")
    encoded = LABEL_KINDS.load(kind)(cells, classes, of_column, missing)
    if classes is None and kind == "class" and options.get("kind") in (None, AUTO):
        refuse_measurement(encoded, of_column)
    if roles.kind == "table" and "columns" not in options:
        keep = encoded.present
        telling = [
            feature
            for feature in roles.content
            if table.features.types[feature] == "number"
            and _are_row_numbers(values := _numbers(table.column(feature))[keep])
            and (predictability(values, encoded.codes[keep]) or 0.0) >= TELLING
        ]
        if telling:
            features = tuple(feature for feature in roles.content if feature not in telling)
            if not features:
                raise MissingRoleError(
                    f"{where} has no column besides the label {name!r} but row numbers that give it away.",
                    {"columns": ",".join(telling)},
                    list(table.features.types),
                )
            roles = replace(
                roles,
                content=features,
                notes=[
                    *roles.notes,
                    f"columns left out (row numbers that give the label away): {listed([*map(repr, telling)])}",
                ],
            )
    return roles, encoded


def _label_cells(column: Any, kind: str, where: str) -> list[Any]:
    """The values of a label column; those of other types than numbers and texts as texts, but for lists of tags."""
    import pyarrow as pa

    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if arrow_kind(column.type) == "other" and not (is_list and kind in (AUTO, "multilabel", TokenTags.kind)):
        way_out = "Sets of tags are for find-errors (kind=multilabel)." if is_list else None
        try:
            column = column.cast(pa.string())
        except pa.ArrowException as error:
            raise LabelError(f"{where} is of type {column.type}, which holds no class.", way_out) from error
    cells: list[Any] = column.to_pylist()
    return cells


def _numbers(column: Any) -> np.ndarray:
    import pyarrow as pa

    # safe=False: integers beyond 2**53 lose their last bits, which no feature needs.
    return column.cast(pa.float64(), safe=False).to_numpy()


def _are_row_numbers(values: np.ndarray) -> bool:
    """Whole numbers that never repeat, as a saved index has, also of a part of a table."""
    return bool(
        np.isfinite(values).all() and (values == np.rint(values)).all() and len(np.unique(values)) == len(values)
    )


def _items(table: MemoryTable, roles: Roles, codes: np.ndarray, where: str) -> ItemTable:
    splits = np.repeat(np.array([s for s, _ in table.splits]), [rows for _, rows in table.splits])
    if roles.split is not None:
        splits = np.array([str(v) if v else "none" for v in table.column(roles.split).to_pylist()])
    rows = np.arange(len(codes))
    if roles.id is not None:
        values = table.column(roles.id).to_pylist()
        missing = next((row for row, value in enumerate(values) if value is None or str(value) == ""), None)
        if missing is not None:
            raise DataError(f"{where}: row {missing} has no id in column {roles.id!r}.", "Fill it, or leave id= out.")
        ids = np.array([str(v) for v in values])
    elif len(table.splits) > 1 or table.splits[0][0] != "all":
        local = np.concatenate([np.arange(n) for _, n in table.splits])
        ids = np.array([f"{s}/{i}" for s, i in zip(splits, local, strict=True)])
    else:
        ids = rows.astype(str)
    groups = None
    if roles.group is not None:
        # An item without a group is a group of its own.
        values = table.column(roles.group).to_pylist()
        groups = np.array([f"row {k}" if v is None or v == "" else str(v) for k, v in enumerate(values)])
    return ItemTable(ids, codes, splits, index_in_split(splits), groups, rows=rows)


def _scheme(source: Source) -> str:
    """Pixels are the identity of lossless files, bytes that of lossy ones; judged on a spread of items."""
    sample = np.unique(np.linspace(0, len(source) - 1, _SCHEME_SAMPLE).astype(np.int64))
    contents = [content for _, content in source.read(sample)]
    if any(isinstance(content, np.ndarray) for content in contents):
        return RGB_SCHEME  # pixels in memory: there are no files
    files = [content for content in contents if isinstance(content, bytes)]
    return RGB_SCHEME if files and all(map(is_lossless, files)) else FILE_SCHEME


def _image_paths(values: list[str | None], column: str, root: str, where: str, common: dict[str, Any]) -> ImageDataset:
    values = [value and local_path(value) for value in values]
    if os.sep == "/" and any("\\" in (value or "") for value in values):
        values = [value and value.replace("\\", "/") for value in values]
        common["notes"].append(f"paths in column {column!r}: backslashes were read as slashes")
    paths = [os.path.abspath(os.path.join(root, value or "")) for value in values]
    refused = leaving(paths, root) | {k: "the row names no file" for k, value in enumerate(values) if not value}
    if len(refused) == len(paths):
        raise UsageError(
            f"{where}: no path in column {column!r} lies inside {root!r}; the first: {values[0]!r}.",
            "Name the folder the paths belong to with root=FOLDER.",
        )
    names = np.array([value or "" for value in values])
    common["items"] = replace(common["items"], paths=names)
    lossless = all(os.path.splitext(n)[1].lower() in LOSSLESS_SUFFIXES for n in names)
    return ImageDataset(
        **common, source=FileSource(paths, refused), hash_scheme=RGB_SCHEME if lossless else FILE_SCHEME
    )


def _frame(table: MemoryTable, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    series: dict[str, Any] = {}
    for name in columns:
        kind, column = table.features.types[name], table.column(name)
        if kind in ("date", "text") and (dates := read_dates(column.to_pylist())) is not None:
            series |= date_features(name, dates)
        elif kind in ("number", "bool"):
            if pa.types.is_boolean(column.type):
                column = column.cast(pa.int8())
            series[name] = _numbers(column)
        elif kind == "class":
            names = dict(enumerate(table.features.classes[name]))
            series[name] = pd.Categorical([names.get(v) for v in column.to_pylist()], categories=list(names.values()))
        else:
            values = [v or None for v in column.to_pylist()]
            series[name] = pd.Categorical(values, categories=sorted(filter(None, set(values))))
    return pd.DataFrame(series)
