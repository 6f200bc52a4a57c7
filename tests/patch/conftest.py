"""Small data sets of every form, and patches for them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.patch.records import Patch, PatchHeader, PatchRecord

CLASSES = ("cat", "dog", "horse")
LABELS = ("cat", "cat", "dog", "dog", "horse", "horse", "cat", "dog")
FORMS = (
    "folder",
    "folder-splits",
    "csv",
    "csv-quoted",
    "csv-codes",
    "csv-images",
    "csv-folder",
    "tsv-gz",
    "jsonl",
    "parquet",
    "parquet-table",
    "hub",
    "hub-datasets",
    "hub-saved",
    "probs",
    "probs-text",
)


def png(seed: int) -> bytes:
    """A small image."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


#: Content of the eight items; the last two are copies of items 0 and 3.
SEEDS = (0, 1, 2, 3, 4, 5, 0, 3)
TEXTS = [f'number {s}, with a comma, a "quote" and more words than few' for s in SEEDS]


@dataclass(frozen=True)
class Source:
    """A data set on disk."""

    reference: str
    root: Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that find nothing elsewhere and download nothing."""
    return Settings(cache_dir=tmp_path / "cache", offline=True)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Source]:
    """Write one of `FORMS` below the test's folder."""
    return lambda form: _make(form, tmp_path / "source")


def _make(form: str, root: Path) -> Source:
    root.mkdir()
    if form.startswith("folder"):
        for k, (seed, label) in enumerate(zip(SEEDS, LABELS, strict=True)):
            split = ("train/", "test/")[k % 2] if form == "folder-splits" else ""
            path = root / f"{split}{label}" / f"{k % 3}.png" if k < 6 else root / f"{split}{label}/sub/{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(seed))
        (root / "README.txt").write_text("about")
        return Source(f"folder://{root}", root)
    codes = [CLASSES.index(label) for label in LABELS]
    if form in ("csv", "csv-quoted", "csv-codes", "tsv-gz"):
        return _csv(form, root, codes)
    if form == "csv-folder":
        rows = [f'"{t.replace(chr(34), chr(34) * 2)}",{y}\n' for t, y in zip(TEXTS, LABELS, strict=True)]
        (root / "train.csv").write_text("text,label\n" + "".join(rows[:5]))
        (root / "test.csv").write_text("text,label\n" + "".join(rows[5:]))
        return Source(str(root), root)
    if form == "csv-images":
        for k, seed in enumerate(SEEDS):
            (root / f"{k}.png").write_bytes(png(seed))
        rows = "".join(f"{k}.png,{label}\n" for k, label in enumerate(LABELS))
        (root / "x.csv").write_text("image,label\n" + rows)
        return Source(f"csv://{root}/x.csv", root)
    if form == "jsonl":
        rows = [
            {"text": t, "nested": {"label": 1}, "label": y, "size": 1.50} for t, y in zip(TEXTS, LABELS, strict=True)
        ]
        lines = [json.dumps(row, ensure_ascii=k % 2 == 0) for k, row in enumerate(rows)]
        (root / "x.jsonl").write_text("\n".join(lines[:4]) + "\n\n" + "\n".join(lines[4:]))
        return Source(f"jsonl://{root}/x.jsonl?text=text", root)
    if form in ("probs", "probs-text"):
        p = np.random.default_rng(0).dirichlet(np.ones(3), len(LABELS))
        p[6], p[7] = p[0], p[3]
        np.save(root / "p.npy", p)
        np.save(root / "y.npy", np.array(LABELS) if form == "probs-text" else np.array(codes, dtype=np.uint16))
        return Source(f"probs://{root}/p.npy?labels={root}/y.npy&classes=cat,dog,horse", root)
    return _columns(form, root, codes)


