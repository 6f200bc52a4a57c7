"""Columns of what is in memory: Arrow arrays of small values, and sources of pictures that stay where they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError, LabelError, MemoryGuardError, UsageError
from auditor.core.machine import available_memory
from auditor.data.columns import arrow_kind
from auditor.data.intake import one_column
from auditor.data.labels import listed
from auditor.data.loading import MEMORY_SHARE
from auditor.data.pixels import PixelForm, image_content, is_picture, pixel_form
from auditor.data.roles import are_paths
from auditor.data.sources import HeldSource, Source
from auditor.data.tables import one_line


def of(data: Any, package: str, *names: str) -> bool:
    """Whether `data` is of a class of a package, which is not imported for that."""
    module = sys.modules.get(package)
    return module is not None and any(isinstance(data, getattr(module, name, ())) for name in names)


def is_frame(data: Any) -> bool:
    if of(data, "pandas", "DataFrame"):
        return True
    if of(data, "pandas", "Series") or of(data, "polars", "Series") or of(data, "pyarrow", "Array", "ChunkedArray"):
        return False
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__dataframe__") or of(data, "pyarrow", "RecordBatch")


@dataclass
class Part:
    """The columns of one split.

    Attributes
    ----------
    columns : dict
        Name to an Arrow chunked array, a `Source` of images, a function that makes one of them, or the `LabelError`
        of a column that is neither.
    types, classes : dict
        As in `Features`.
    roles : dict
        Options that the form itself settles, e.g. which column holds the labels.
    notes : list of str
    """

    columns: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: int | None = None

    def add(self, name: str, values: Any) -> None:
        """Add a column, whatever holds it."""
        self.put(name, column_of(values, name, self.notes))

    def put(self, name: str, column: Any) -> None:
        """Add a column as an Arrow chunked array, a source, or the error of what is neither."""
        if name in self.columns:
            raise UsageError(f"the data has two columns called {name!r}.", "Rename one of them.")
        kind = "image" if isinstance(column, Source) else "other"
        if not isinstance(column, Source | LabelError):
            kind = arrow_kind(column.type)
        if not isinstance(column, LabelError):
            if self.rows not in (None, len(column)):
                raise LabelError(f"column {name!r} has {len(column):,} rows, the others have {self.rows:,}.")
            self.rows = len(column)
        self.columns[name], self.types[name] = column, kind

    def free(self, name: str) -> str:
        """`name`, or what comes nearest and is no column yet."""
        while name in self.columns:
            name += "_"
        return name

    def column(self, name: str) -> Any:
        """A column; its error is raised here."""
        value = self.columns[name]
        if callable(value):
            value = self.columns[name] = value()
        if isinstance(value, LabelError):
            raise value
        return value


def add_columns(part: Part, name: str, values: Any) -> None:
    """Add a column, or the columns of a matrix. Without a name it is called by what it holds."""
    values = array_of(values)
    if isinstance(values, list | tuple) and values and (_is_vector(values[0]) or _are_arrays(values)):
        values = _stacked(values)
    matrix: Iterable[Any] | None = _Dense(values) if hasattr(values, "tocsc") else None
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind == "O":
        matrix = values.T  # DataFrame.to_numpy() of columns of several types
    elif isinstance(values, np.ndarray) and values.ndim > 1 and values.dtype.kind != "O":
        if (form := pixel_form(values)) is not None:
            part.put(name or "image", held(values, form, part.notes))
            return
        if values.ndim > 2:
            shape = "x".join(map(str, values.shape[1:]))
            part.notes.append(f"items of shape {shape} are no images: each is a row of {values[0].size:,} numbers")
        matrix = values.reshape(len(values), -1).T
        _guard(values.shape)
    if matrix is not None:
        for k, column in enumerate(matrix):
            part.add(f"{name or 'x'}{k}", column)
        return
    column = column_of(values, name or "x", part.notes)
    kind = "image" if isinstance(column, Source) else "text" if _is_text(column) else "x"
    part.put(name or kind, column)


class _Dense:
    """The columns of a sparse matrix, made dense one by one."""

    def __init__(self, matrix: Any) -> None:
        _guard(
            matrix.shape,
            "Give the texts themselves, fewer columns (TruncatedSVD), or your own pred_probs; LabelErrorDetector takes "
            "sparse matrices as they are.",
        )
        self.matrix = matrix.tocsc()

    def __iter__(self) -> Iterator[np.ndarray]:
        for k in range(self.matrix.shape[1]):
            yield self.matrix[:, [k]].toarray()[:, 0]


def _guard(shape: tuple[int, ...], way_out: str = "Give fewer columns, or your own pred_probs.") -> None:
    """Refuse a table that does not fit: beside the frame, its columns are made."""
    need, free = 2 * 8 * shape[0] * int(np.prod(shape[1:])), available_memory()
    if need > MEMORY_SHARE * free:
        raise MemoryGuardError(
            f"{shape[0]:,} rows of {int(np.prod(shape[1:])):,} numbers need {need / 2**30:.1f} GiB as a table; "
            f"{free / 2**30:.1f} GiB are free.",
            way_out,
        )


def _are_arrays(values: Sequence[Any]) -> bool:
    """Arrays of two or more dimensions that are no pictures."""
    return is_picture(_first(values)) and pixel_form(sample_of(values)) is None


def _stacked(values: Sequence[Any]) -> np.ndarray:
    try:
        stacked = np.stack([np.asarray(array_of(value)) for value in values])
        # Rows of numbers and texts would become texts.
        return stacked if stacked.dtype.kind != "U" else np.array([list(value) for value in values], dtype=object)
    except ValueError as error:
        raise DataError(f"the rows are not of equal length: {error}.", "Give one number for each feature.") from error


def _is_vector(value: Any) -> bool:
    """A row of numbers, or of numbers and texts."""
    if isinstance(value, list | tuple):
        return any(isinstance(part, int | float | np.number | list | tuple) for part in value)
    array = array_of(value)
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "fiub"


def array_of(values: Any) -> Any:
    """Tensors as arrays over the same memory, where NumPy knows their type; anything else as it is."""
    if of(values, "torch", "Tensor"):
        values = values.detach().cpu().to_dense().resolve_conj().resolve_neg()
        return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    if isinstance(values, np.matrix):
        return np.asarray(values)
    return values


def one_per_row(values: Any, where: str) -> Any:
    """One value per row; (n, 1) is flattened, one-hot rows are refused, lists of texts are sets of tags."""
    values = array_of(values)
    if is_frame(values):
        values = np.asarray(values)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return one_column(values, where)
    if isinstance(values, list | tuple) and values and all(isinstance(v, list | tuple | np.ndarray) for v in values):
        if any(len(v) != 1 for v in values) and all(isinstance(tag, str) for v in values for tag in v):
            return [list(v) for v in values]  # sets of tags
        return one_column(values, where)
    return values


def column_of(values: Any, name: str, notes: list[str]) -> Any:
    """A column as an Arrow chunked array or as a source of images; a `LabelError` where it is neither."""
    import pyarrow as pa

    values = array_of(values)
    if isinstance(values, pa.ChunkedArray):
        return plain(values)
    if isinstance(values, pa.Array):
        return plain(pa.chunked_array([values]))
    if isinstance(values, Iterator):
        raise UsageError(
            f"column {name!r} is of the type {type(values).__name__!r}, which has no length.", "Give a list."
        )
    is_series = of(values, "pandas", "Series", "Index") or of(values, "pandas.api.extensions", "ExtensionArray")
    if (is_series or isinstance(values, np.ndarray)) and values.dtype == object:
        values, is_series = list(values), False
    if is_series:
        values = _plain_series(values)
    is_typed = is_series or isinstance(values, np.ndarray) or hasattr(values, "__arrow_c_stream__")
    if not is_typed:
        if is_picture(_first(values)):
            return held(values, pixel_form(sample_of(values)), notes)
        values = [str(v) if isinstance(v, Path) else scalar_of(v) for v in values]
    try:
        if is_typed and not is_series and not isinstance(values, np.ndarray):
            return plain(pa.chunked_array(values))  # of polars and others
        return plain(pa.chunked_array([pa.array(values, from_pandas=True)]))
    except (pa.ArrowException, TypeError, ValueError) as error:
        kinds = list(dict.fromkeys(type(v).__name__ for v in values if v is not None))
        if len(kinds) > 1:
            what, way_out = f"the types {listed(kinds, 5)}", "Write all its values as one type."
        else:
            what, way_out = f"the type {listed(kinds)}: {one_line(error)}", "Make numbers or texts of them (map(str))."
        return LabelError(f"column {name!r} holds values of {what}.", way_out)


def _plain_series(series: Any) -> Any:
    """A column of pandas as Arrow takes it: sparse ones dense, intervals (`pandas.cut`) as texts."""
    import pandas as pd

    series = pd.Series(series)
    if isinstance(series.dtype, pd.SparseDtype):
        return series.sparse.to_dense()
    if isinstance(series.dtype, pd.IntervalDtype):
        series = series.astype("category")
    if isinstance(series.dtype, pd.CategoricalDtype) and isinstance(series.cat.categories.dtype, pd.IntervalDtype):
        return series.cat.rename_categories(str)
    return series


def scalar_of(value: Any) -> Any:
    """A number in a tensor, or in an array without dimensions, as a number."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _first(values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def sample_of(values: Any, most: int = 200) -> list[Any]:
    """A spread of the values that are there."""
    spread = np.unique(np.linspace(0, len(values) - 1, most).astype(np.int64))
    return [value for k in spread if (value := values[int(k)]) is not None]


