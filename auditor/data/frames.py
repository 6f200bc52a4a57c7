"""What is done to a data frame of the caller's, whichever library it is of: pandas, polars or Arrow. Never in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import UsageError
from auditor.data.held import of

if TYPE_CHECKING:
    import pandas as pd


def column_names(frame: Any) -> list[str]:
    """Names of the columns, as texts.

    Raises
    ------
    UsageError
        If it is no frame that can be changed.
    """
    if of(frame, "pandas", "DataFrame") or of(frame, "polars", "DataFrame"):
        return list(map(str, frame.columns))
    if of(frame, "pyarrow", "Table", "RecordBatch"):
        return list(map(str, frame.schema.names))
    way_out = "Give a DataFrame of pandas or polars, or an Arrow table."
    if hasattr(frame, "collect"):
        way_out = "Give what its .collect() returns."
    elif hasattr(frame, "to_pandas"):
        way_out = "Give what its .to_pandas() returns."
    raise UsageError(f"a value of the type {type(frame).__name__!r} is no data frame.", way_out)


def cells(frame: Any, name: str) -> list[Any]:
    """One column as Python values."""
    if of(frame, "pandas", "DataFrame"):
        return list(frame.iloc[:, column_names(frame).index(name)])
    values: list[Any] = (
        frame.column(name).to_pylist()
        if of(frame, "pyarrow", "Table", "RecordBatch")
        else (frame.get_column(name).to_list())
    )
    return values


def with_columns(frame: Any, columns: pd.DataFrame) -> Any:
    """A copy with more columns on the right; the index of a pandas frame stays."""
    if of(frame, "pandas", "DataFrame"):
        import pandas as pd

        return pd.concat([frame, columns.set_axis(frame.index)], axis=1)
    import pyarrow as pa

    table = pa.Table.from_pandas(columns, preserve_index=False)
    if of(frame, "polars", "DataFrame"):
        import polars as pl

        return frame.hstack(pl.from_arrow(table))
    made = pa.Table.from_batches([frame]) if of(frame, "pyarrow", "RecordBatch") else frame
    for name in columns:
        made = made.append_column(name, table.column(name))
    return made


def with_cells(frame: Any, name: str, changes: Mapping[int, Any]) -> Any:
    """A copy with other values in some rows of one column, which keeps its type.

    Raises
    ------
    UsageError
        If the type of the column does not hold a value.
    """
    values = cells(frame, name)
    for row, value in changes.items():
        values[row] = value
    refused = f"the column {name!r} cannot hold other labels"
    way_out = "Give it another type first, or more categories."
    try:
        made = _replaced(frame, name, values)
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise UsageError(f"{refused}: {error}.", way_out) from error
    after = cells(made, name)
    if lost := [value for row, value in changes.items() if after[row] != value]:
        raise UsageError(f"{refused}: {lost[0]!r} is none of its categories.", way_out)
    return made


def _replaced(frame: Any, name: str, values: list[Any]) -> Any:
    if of(frame, "pandas", "DataFrame"):
        import pandas as pd

        at = column_names(frame).index(name)
        old = frame.iloc[:, at]
        if isinstance(old.dtype, pd.CategoricalDtype):
            strange = [value for value in values if not pd.isna(value) and value not in old.dtype.categories]
            if strange:
                raise ValueError(f"{strange[0]!r} is none of its categories")
        made = frame.copy()
        made.isetitem(at, pd.Series(values, index=frame.index, name=old.name, dtype=old.dtype))
        return made
    if of(frame, "polars", "DataFrame"):
        import polars as pl

        return frame.with_columns(pl.Series(name, values, dtype=frame.schema[name]))
    import pyarrow as pa

    at = frame.schema.names.index(name)
    column = pa.chunked_array([pa.array(values, type=frame.schema.field(at).type)])
    table = pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else frame
    return table.set_column(at, frame.schema.field(at), column)


def take_rows(frame: Any, rows: Sequence[int] | np.ndarray) -> Any:
    """Some rows, in this order."""
    rows = np.asarray(rows, dtype=np.int64)
    if of(frame, "pandas", "DataFrame"):
        return frame.iloc[rows]
    return frame.take(rows) if of(frame, "pyarrow", "Table", "RecordBatch") else frame[rows]
