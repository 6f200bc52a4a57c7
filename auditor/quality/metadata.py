"""What is known of the items beside content and label: columns of a table of its own, or of the one they lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.errors import DataError, UsageError
from auditor.data.base import Dataset
from auditor.data.tables import read_table

#: The column that names the items, where there is one.
ID = "id"


def read_metadata(given: Any, dataset: Dataset) -> pd.DataFrame:
    """Columns about the items of a data set, one row an item, in their order.

    Parameters
    ----------
    given : path, DataFrame or mapping of columns
        A table (CSV, JSON lines, Parquet). Rows are found by a column ``id``; where there is none, by the row that the
        items have in their own table, or by their order. The label column is left out.
    dataset : Dataset

    Raises
    ------
    UsageError
        If no rows fit the items.
    DataError
        If two rows have one id.
    """
    table = read_table(Path(given), strings=(ID,)) if isinstance(given, str | Path) else given
    frame = pd.DataFrame(table if isinstance(table, pd.DataFrame | dict) else table.to_pandas())
    n, rows = len(dataset), dataset.items.rows
    if ID in frame.columns and np.isin(dataset.ids.astype("U"), frame[ID].astype(str)).any():
        names = frame[ID].astype(str)
        if names.duplicated().any():
            raise DataError(f"two rows of the metadata have the id {names[names.duplicated()].iloc[0]!r}.")
        frame = frame.set_index(names).reindex(dataset.ids.astype(str)).drop(columns=ID)
    elif rows is not None and len(frame) > rows.max():
        frame = frame.iloc[rows]
    elif len(frame) != n:
        raise UsageError(
            f"the metadata have {len(frame):,} rows for {n:,} items, and no column {ID!r} that names them.",
            "Give one row for each examined item, in their order, or name the items.",
        )
    frame = frame.reset_index(drop=True)
    given_labels = pd.Series(dataset.given).astype(str)
    same = [c for c in frame.columns if c == dataset.label or (frame[c].astype(str) == given_labels).all()]
    return frame.drop(columns=same)
