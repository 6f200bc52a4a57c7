"""A column of corrected labels beside the data: in a parquet file, or in a folder of them as the Hub keeps data.

The file written has one row per item, in the data's order, so that the column can be added to it:
``dataset.add_column("corrected_label", table["corrected_label"])``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.core.errors import DataError, UsageError
from auditor.core.files import atomic_path
from auditor.data.columns import Features, features_in, parquet_file, read_column
from auditor.data.hub import local_splits
from auditor.data.sources import ColumnFile
from auditor.patch.convert.base import Correction, DataView, Options, labels_after
from auditor.patch.records import REASONS, Patch


class Column:
    """The column holds class names or numbers, or lists of them for several labels; null says nothing."""

    summary = "a parquet file (or a local Hub folder) with a column of corrected labels, row by row"
    needs_data_to_write = True

    def read(self, path: Path, data: DataView, options: Options) -> tuple[list[Correction], list[str]]:
        files = _files(path, data.split)
        features = features_in(files[0])
        columns = list(features.types)
        if options.column not in columns:
            raise UsageError(
                f"{str(path)!r} has no column {options.column!r}.", f"Name it with --column: {', '.join(columns)}."
            )
        values = read_column(files, options.column).to_pylist()
        described = features.classes.get(options.column)
        rows = _rows(files, columns, data, len(values), str(path))
        if column := next((n for n in ("given_label", data.column) if n in {*columns} - {options.column}), None):
            _compare_given(read_column(files, column).to_pylist(), features, column, data, rows, str(path))
        several = _optional(files, columns, "corrected_labels", len(values))
        reasons = _optional(files, columns, "drop_reason", len(values))
        corrections = []
        for k, (row, value) in enumerate(zip(rows, values, strict=True)):
            where = f"{str(path)!r}, row {k}"
            if reasons[k] in REASONS:
                corrections.append(Correction(row, (), reasons[k]))
                continue
            answer = several[k] if several[k] else value
            listed = answer if isinstance(answer, list) else [answer]
            if answer is None or not listed:
                continue
            names = [_name(label, described, data, where) for label in listed]
            corrections.append(Correction(row, tuple(dict.fromkeys(names))))
        return corrections, []

    def write(self, patch: Patch, path: Path, data: DataView, options: Options) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        labels, changed = labels_after(patch, data)
        # The given label where it stays, else the first of the new ones.
        single = [
            given if given in names else next(iter(names), None)
            for names, given in zip(labels, data.names, strict=True)
        ]
        reasons = [changed[k].reason if k in changed else None for k in range(len(labels))]
        table = pa.table(
            {
                "id": pa.array(map(str, data.part.ids), pa.string()),
                "split": pa.array(map(str, data.part.items.splits), pa.string()),
                "index": pa.array(map(int, data.part.items.index), pa.int64()),
                "content_hash": pa.array(data.hashes, pa.string()),
                "given_label": pa.array(data.names, pa.string()),
                options.column: pa.array(single, pa.string()),
                "corrected_labels": pa.array([list(n) if len(n) > 1 else None for n in labels], pa.list_(pa.string())),
                "drop_reason": pa.array(reasons, pa.string()),
            }
        )
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return []


def _files(path: Path, split: str | None) -> list[ColumnFile]:
    if not path.is_dir():
        return [parquet_file(path)]
    splits = local_splits(path)
    if not splits:
        raise DataError(f"{str(path)!r} has no parquet files.")
    wanted = [s for s in splits if s.split == split] or (splits if len(splits) == 1 else [])
    if not wanted:
        raise DataError(f"{str(path)!r} has no split {split!r}; it has {', '.join(s.split for s in splits)}.")
    return list(wanted[0].files)


def _rows(files: list[ColumnFile], names: list[str], data: DataView, n: int, where: str) -> list[int]:
    """Row of the data of each row of the file: by id where there is one, else by order."""
    if "id" in names:
        ids = read_column(files, "id").to_pylist()
        rows = [data.rows.by_id(str(value)) for value in ids]
        if None in rows:
            raise DataError(
                f"{where!r}: the id {str(ids[rows.index(None)])[:80]!r} is not in the data.",
                "Give its data; a column 'id' that means something else must go.",
            )
        return [row for row in rows if row is not None]
    if n != len(data.names):
        raise DataError(
            f"{where!r} has {n:,} rows, the data {len(data.names):,}, and no column 'id' that names them.",
            "Give the column for all rows of the split, in the order of the data.",
        )
    return list(range(n))


def _compare_given(
    values: list[Any], features: Features, column: str, data: DataView, rows: list[int], where: str
) -> None:
    """The labels before, where the file has them, must be those of the rows it is taken to speak of.

    Raises
    ------
    DataError
    """
    for k, (row, value) in enumerate(zip(rows, values, strict=True)):
        given = data.names[row]
        if value is not None and _name(value, features.classes.get(column), data, f"{where!r}, row {k}") != given:
            raise DataError(
                f"{where!r}, row {k}: {column!r} is {str(value)[:80]!r}, the data has {given!r}.",
                "Give the data and the split it speaks of.",
            )


def _optional(files: list[ColumnFile], names: list[str], column: str, n: int) -> list[Any]:
    return read_column(files, column).to_pylist() if column in names else [None] * n


def _name(value: Any, described: tuple[str, ...] | None, data: DataView, where: str) -> str:
    if described is not None and isinstance(value, int) and 0 <= value < len(described):
        value = described[value]
    return data.class_name(value, where)
