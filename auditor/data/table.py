"""Adapters of table files: ``csv://``, ``jsonl://`` and ``parquet://``, and plain paths of such files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError
from auditor.core.label_forms import TokenTags
from auditor.data.base import Dataset, FormOfReference
from auditor.data.build import build_dataset
from auditor.data.columns import FileTable, MemoryTable, SplitFiles, joined_table, parquet_file, split_of
from auditor.data.folder import printable, split_name
from auditor.data.label_kinds import AUTO
from auditor.data.reference import Reference
from auditor.data.roles import ROLE_OPTIONS
from auditor.data.tables import TAGS, TEXT_TABLES, read_table, table_suffix


class _Table(FormOfReference):
    """A table in one file, or one for each split in a folder; ids are row numbers of the file (first row 0), after the
    split where there are several, or the id column."""

    options = ROLE_OPTIONS | {"classes", "kind", "missing", "root"}

    def _columns(self, path: Path, options: Mapping[str, str]) -> MemoryTable:
        return read_text_tables(path, options)

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Read the table, or the columns of it that are not images."""
        path = reference.path.absolute()
        return build_dataset(
            self._columns(path, reference.options),
            reference.options,
            printable(path.stem),
            str(reference.with_path(path)),
            repr(str(path)),
            path if path.is_dir() else path.parent,
        )


def read_text_tables(path: Path, options: Mapping[str, str]) -> MemoryTable:
    """A text table, or those of a folder by their splits."""
    if not path.is_dir():
        return MemoryTable(read_table_of(path, options))
    files = table_files(path)
    if not files:
        raise EmptyDataError(f"{str(path)!r} holds no table that is named as a split, such as train.csv.")
    return joined_table([(split, file.name, read_table_of(file, options)) for split, file in files])


def table_files(folder: Path) -> list[tuple[str, Path]]:
    """The text tables of a folder, each with its split: those that are named as one, train first, or the only one."""
    tables = [path for path in sorted(folder.iterdir()) if table_suffix(path) in TEXT_TABLES and path.is_file()]
    if len({TEXT_TABLES[table_suffix(path)] for path in tables}) > 1:
        tables = [path for path in tables if TEXT_TABLES[table_suffix(path)] == "csv"]
    packed = [path for path in tables if path.suffix.lower() != table_suffix(path)]
    splits = [split_name(split_of(Path(path.stem) if path in packed else path)) for path in tables]
    named = [(split, path) for split, path in zip(splits, tables, strict=True) if split is not None]
    if not named and len(tables) == 1:
        return [("all", tables[0])]
    return sorted(named, key=lambda one: (not one[0].startswith("train"), not one[0].startswith("test"), one))


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


class Conll(_Table):
    """Adapter of ``conll://FILE``; ``label=`` names another field than the last, from 1."""

    summary = "a token a line, its tag last, empty lines between sentences"
    example = "conll:///data/x.conll"
    options = _Table.options | {"encoding"}

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Tags of tokens, whatever else may be looked for."""
        options = {"label": TAGS, **reference.options}
        if options.get("kind") in (None, AUTO):
            options["kind"] = TokenTags.kind
        return super().open(replace(reference, options=options), settings)


class Parquet(_Table):
    """Adapter of ``parquet://FILE?columns=a,b&label=y``; image bytes are read when asked for."""

    summary = "a parquet table, columns as in CSV or images stored inside"
    example = "parquet:///data/x.parquet?image=img&label=y"

    def _columns(self, path: Path, options: Mapping[str, str]) -> MemoryTable:
        return FileTable([SplitFiles("all", (parquet_file(path),))], options.get("root", str(path.parent)))
