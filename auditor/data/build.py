"""From columns with roles to a data set: the one path for CSV, JSON Lines, parquet and Hub data."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import DataError, LabelError, UsageError
from auditor.data.base import Dataset, ItemTable
from auditor.data.columns import Features, SplitFiles, features_of, read_column, schema_of
from auditor.data.decode import is_lossless
from auditor.data.folder import LOSSLESS_SUFFIXES, index_in_split
from auditor.data.kinds import FILE_SCHEME, RGB_SCHEME, ImageDataset, TableDataset, TextDataset
from auditor.data.labels import EncodedLabels, encode_labels, split_names
from auditor.data.roles import Roles, choose_roles
from auditor.data.sources import ColumnSource, FileSource, Source

if TYPE_CHECKING:
    import pandas as pd

_SCHEME_SAMPLE = 64


class _Table(ABC):
    """Columns over one or several splits."""

    features: Features
    #: Split name and number of rows, in order.
    splits: Sequence[tuple[str, int]]

    @abstractmethod
    def column(self, name: str) -> Any:
        """A column as an Arrow chunked array."""

    @abstractmethod
    def source(self, name: str) -> Source:
        """A bytes or image column as a source of contents."""

    def head(self, column: str, n: int) -> list[Any]:
        """The first `n` values that are not null."""
        return self.column(column).drop_null().slice(0, n).to_pylist()

    def __len__(self) -> int:
        return sum(rows for _, rows in self.splits)


class MemoryTable(_Table):
    """An Arrow table in memory (CSV, JSON Lines)."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.features = features_of(table.schema)
        self.splits = [("all", table.num_rows)]

    def column(self, name: str) -> Any:
        return self._table.column(name)

    def source(self, name: str) -> Source:
        raise UsageError(f"column {name!r}: text files hold no images.", "Give the column of paths with image=NAME.")


class FileTable(_Table):
    """Parquet or Arrow files, read column by column when asked for."""

    def __init__(self, files: Sequence[SplitFiles]) -> None:
        self._files = [file for split in files for file in split.files]
        self.features = features_of(schema_of(self._files[0]))
        self.splits = [(split.split, split.rows) for split in files]

    def column(self, name: str) -> Any:
        return read_column(self._files, name)

    def source(self, name: str) -> Source:
        return ColumnSource(self._files, name)