def _csv(form: str, root: Path, codes: list[int]) -> Source:
    if form == "csv":
        lines = [
            "text;label\r\n",
            *(f'"{t.replace(chr(34), chr(34) * 2)}";{y}\r\n' for t, y in zip(TEXTS, LABELS, strict=True)),
        ]
        (root / "x.csv").write_bytes(("\ufeff" + "".join(lines)).encode())
        return Source(f"csv://{root}/x.csv?text=text", root)
    if form == "csv-quoted":
        names = {"cat": "a, b", "dog": 'c"d', "horse": "ho\nrse"}
        quoted = ['"' + names[y].replace('"', '""') + '"' for y in LABELS]
        lines = [f"{y},{s},{s / 7}\n" for s, y in zip(SEEDS, quoted, strict=True)]
        (root / "x.csv").write_text("label,size,weight\n" + "\n".join(lines).rstrip("\n"))
        return Source(f"csv://{root}/x.csv?columns=size,weight", root)
    if form == "csv-codes":
        lines = [f"{s},{s / 7},0{c}\n" for s, c in zip(SEEDS, codes, strict=True)]
        (root / "x.csv").write_text("size,weight,y\n" + "".join(lines), encoding="latin-1")
        return Source(f"csv://{root}/x.csv?columns=size,weight&label=y&classes=cat,dog,horse&encoding=latin-1", root)
    import gzip

    lines = [f"{s}\t{s / 7}\t{y}\n" for s, y in zip(SEEDS, LABELS, strict=True)]
    (root / "x.tsv.gz").write_bytes(gzip.compress(("size\tweight\tlabel\n" + "".join(lines)).encode()))
    return Source(f"csv://{root}/x.tsv.gz?delimiter=%09", root)


def _columns(form: str, root: Path, codes: list[int]) -> Source:
    if form == "parquet-table":
        table = pa.table(
            {"size": list(SEEDS), "weight": [s / 7 for s in SEEDS], "label": pa.array(LABELS).dictionary_encode()}
        )
        pq.write_table(table, root / "x.parquet", row_group_size=3)
        return Source(f"parquet://{root}/x.parquet", root)
    if form == "hub-datasets":
        lines = [json.dumps({"text": t, "label": y}) for t, y in zip(TEXTS, LABELS, strict=True)]
        (root / "train.jsonl").write_text("\n".join(lines[:5]) + "\n")
        (root / "test.jsonl").write_text("\n".join(lines[5:]) + "\n")
        return Source(f"hf://{root}", root)
    images = pa.array(
        [{"bytes": png(s), "path": None} for s in SEEDS],
        type=pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    features = {"img": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    table = pa.table({"img": images, "label": pa.array(codes)})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    if form == "hub-saved":
        whole = datasets.Dataset(table)
        halves = {"train": whole.select(range(5)), "test": whole.select(range(5, 8))}
        datasets.DatasetDict(halves).save_to_disk(root)
        return Source(str(root), root)
    if form == "parquet":
        pq.write_table(table, root / "x.parquet", row_group_size=3)
        return Source(f"parquet://{root}/x.parquet", root)
    (root / "data").mkdir()
    pq.write_table(table.slice(0, 3), root / "data" / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(3, 2), root / "data" / "train-00001-of-00002.parquet")
    pq.write_table(table.slice(5), root / "data" / "test-00000-of-00001.parquet")
    return Source(f"hf://{root}", root)


def header_for(data: Dataset, split: str | None = None, column: str = "label") -> PatchHeader:
    """A header that fits `data`."""
    return PatchHeader(data.name, split, len(data), data.fingerprint, data.hash_scheme, tuple(data.class_names), column)


def record_for(data: Dataset, k: int, op: str, *to: str, **more: object) -> PatchRecord:
    """A record for item `k` as it is labelled."""
    reason = "neither" if op == "drop" else None
    return PatchRecord(
        str(data.content_hashes[k]),
        op,
        data.class_names[data.labels[k]],
        to,
        reason,
        index=int(data.items.index[k]),
        **more,  # type: ignore[arg-type]
    )


def patch_for(data: Dataset, column: str = "label") -> Patch:
    """Relabel one item of each of two classes, give one several labels, drop one; item 3 and its copy go together."""
    names = data.class_names

    def item(name: int, nth: int) -> int:
        return int(np.flatnonzero(data.labels == name)[nth])

    copied = next(
        k
        for k in range(len(data))
        if (data.content_hashes == data.content_hashes[k]).sum() == 2 and data.labels[k] == 1
    )
    alone = next(
        k for k in range(len(data)) if data.labels[k] == 1 and data.content_hashes[k] != data.content_hashes[copied]
    )
    records = (
        record_for(data, item(2, 0), "relabel", names[0], verdict="suggested", votes={"suggested": 3}, n=3),
        record_for(data, copied, "relabel", names[2]),
        record_for(data, item(2, 1), "multi", names[2], names[1]),
        record_for(data, alone, "drop"),
    )
    return Patch(header_for(data, column=column), records)


@pytest.fixture
def open_source(settings: Settings) -> Callable[[Source], Dataset]:
    """Open a `Source`."""
    return lambda source: open_dataset(source.reference, settings)
