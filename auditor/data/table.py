"""Adapters of table files: ``csv://``, ``jsonl://`` and ``parquet://``, and plain paths of such files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.data.base import Dataset, FormOfReference
from auditor.data.build import build_dataset
from auditor.data.columns import FileTable, MemoryTable, SplitFiles, parquet_file
from auditor.data.folder import printable
from auditor.data.reference import Reference
from auditor.data.roles import ROLE_OPTIONS
from auditor.data.tables import read_table


class _Table(FormOfReference):
    """A table in one file; ids are row numbers of the file (first row 0) or the id column."""

    options = ROLE_OPTIONS | {"classes", "kind", "missing", "root"}

    def _columns(self, path: Path, options: Mapping[str, str]) -> MemoryTable:
        return MemoryTable(read_table_of(path, options))

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Read the table, or the columns of it that are not images."""
        path = reference.path.absolute()
        return build_dataset(
            self._columns(path, reference.options),
            reference.options,
            printable(path.stem),
            str(reference.with_path(path)),
            repr(str(path)),
            path.parent,
        )


def read_table_of(path: Path, options: Mapping[str, str]) -> Any:
    """The Arrow table of a text file, columns that hold ids, paths or texts as text; `options` as of a reference."""
    strings = [options[k] for k in ("id", "image", "text", "group", "label") if k in options]
    return read_table(path, strings, **{k: options[k] for k in ("delimiter", "encoding") if k in options})


class Csv(_Table):
    """Adapter of ``csv://FILE?image=path&label=y``."""

    summary = "a CSV or TSV table: a column of image paths, of texts, or columns of numbers and categories"
    example = "csv:///data/x.csv?image=path&label=y"
    options = _Table.options | {"delimiter", "encoding"}


class Jsonl(_Table):
    """Adapter of ``jsonl://FILE?text=body&label=y``."""

    summary = "a JSON Lines table, columns as in CSV"
    example = "jsonl:///data/x.jsonl?text=body&label=y"


class Parquet(_Table):
    """Adapter of ``parquet://FILE?columns=a,b&label=y``; image bytes are read when asked for."""

    summary = "a parquet table, columns as in CSV or images stored inside"
    example = "parquet:///data/x.parquet?image=img&label=y"

    def _columns(self, path: Path, options: Mapping[str, str]) -> MemoryTable:
        return FileTable([SplitFiles("all", (parquet_file(path),))], options.get("root", str(path.parent)))