def build_dataset(
    table: _Table, options: Mapping[str, str], name: str, reference: str, where: str, folder: Path | None = None
) -> Dataset:
    """Make the data set.

    Parameters
    ----------
    table : MemoryTable or FileTable
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
    roles = choose_roles(table, options, where)
    encoded = encode_label_column(table, roles.label, options, where)
    keep = encoded.present
    items = _items(table, roles, encoded.codes, where).take(keep)
    common: dict[str, Any] = {
        "name": name,
        "reference": reference,
        "class_names": encoded.names,
        "items": items,
        "notes": [*roles.notes, *encoded.notes],
    }
    if roles.kind == "image":
        source = table.source(roles.content[0]).take(keep)
        return ImageDataset(**common, source=source, hash_scheme=_scheme(source))
    if roles.kind == "image-path":
        return _image_paths(table, roles, keep, options, folder, where, common)
    if roles.kind == "text":
        return TextDataset(**common, column=_texts(table, roles.content[0], keep, common["notes"]))
    return TableDataset(**common, frame=_frame(table, roles.content).iloc[keep].reset_index(drop=True))


def encode_label_column(table: _Table, name: str, options: Mapping[str, str], where: str) -> EncodedLabels:
    """Labels of a table as positions in the classes: those of the options, of the column's description, or its values.

    Raises
    ------
    LabelError, EmptyDataError
    """
    import pyarrow as pa

    described = table.features.classes.get(name)
    column = table.column(name)
    if table.features.types[name] == "other":
        try:
            column = column.cast(pa.string())
        except pa.ArrowException as error:
            raise LabelError(f"column {name!r} of {where} is of type {column.type}, which holds no class.") from error
    classes = split_names(options.get("classes")) or described
    return encode_labels(column.to_pylist(), classes, f"column {name!r} of {where}", None if described is None else -1)


def _items(table: _Table, roles: Roles, codes: np.ndarray, where: str) -> ItemTable:
    splits = np.repeat(np.array([s for s, _ in table.splits]), [rows for _, rows in table.splits])
    if roles.split is not None:
        splits = np.array([str(v) if v else "none" for v in table.column(roles.split).to_pylist()])
    rows = np.arange(len(codes))
    if roles.id is not None:
        ids = _id_column(table, roles.id, where)
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
    return ItemTable(ids, codes, splits, index_in_split(splits), groups)


def _id_column(table: _Table, name: str, where: str) -> np.ndarray:
    values = table.column(name).to_pylist()
    for row, value in enumerate(values):
        if value is None or str(value) == "":
            raise DataError(f"{where}: row {row} has no id in column {name!r}.", "Fill it, or leave id= out.")
    return np.array([str(v) for v in values])


def _scheme(source: Source) -> str:
    """Pixels are the identity of lossless files, bytes that of lossy ones; judged on a spread of items."""
    sample = np.unique(np.linspace(0, len(source) - 1, _SCHEME_SAMPLE).astype(np.int64))
    contents = [content for _, content in source.read(sample) if isinstance(content, bytes)]
    return RGB_SCHEME if contents and all(map(is_lossless, contents)) else FILE_SCHEME


def _image_paths(
    table: _Table,
    roles: Roles,
    keep: np.ndarray,
    options: Mapping[str, str],
    folder: Path | None,
    where: str,
    common: dict[str, Any],
) -> ImageDataset:
    root = Path(options["root"]).expanduser() if "root" in options else (folder or Path.cwd())
    root = Path(os.path.abspath(root))
    values = table.column(roles.content[0]).to_pylist()
    paths, refused = [], {}
    for k, row in enumerate(keep):
        path = os.path.abspath(os.path.join(root, values[row] or ""))
        if not values[row]:
            refused[k] = "the row names no file"
        elif os.path.commonpath([path, root]) != str(root):
            # A table from somebody else must not pick files of this machine.
            refused[k] = f"the path {values[row]!r} leaves the folder {str(root)!r}; give root= to allow it"
        paths.append(path)
    if len(refused) == len(paths):
        raise UsageError(
            f"{where}: no path in column {roles.content[0]!r} lies inside {str(root)!r}; "
            f"the first: {values[keep[0]]!r}.",
            "Name the folder the paths belong to with root=FOLDER.",
        )
    names = np.array([str(values[row] or "") for row in keep])
    items: ItemTable = common["items"]
    common["items"] = replace(items, paths=names)
    lossless = all(os.path.splitext(n)[1].lower() in LOSSLESS_SUFFIXES for n in names)
    return ImageDataset(
        **common, source=FileSource(paths, refused), hash_scheme=RGB_SCHEME if lossless else FILE_SCHEME
    )


def _texts(table: _Table, name: str, keep: np.ndarray, notes: list[str]) -> np.ndarray:
    values = table.column(name).take(keep).to_pylist()
    gone = sum(v is None for v in values)
    if gone:
        notes.append(f"{gone} rows without a text are kept as empty texts")
    return np.array([v or "" for v in values], dtype=object)


def _frame(table: _Table, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    series: dict[str, Any] = {}
    for name in columns:
        kind = table.features.types[name]
        if kind in ("number", "bool"):
            series[name] = _floats(table.column(name))
        elif kind == "class":
            names = table.features.classes[name]
            values = [
                names[v] if v is not None and 0 <= v < len(names) else None for v in table.column(name).to_pylist()
            ]
            series[name] = pd.Categorical(values, categories=list(names))
        else:
            values = [v if v else None for v in table.column(name).to_pylist()]
            series[name] = pd.Categorical(values, categories=sorted({v for v in values if v is not None}))
    return pd.DataFrame(series)


def _floats(column: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    # safe=False: integers beyond 2**53 lose their last bits, which no feature needs.
    return column.cast(pa.float64(), safe=False).to_numpy()
