"""Data sets of what is in memory: frames, columns, ``(X, y)``, Hub and torch data sets: `open_held`.

Whatever comes in becomes columns with roles, as a file would (`auditor.data.build`), and its fingerprint comes from the
content. Images stay where they are: they are read, converted and let go one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError, UsageError
from auditor.data.base import Dataset
from auditor.data.build import build_dataset
from auditor.data.columns import Features, MemoryTable, features_of, joined_column
from auditor.data.held import (
    Part,
    add_columns,
    column_of,
    held,
    is_frame,
    of,
    one_per_row,
    plain,
    sample_of,
    scalar_of,
    settle_content,
    stored_images,
)
from auditor.data.hub import hub_cache
from auditor.data.labels import listed
from auditor.data.pixels import PixelForm, image_content, is_picture, pixel_form
from auditor.data.reference import HELD, Reference
from auditor.data.roles import COLUMN_OPTIONS, choose_roles
from auditor.data.sources import FileSource, HeldSource, JoinedSource, Source
from auditor.data.torch_sets import Pair, as_stored, files_of, is_torch, targets_of, whole_arrays

#: What `open_held` understands.
OPTIONS = COLUMN_OPTIONS | {"classes", "name", "split"}
_FORMS = (
    "a data frame (pandas, polars, Arrow), a dict of columns, (X, y), a data set of the datasets package, or a torch "
    "data set with a length"
)


class _Columns(MemoryTable):
    """The parts of all splits as one table."""

    def __init__(self, parts: Mapping[str, Part], root: str | None) -> None:
        self._parts, self._root = dict(parts), root
        types: dict[str, str] = {}
        classes: dict[str, tuple[str, ...]] = {}
        for split, part in parts.items():
            for name, kind in part.types.items():
                if types.get(name, "null") == "null":
                    types[name] = kind
            for name, names in part.classes.items():
                if classes.setdefault(name, names) != names:
                    raise LabelError(f"column {name!r} of {split!r} has other classes than that of another split.")
        self.features = Features(types, classes)
        self.splits = [(split, part.rows or 0) for split, part in parts.items()]

    def column(self, name: str) -> Any:
        import pyarrow as pa

        parts = [
            part.column(name) if name in part.columns else pa.chunked_array([pa.nulls(part.rows or 0)])
            for part in self._parts.values()
        ]
        return parts[0] if len(parts) == 1 else joined_column(parts, list(self._parts), name)

    def source(self, name: str) -> Source:
        if lacking := [split for split, part in self._parts.items() if name not in part.columns]:
            raise LabelError(f"the split {lacking[0]!r} has no column {name!r}.")
        parts = [part.column(name) for part in self._parts.values()]
        parts = [p if isinstance(p, Source) else stored_images(p, self._root) for p in parts]
        return parts[0] if len(parts) == 1 else JoinedSource(parts)

    def notes_on(self, columns: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(note for part in self._parts.values() for note in part.notes))


def open_held(data: Any, options: Mapping[str, Any]) -> Dataset:
    """Make a data set of what is in memory.

    Parameters
    ----------
    data : object
        A data frame (pandas, polars, Arrow, or anything of the Arrow PyCapsule or data-frame interface); a dict of
        columns, or of the splits' data; ``(X, y)`` with X a matrix, a sparse matrix, images (n, h, w[, c]), a frame, or
        a list of texts, of PIL images or of paths; a `datasets.Dataset` or `DatasetDict`; a torch or torchvision data
        set of pairs or dicts, with a length.
    options : mapping
        Column roles as in `auditor.data.roles`, by name; ``label``, ``group`` and ``id`` may be sequences (n,) instead.
        ``name``: what the data set is called. ``classes``, ``missing``, ``kind``, ``root``: as for tables.

    Raises
    ------
    UsageError
        If it is none of these, a role cannot be told, or there are no labels.
    LabelError, DataError, EmptyDataError
        If it cannot be audited.
    MemoryGuardError
        If a sparse matrix does not fit into memory as a table.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if of(data, "pandas", "DataFrame"):  # names of pandas may be tuples
        options |= {key: str(value) for key, value in options.items() if _names_column(data, value)}
    given = {key: options.pop(key) for key in ("label", "group", "id") if _is_column(options.get(key))}
    # What was asked for goes into the reference: `Run.join` reads the same frame by it again.
    asked = {
        key: ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for key, value in options.items()
        if key in COLUMN_OPTIONS
    }
    splits = _splits(data)
    if given and len(splits) > 1:
        raise UsageError(f"{listed(sorted(given))} must be names of columns where there are several splits.")
    parts = {split: _part(value, options.get("root"), "label" not in given) for split, value in splits.items()}
    first = next(iter(parts.values()))
    for key in given:
        _refuse_other_order(data, given[key], key)
        name = first.free(key)
        first.add(name, one_per_row(given[key], key))
        options[key] = name
    for key, name in first.roles.items():
        if key not in ("image", "text", "columns") or not {"image", "text", "columns"} & options.keys():
            options.setdefault(key, name)
    if not first.columns or not sum(part.rows or 0 for part in parts.values()):
        raise EmptyDataError("the data has no rows.")
    what = _called(data)
    name = options.pop("name", None) or what
    texts: dict[str, Any] = {
        key: value if isinstance(value, list | tuple) else str(value) for key, value in options.items()
    }
    table = _Columns(parts, texts.get("root"))
    label = choose_roles(table, texts, f"the {what}").label
    reference = Reference(HELD + what, "", {**asked, "label": label})  # a patch says which column it is about
    dataset = build_dataset(table, texts, str(name), str(reference), f"the {what}")
    dataset.tensor = _tensor(splits, dataset)
    return dataset


