"""Parquet tables written the same way every time: atomic, and byte-equal for equal content.

Worker processes, which write arrays, do without pandas and pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from auditor.core.files import atomic_path, atomic_write
from auditor.core.reading import reading

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def write_table(path: Path, frame: pd.DataFrame | pa.Table, schema: str) -> None:
    """Write a table with its schema name and version in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    # Pandas' own metadata holds library versions; without it equal content gives equal bytes.
    table = table.replace_schema_metadata({"auditor.schema": schema})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_arrow(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a table written by `write_table`, or some of its columns.

    Raises
    ------
    UnreadableError
        If it is absent, damaged or lacks a column.
    """
    import pyarrow.parquet as pq

    with reading(path, "a table") as file:
        return pq.read_table(file, columns=columns, page_checksum_verification=True).combine_chunks()


def read_table(path: Path) -> pd.DataFrame:
    """All of a table, for pandas. Errors as `read_arrow`."""
    table = read_arrow(path)
    with reading(path, "a table"):  # texts are decoded only now
        return table.to_pandas()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``, atomically."""
    with atomic_write(path) as handle:
        np.save(handle, array, allow_pickle=False)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as ``.npz``, atomically."""
    with atomic_write(path) as handle:
        np.savez(handle, **cast(Any, dict(arrays)))  # NumPy 2.0 would store allow_pickle as an array
