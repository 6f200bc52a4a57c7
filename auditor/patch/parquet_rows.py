"""Parquet and Arrow files: a corrected copy with the same columns, metadata and row groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from auditor.core.errors import DataError
from auditor.core.files import atomic_path, parse_json
from auditor.core.reading import parsing, reading
from auditor.data.columns import read_rows, schema_of
from auditor.data.parquet_footer import column_chunks
from auditor.data.sources import ColumnFile, ColumnSource
from auditor.patch.rows import FilePlan, RowFile, merge_rows

#: Metadata key of the Hub's description of the columns.
_HUB = b"huggingface"


class AddedColumn(NamedTuple):
    """A label column that the source does not have and its copies get.

    Parameters
    ----------
    codes : int64 array
        Label of each row.
    class_names : sequence of str
    """

    codes: np.ndarray
    class_names: Sequence[str]


@dataclass(eq=False)
class ParquetRows(RowFile):
    """One logical data file.

    Parameters
    ----------
    sources : sequence of ColumnFile
        The physical files, one after the other.
    name : str
        The file written: always parquet.
    column : str
    value : callable
        Class name to the value of the label column.
    state_extra : dict, optional
        What `extra` gave when the copy was made.
    order : int64 array, optional
        Rows of the sources in the order to write; default as they are.
    added : AddedColumn, optional
    columns : tuple of str
        The columns of a label that lies in several; `value` then gives a value for each.
    images : ColumnSource, optional
        Images of the rows. Those that the sources only name by their path are stored in what is written: the paths
        lead to where the source lies.
    """

    sources: Sequence[ColumnFile]
    name: str
    column: str
    value: Callable[[str], Any]
    state_extra: dict[str, Any] | None = None
    order: np.ndarray | None = None
    added: AddedColumn | None = None
    images: ColumnSource | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.n = sum(s.rows for s in self.sources)
        if self.order is not None and np.array_equal(self.order, np.arange(self.n)):
            self.order = None

    @property
    def _had_multi(self) -> bool:
        return self.state_extra is not None and f"{self.column}_multi" in schema_of(self.sources[0]).names

    def unchanged(self, plan: FilePlan) -> Path | None:
        single = len(self.sources) == 1 and self.sources[0].is_parquet and self.order is None and self.added is None
        same = single and plan.nothing and not plan.multi_anywhere and not self._had_multi and not self._names_images
        return Path(self.sources[0].path) if same else None

    @property
    def _names_images(self) -> bool:
        """Whether the one parquet file may name images that it does not hold."""
        if self.images is None:
            return False
        chunks = chain.from_iterable(column_chunks(self.sources[0].path))
        return any(chunk.null_count != 0 for chunk in chunks if chunk.path == f"{self.images.column}.bytes")

    def extra(self) -> dict[str, Any]:
        """The Hub's description before any patch; adding a column changes it."""
        empty = schema_of(self.sources[0]).empty_table()
        if self.added is not None:
            empty = _with_added(empty, self.column, self.added, self.added.codes[:0])
        described = (empty.schema.metadata or {}).get(_HUB)
        with parsing(self.sources[0].path, "UTF-8"):
            return {"hub": None if described is None else described.decode()}

    def rewrite(self, out: Path, aside: Path | None, aside_out: Path, plan: FilePlan) -> dict[int, str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = self._table()
        laid = table.slice(0, 0)
        if aside is not None:
            with reading(aside, "parquet") as file:
                laid = pq.ParquetFile(file).read().cast(table.schema)
        order, kept = merge_rows(self.n, plan, repr(self.sources[0].path), laid.num_rows)
        if len(plan.before):
            table = _ordered(pa.concat_tables([table, laid]), order)
        if self._had_multi:
            table = table.drop_columns([f"{self.column}_multi"])
        table = self._relabelled(table, plan)
        table = self._with_multi(table, plan)
        if len(plan.after):
            _write(table.take(pa.array(plan.after)), aside_out, self.sources[0])
            table = table.filter(pa.array(kept))
        _write(table, out, self.sources[0])
        return {}

    def _table(self) -> Any:
        import pyarrow as pa

        table = pa.concat_tables([read_rows(source) for source in self.sources])
        if self.images is not None:
            table = _with_images(table, ColumnSource(self.sources, self.images.column, root=self.images.root))
        if self.order is not None:
            table = _ordered(table, self.order)
        return table if self.added is None else _with_added(table, self.column, self.added, self.added.codes)

    def _relabelled(self, table: Any, plan: FilePlan) -> Any:
        import pyarrow as pa

        if not plan.labels:
            return table
        written = {row: self.value(name) for row, name in plan.labels.items()}
        for k, column in enumerate(self.columns or (self.column,)):
            at = table.schema.get_field_index(column)
            field = table.schema.field(at)
            values = table.column(at).to_pylist()
            for row, value in written.items():
                values[row] = value[k] if self.columns else value
            table = table.set_column(at, field, pa.chunked_array([pa.array(values, type=field.type)]))
        return table

    def _with_multi(self, table: Any, plan: FilePlan) -> Any:
        """Add the list column while any row of the copy has several labels; without one the metadata is as before."""
        import pyarrow as pa

        name = f"{self.column}_multi"
        if not plan.multi_anywhere:
            hub = (self.state_extra or {}).get("hub")
            return table if hub is None else _hub_metadata(table, hub)
        if name in table.column_names:
            raise DataError(
                f"{self.sources[0].path!r} has a column {name!r} already, where several labels would be written.",
                "Rename it, or write the corrections to a table with --mapping FILE.csv.",
            )
        lists = [list(plan.multi[k]) if k in plan.multi else None for k in range(table.num_rows)]
        table = table.append_column(name, pa.array(lists, type=pa.list_(pa.string())))
        return _described(table, name, {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"})


def _with_images(table: Any, source: ColumnSource) -> Any:
    """The table with the bytes of the images that it only names, where they can be read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at = table.schema.get_field_index(source.column)
    column = table.column(at)
    if not pa.types.is_struct(column.type):
        return table
    chunks, start = [], 0
    for chunk in column.chunks:
        stored = pc.struct_field(chunk, "bytes")
        absent = np.flatnonzero(stored.is_null().to_numpy(zero_copy_only=False))
        named = {int(absent[k]): content for k, content in source.read(start + absent) if isinstance(content, bytes)}
        if named:
            mask = np.isin(np.arange(len(chunk)), list(named))
            stored = pc.replace_with_mask(stored, mask, pa.array([named[row] for row in sorted(named)], stored.type))
            parts = [stored if f.name == "bytes" else pc.struct_field(chunk, f.name) for f in column.type]
            chunk = pa.StructArray.from_arrays(parts, fields=list(column.type), mask=chunk.is_null())
        chunks.append(chunk)
        start += len(chunk)
    return table.set_column(at, table.schema.field(at), pa.chunked_array(chunks, column.type))


def _with_added(table: Any, column: str, added: AddedColumn, codes: np.ndarray) -> Any:
    import pyarrow as pa

    feature = {"names": list(added.class_names), "_type": "ClassLabel"}
    return _described(table.append_column(column, pa.array(codes)), column, feature)


def _ordered(table: Any, order: np.ndarray) -> Any:
    """Rows in `order`, as slices of runs: `take` would copy, and overflow at 2 GiB of bytes in one column."""
    import pyarrow as pa

    cuts = np.flatnonzero(np.diff(order) != 1) + 1
    return pa.concat_tables([table.slice(int(run[0]), len(run)) for run in np.split(order, cuts) if len(run)])


def _described(table: Any, column: str, feature: dict[str, Any]) -> Any:
    """Add a column to the Hub's description, where there is one."""
    raw = (table.schema.metadata or {}).get(_HUB)
    if raw is None:
        return table
    with parsing("the Hub's description of a parquet file", "JSON"):
        described = parse_json(raw)
        described.setdefault("info", {}).setdefault("features", {})[column] = feature
    return _hub_metadata(table, json.dumps(described))


def _hub_metadata(table: Any, text: str) -> Any:
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _HUB: text.encode()})


def _write(table: Any, out: Path, like: ColumnFile) -> None:
    """Write with the compression and the row-group size of the file it comes from."""
    import pyarrow.parquet as pq

    compression, rows = "zstd", 10_000
    if like.is_parquet:
        meta, chunks = pq.ParquetFile(like.path).metadata, column_chunks(like.path)
        if chunks and chunks[0]:
            compression, rows = chunks[0][0].compression, max(1, meta.row_group(0).num_rows)
    with atomic_path(out) as temporary:
        pq.write_table(
            table, temporary, compression="none" if compression == "uncompressed" else compression, row_group_size=rows
        )