def _tensor(splits: Mapping[str, Any], dataset: Dataset) -> Any:
    """X, row for row as the items are, where it is a torch tensor in every split; else None."""
    parts = {split: _contents(value) for split, value in splits.items()}
    if not all(of(part, "torch", "Tensor") for part in parts.values()):
        return None
    if len({part.shape[1:] for part in parts.values()}) > 1 or not parts.keys() >= set(dataset.items.splits):
        return None
    first, items = next(iter(parts.values())).detach(), dataset.items
    if len(parts) == 1 and np.array_equal(items.index, np.arange(len(first))):
        return first
    rows = first.new_empty((len(dataset), *first.shape[1:]))
    for split, part in parts.items():
        here = items.splits == split
        rows[here] = part.detach()[items.index[here]]
    return rows


def _contents(data: Any) -> Any:
    """X of one split."""
    if of(data, "torch.utils.data", "TensorDataset"):
        return data.tensors[0]
    if isinstance(data, Pair):
        return data.X
    return data[0] if _is_pair(data) else data


def _splits(data: Any) -> dict[str, Any]:
    """Split to its data; one split called "all" where there are no splits."""
    if isinstance(data, Mapping) and data and all(_is_whole(value) for value in data.values()):
        return {str(split): value for split, value in data.items()}
    return {"all": data}


def _is_whole(value: Any) -> bool:
    """Whether a value of a dict is a data set and no column."""
    return _is_pair(value) or _is_hub(value) or is_frame(value) or is_torch(value)


def _part(data: Any, root: str | None = None, unlabelled: bool = True) -> Part:
    """The columns of one split; where the labels come beside it, `unlabelled` is False."""
    if type(data).__module__.startswith("sklearn.") and isinstance(data, Mapping) and "target" in data:
        data = _bunch(data)
    data = _without_records(data)
    if _is_hub(data):
        return _hub_part(data, root)
    if is_frame(data):
        return _frame_part(data)
    if is_torch(data):
        return _torch_part(data)
    if isinstance(data, Mapping):
        part = Part()
        for name, values in data.items():
            add_columns(part, str(name), values)
        return part
    if _is_pair(data):
        X, y = (data.X, data.y) if isinstance(data, Pair) else data
        _refuse_other_order(X, y, "y")
        part = _features(X)
        labels = one_per_row(y, "y")
        name = part.free(str(getattr(y, "name", None) or "label"))
        column = column_of(labels, name, part.notes)
        if not isinstance(column, LabelError) and len(column) != part.rows:
            raise LabelError(f"X has {part.rows or 0:,} rows, y has {len(column):,} labels.")
        part.put(name, column)
        part.roles["label"] = name
        if isinstance(data, Pair) and data.class_names is not None and part.types[name] == "number":
            part.types[name], part.classes[name] = "class", data.class_names
        return part
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        return _part({name: [row.get(name) for row in data] for name in names})
    if not unlabelled:
        return _features(data)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, str | bytes):
        if isinstance(data, tuple) and len(data) == 2:
            strange = next(value for value in data if not _holds_rows(value))
            raise UsageError(
                f"one of (X, y) is of the type {type(strange).__name__!r}, which has no length.", "Give a list."
            )
        raise UsageError(
            f"a value of the type {type(data).__name__!r} holds no labels.", "Give (X, y), or the labels with label=."
        )
    way_out = f"Give {_FORMS}."
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):
        way_out = "Give the data set it loads: loader.dataset."
    elif hasattr(data, "collect"):
        way_out = "Give what its .collect() returns."
    elif hasattr(data, "__iter__"):
        way_out = f"It has no length: load it as a whole (streaming=False). {way_out}"
    raise UsageError(f"a value of the type {type(data).__name__!r} is no data set.", way_out)


