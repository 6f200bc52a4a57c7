"""Adapters of table files: ``csv://``, ``jsonl://`` and ``parquet://``, and plain paths of such files."""

from __future__ import annotations

from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.build import FileTable, MemoryTable, build_dataset
from auditor.data.columns import SplitFiles, parquet_file
from auditor.data.folder import printable
from auditor.data.reference import Reference
from auditor.data.roles import ROLE_OPTIONS
from auditor.data.tables import read_table

__all__ = ["Csv", "Jsonl", "Parquet"]

_COMMON = ROLE_OPTIONS | {"classes", "root"}


class _TextTable:
    """A table that is read into memory whole."""

    summary: str
    example: str
    options: frozenset[str] = _COMMON

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Read the table; ids are row numbers of the file (first row 0) or the id column."""
        path = reference.path.absolute()
        options = reference.options
        strings = [options[k] for k in ("id", "image", "text", "group") if k in options]
        csv_options = {k: options[k] for k in ("delimiter", "encoding") if k in options}
        table = MemoryTable(read_table(path, strings, **csv_options))
        return build_dataset(
            table, options, printable(path.stem), str(reference.with_path(path)), repr(str(path)), path.parent
        )

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        return "form", "any path"


class Csv(_TextTable):
    """Adapter of ``csv://FILE?image=path&label=y``."""

    summary = "a CSV or TSV table: a column of image paths, of texts, or columns of numbers and categories"
    example = "csv:///data/x.csv?image=path&label=y"
    options = _COMMON | {"delimiter", "encoding"}


class Jsonl(_TextTable):
    """Adapter of ``jsonl://FILE?text=body&label=y``."""

    summary = "a JSON Lines table, columns as in CSV"
    example = "jsonl:///data/x.jsonl?text=body&label=y"


class Parquet:
    """Adapter of ``parquet://FILE?columns=a,b&label=y``; image bytes are read when asked for."""

    summary = "a parquet table, columns as in CSV or images stored inside"
    example = "parquet:///data/x.parquet?image=img&label=y"
    options = _COMMON

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Open the file; ids are row numbers or the id column."""
        path = reference.path.absolute()
        table = FileTable([SplitFiles("all", (parquet_file(path),))])
        return build_dataset(
            table, reference.options, printable(path.stem), str(reference.with_path(path)), repr(str(path)), path.parent
        )

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        return "form", "any path"