def held(values: Any, form: PixelForm | None, notes: list[str]) -> HeldSource:
    """Pictures that stay where they are."""
    if form is not None and form.note:
        notes.append(form.note)
    return HeldSource(partial(_picked, values), partial(image_content, form=form), np.arange(len(values)))


def _picked(values: Any, rows: np.ndarray) -> Iterable[Any]:
    return (values[int(row)] for row in rows)


def stored_images(column: Any, root: str | None) -> HeldSource:
    """Files in an Arrow column, as bytes or as the Hub stores them."""
    return HeldSource(partial(_scalars, column), partial(image_content, root=root), np.arange(len(column)))


def _scalars(column: Any, rows: np.ndarray) -> Iterable[Any]:
    return (column[int(row)].as_py() for row in rows)


def _is_text(column: Any) -> bool:
    return not isinstance(column, Source | LabelError) and arrow_kind(column.type) == "text"


def plain(column: Any) -> Any:
    """An Arrow column without dictionaries and views, which not every function takes."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray) and pa.types.is_dictionary(column.type):
        if pa.types.is_string_view(column.type.value_type):  # categories of polars, of which Arrow takes no part
            parts = [part.dictionary.cast(pa.large_string()).take(part.indices) for part in column.chunks]
            return pa.chunked_array(parts, pa.large_string())
        column = column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(column.type):
        return column.cast(pa.large_binary())
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column


def settle_content(part: Part, contents: set[str]) -> None:
    """What the one column of contents is, where there is only one: a list of short texts is a list of texts."""
    if len(contents) != 1:
        return
    (name,) = contents
    if part.types[name] == "image":
        part.roles["image"] = name
    elif part.types[name] == "text":
        part.roles["image" if are_paths(part.columns[name].drop_null().slice(0, 200).to_pylist()) else "text"] = name