def _without_records(data: Any) -> Any:
    """An array of records as a dict of columns; anything else as it is."""
    if isinstance(data, np.ndarray) and data.dtype.names:
        return {name: np.asarray(data[name]) for name in data.dtype.names}
    return data


def _bunch(data: Mapping[str, Any]) -> Any:
    """``(X, y)`` of a data set of scikit-learn."""
    features = data.get("images", data.get("data"))
    names = data.get("target_names")
    labels = np.asarray(data["target"])
    whole = labels.dtype.kind in "iu" and names is not None and len(names) > labels.max(initial=0)
    return Pair(features, data["target"], tuple(map(str, names)) if whole and names is not None else None)


def _called(data: Any) -> str:
    """What a data set is called: the type of the frame, of X or of the data set."""
    if isinstance(data, tuple):
        data = data[0]
    if isinstance(data, Mapping) and data and all(map(_is_whole, data.values())) and type(data) is dict:
        return _called(next(iter(data.values())))
    inner = data
    while hasattr(inner, "dataset") and hasattr(inner, "indices"):
        inner = inner.dataset  # a Subset is called as what it is a part of
    return "".join(c for c in type(inner).__name__ if c.isalnum() or c == "_") or "data"


def _is_column(value: Any) -> bool:
    """Whether the value of a role is the column itself and not its name."""
    return not isinstance(value, str) and (hasattr(value, "__len__") or hasattr(value, "__iter__"))


def _names_column(frame: Any, value: Any) -> bool:
    return isinstance(value, tuple) and value in list(frame.columns)


def _refuse_other_order(X: Any, values: Any, what: str) -> None:
    """Refuse values that belong to no rows: read once, without an order, or a pandas series whose index names the rows
    of the frame in another order, which one would have to guess by.

    Raises
    ------
    UsageError
    """
    if isinstance(values, set | frozenset | Mapping) or not hasattr(values, "__len__"):
        raise UsageError(
            f"{what} is of the type {type(values).__name__!r}, which does not say what belongs to which row.",
            "Give a list, an array or a series in the order of the rows.",
        )
    if not (of(X, "pandas", "DataFrame", "Series") and of(values, "pandas", "DataFrame", "Series")):
        return
    if len(X) != len(values) or X.index.equals(values.index) or not (X.index.is_unique and values.index.is_unique):
        return
    if X.index.isin(values.index).all():
        raise UsageError(
            f"the index of {what} names the rows of the frame in another order.",
            f"Put {what} into their order with .loc[frame.index]; if it is in their order already, give .to_numpy().",
        )


def _is_pair(data: Any) -> bool:
    return isinstance(data, Pair) or (isinstance(data, tuple) and len(data) == 2 and all(map(_holds_rows, data)))


def _holds_rows(value: Any) -> bool:
    return not isinstance(value, str | bytes) and (hasattr(value, "__len__") or hasattr(value, "shape"))


def _is_hub(data: Any) -> bool:
    return of(data, "datasets", "Dataset")


