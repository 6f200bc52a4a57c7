"""What a run keeps of data that only memory held, and the adapter that opens it again: ``memory:///runs/NAME``."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError
from auditor.core.files import atomic_path, parse_json
from auditor.core.label_forms import form_document, form_of
from auditor.core.reading import reading
from auditor.data.base import Dataset, FormOfReference, ItemTable
from auditor.data.columns import parquet_file
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.reference import Reference, is_held, parse_reference
from auditor.data.roles import COLUMN_OPTIONS
from auditor.data.sources import ColumnSource, read_parquet

#: File in the run folder; `auditor.runs.layout.DATA`.
STORED = "data.parquet"
SCHEMA = "auditor.data/1"
_ABOUT = b"auditor.data"
#: Pictures of a row group: what is in memory at once.
_GROUP = 256
_ITEMS = ("id", "label", "split", "index", "group", "path")


def is_stored(folder: Path) -> bool:
    """Whether a folder is a run that keeps its data."""
    return (folder / STORED).is_file() and (folder / "config.json").is_file()


def reference_in(reference: str, folder: Path) -> str:
    """The reference that opens the data of the run in `folder`, which recorded `reference`."""
    return str(Reference("memory", str(folder.absolute()))) if is_held(reference) else reference


class Stored(FormOfReference):
    """Adapter of ``memory://RUN``."""

    summary = "what a run kept of data that were in memory"
    example = "memory:///runs/DataFrame-all-1a2b3c4d"
    options = COLUMN_OPTIONS  # they say what the data were; nothing is left to choose

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Open the data of a run folder; ids, labels and hashes are those of the run."""
        folder = reference.path
        path = folder / STORED
        if not path.is_file():
            raise UnreadableError(
                f"{str(folder)!r} keeps no data: it has no {STORED}.",
                "If the run was made of data in memory, call find_errors with them again: it writes the file anew.",
            )
        return _read(path, reference.with_path(folder))


def stored_features(folder: Path) -> list[str]:
    """Names of the features of a table that a run keeps; none of other data."""
    if not (folder / STORED).is_file():
        return []
    names: list[str] = _about(folder / STORED).get("features", [])
    return names


def write_stored(dataset: Dataset, path: Path) -> None:
    """Write items and contents. Pictures go through memory a few at a time; those that lie in files stay there.

    Parameters
    ----------
    dataset : ImageDataset, TextDataset or TableDataset
    path : Path
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    items = dataset.items
    columns: dict[str, Any] = {
        "id": items.ids.tolist(),
        "label": items.labels,
        "split": items.splits.tolist(),
        "index": items.index,
    }
    for name, values in (("group", items.groups), ("path", items.paths)):
        columns[name] = pa.nulls(len(items.ids), pa.string()) if values is None else values.tolist()
    about: dict[str, Any] = {"schema": SCHEMA, "name": dataset.name, "modality": dataset.modality}
    about |= {"hash_scheme": dataset.hash_scheme, "class_names": dataset.class_names}
    about |= {} if dataset.form is None else {"form": form_document(dataset.form)}
    about["options"] = dict(parse_reference(dataset.reference).options)
    blocks: Iterator[dict[str, Any]] = iter([{}])
    if isinstance(dataset, TextDataset):
        columns["text"] = dataset.texts
    elif isinstance(dataset, TableDataset):
        about["features"] = list(map(str, dataset.frame.columns))
        about |= {"named": True} if dataset.named else {}
        for k, name in enumerate(dataset.frame.columns):
            series = dataset.frame[name]
            is_category = series.dtype == "category"
            columns[f"feature {k}"] = pa.array(series, from_pandas=True) if is_category else pa.array(series.to_numpy())
    elif isinstance(dataset, ImageDataset):
        files = [file for k in range(len(dataset)) if (file := dataset.source.file(k)) is not None]
        about["root"] = os.path.commonpath([os.path.dirname(file) for file in files]) if files else None
        blocks = _pictures(dataset)
    table = pa.table(columns)
    with atomic_path(path) as temporary:
        writer, start = None, 0
        for block in blocks:
            rows = len(next(iter(block.values()))) if block else len(dataset)
            part = table.slice(start, rows)
            for name, values in block.items():
                part = part.append_column(name, values)
            if writer is None:
                schema = part.schema.with_metadata({_ABOUT: json.dumps(about)})
                writer = pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True)
            writer.write_table(part.cast(writer.schema))
            start += rows
        if writer is not None:
            writer.close()


def _pictures(dataset: ImageDataset) -> Iterator[dict[str, Any]]:
    """The pictures in blocks, each as the Hub stores them: the bytes of its file, or where that lies."""
    import pyarrow as pa
    from PIL import Image

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for start in range(0, len(dataset), _GROUP):
        positions = np.arange(start, min(start + _GROUP, len(dataset)))
        cells: list[dict[str, Any]] = [{"bytes": None, "path": dataset.source.file(int(k))} for k in positions]
        inside = np.flatnonzero([cell["path"] is None for cell in cells])
        for k, content in dataset.source.read(positions[inside]):
            if isinstance(content, np.ndarray):
                buffer = io.BytesIO()
                Image.fromarray(content).save(buffer, "PNG", compress_level=1)
                content = buffer.getvalue()
            cells[inside[k]]["bytes"] = content if isinstance(content, bytes) else None
        yield {"image": pa.array(cells, kind)}


def _about(path: Path) -> dict[str, Any]:
    """What the file says of the data set."""
    import pyarrow.parquet as pq

    with reading(path, "the data of a run"):
        about: dict[str, Any] = parse_json(pq.read_schema(path).metadata[_ABOUT])
        if about["schema"] != SCHEMA:
            raise UnreadableError(f"{str(path)!r} is of the schema {about['schema']!r}; this version reads {SCHEMA!r}.")
    return about


def _read(path: Path, reference: Reference) -> Dataset:
    import pandas as pd

    file, about = parquet_file(path), _about(path)
    with reading(path, "the data of a run"):
        modality, names = about["modality"], about.get("features", [])
    contents = {"text": ["text"], "table": [f"feature {k}" for k in range(len(names))]}.get(modality, [])
    table = read_parquet(str(path), [*_ITEMS, *contents])
    with reading(path, "the data of a run"):
        cells = {name: table.column(name) for name in _ITEMS}
        groups, paths = (
            None if cells[name].null_count == len(table) else np.array(cells[name].to_pylist())
            for name in ("group", "path")
        )
        items = ItemTable(
            np.array(cells["id"].to_pylist()),
            cells["label"].to_numpy(),
            np.array(cells["split"].to_pylist()),
            cells["index"].to_numpy(),
            groups,
            paths,
        )
        said = str(replace(reference, options=about["options"]))
        common: dict[str, Any] = {"name": about["name"], "reference": said, "items": items}
        common |= {"class_names": tuple(about["class_names"]), "form": form_of(about.get("form"))}
        if modality == "text":
            return TextDataset(**common, column=np.array(table.column("text").to_pylist(), dtype=object))
        if modality == "table":
            frame = {name: table.column(f"feature {k}").to_pandas() for k, name in enumerate(names)}
            return TableDataset(**common, frame=pd.DataFrame(frame), named=about.get("named") is True)
        source = ColumnSource([file], "image", root=about["root"])
        return ImageDataset(**common, source=source, hash_scheme=about["hash_scheme"])