def _frame_part(data: Any) -> Part:
    import pyarrow as pa

    part = Part()
    if of(data, "pandas", "DataFrame"):
        for k, name in enumerate(data.columns):
            part.add(str(name), data.iloc[:, k])
        return part
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    elif hasattr(data, "__arrow_c_stream__"):
        data = pa.table(data)
    elif not isinstance(data, pa.Table):
        from pyarrow.interchange import from_dataframe

        data = from_dataframe(data)
    described = features_of(data.schema)
    for k, name in enumerate(data.column_names):
        part.put(name, plain(data.column(k)))
    part.types |= described.types
    part.classes |= described.classes
    return part


def _hub_part(data: Any, root: str | None = None) -> Part:
    described = features_of(data.features.arrow_schema)
    part = Part(types=dict(described.types), classes=dict(described.classes), rows=len(data))
    root = root or hub_cache()
    for name, kind in described.types.items():
        fetch = _HubColumn(data.select_columns([name]).with_format("arrow"))
        if kind in ("image", "bytes"):
            part.columns[name] = HeldSource(fetch, partial(image_content, root=root), np.arange(len(data)))
        else:
            part.columns[name] = fetch.whole
    return part


class _HubColumn:
    """A column of a data set of the datasets package, read from its files when asked for."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def whole(self) -> Any:
        return plain(self.data[:].column(0))

    def __call__(self, rows: np.ndarray) -> Iterable[Any]:
        return self.data[rows.tolist()].column(0).to_pylist() if len(rows) else []


def _features(X: Any) -> Part:
    """The columns of X."""
    X = _without_records(X)
    if _is_hub(X):
        return _hub_part(X)
    if is_frame(X):
        return _frame_part(X)
    if isinstance(X, Mapping):
        return _part(X)
    part = Part()
    add_columns(part, str(getattr(X, "name", None) or ""), X)
    settle_content(part, set(part.columns))
    return part


def _torch_part(data: Any) -> Part:
    """A data set of pairs or dicts. Transforms of torchvision are left out: items are audited as they are stored."""
    part = Part()
    stored = as_stored(data, part.notes)
    if not len(stored):
        raise EmptyDataError("the data set has no items.")
    labels, classes = targets_of(stored)
    if (pair := whole_arrays(stored, labels, classes)) is not None:
        whole = _part(pair)
        whole.notes += part.notes
        return whole
    first = stored[0]
    if isinstance(first, Mapping):
        names = {key: str(key) for key in first}
    elif isinstance(first, tuple | list) and len(first) >= 2:
        names = {0: "", 1: "label"}
        part.roles["label"] = "label"
    else:
        raise UsageError(
            f"the items of the {type(data).__name__} are no pairs of content and label, but {type(first).__name__}.",
            "Give (contents, labels), both as lists.",
        )
    files = files_of(stored)
    read: dict[Any, list[Any]] = {}
    for key, name in names.items():
        if key == 1 and labels is not None:
            part.add(name, one_per_row(labels, "the labels"))
        elif key == 0 and files:
            part.put("image", FileSource(files))
        elif is_picture(first[key]) and (form := pixel_form(sample_of(_Field(stored, key), 64))) is not None:
            _check_stable(stored, key, form)
            part.put(name or "image", held(_Field(stored, key), form, part.notes))
        else:
            read[key] = []
    for k in range(len(stored) if read else 0):
        item = stored[k]
        for key, values in read.items():
            values.append(scalar_of(item[key]))
    for key, values in read.items():
        add_columns(part, names[key], values)
    if classes is not None and part.types.get("label") == "number":
        part.types["label"], part.classes["label"] = "class", classes
    settle_content(part, {name for name in part.columns if name != "label"})
    return part


class _Field:
    """One part of the items of a torch data set."""

    def __init__(self, data: Any, key: Any) -> None:
        self.data, self.key = data, key

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, k: int) -> Any:
        return self.data[k][self.key]


def _check_stable(data: Any, key: Any, form: PixelForm) -> None:
    """Refuse pictures that are others each time they are read.

    Raises
    ------
    DataError
    """
    for k in sorted({0, len(data) // 2, len(data) - 1}):
        first, again = (image_content(data[k][key], form) for _ in range(2))
        if isinstance(first, np.ndarray) and isinstance(again, np.ndarray) and not np.array_equal(first, again):
            raise DataError(
                f"item {k} of the {type(data).__name__} is another picture each time it is read: a random transform.",
                "Give the data set without it.",
            )
