"""Every door for files of anybody's, with whole files to damage."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from auditor.benchmark.given_labels import GivenLabels, load_given_labels
from auditor.benchmark.readers.registry import read_predictions
from auditor.benchmark.verdicts.label_lists import judge_lists
from auditor.benchmark.verdicts.patch import judge_patch
from auditor.benchmark.verdicts.published import judge_published, published_counts
from auditor.cli.values import parse_class_names
from auditor.core.config import Settings, load_settings
from auditor.core.files import unpickle_arrays
from auditor.core.label_forms import TagSets
from auditor.data.base import ItemTable
from auditor.data.decode import UndecodableImage, decode_with_mode, image_header
from auditor.data.intake import encode_supplied, open_probabilities, open_supplied, read_labels
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.data.label_lists import load_label_lists
from auditor.data.open import open_dataset
from auditor.data.stored import STORED, write_stored
from auditor.engine.files import open_probabilities as open_source
from auditor.kinds import pictured
from auditor.kinds.base import KindFlags
from auditor.kinds.boxes import Boxes
from auditor.kinds.masks import Masks
from auditor.models.genotype import read_genotype, write_genotype
from auditor.patch.applying import apply_patch, revert_patch, verify_patch
from auditor.patch.combine import merge_patches, summary
from auditor.patch.convert.base import FORMATS, convert
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch
from auditor.patch.verdict_table import read_table_votes
from auditor.policy.baseline import SCHEMA, read_baseline
from auditor.policy.policy import load_policy
from auditor.quality.run import check_quality
from auditor.report.located import write_page
from auditor.review.additions import read_controls
from auditor.review.published import read_index, read_published
from tests.fuzz.harness import Reader
from tests.fuzz.kept import KEPT
from tests.fuzz.samples import CLASSES, NAMES, ROWS, labels, problem, settings
from tests.models.test_genotype_names import CASES
from tests.patch.conftest import _make, patch_for


def _table() -> pa.Table:
    texts = [f"number {i}, «with» a comma and more words than {'x' * (i % 7)} few" for i in range(ROWS)]
    return pa.table({"id": [f"{i:04d}" for i in range(ROWS)], "text": texts, "label": labels()})


def _write_tables(folder: Path, table: pa.Table, suffixes: Sequence[str]) -> list[Path]:
    """The same table in several formats."""
    rows = table.to_pylist()
    text = io.StringIO()
    writer = csv.DictWriter(text, table.column_names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    forms = {
        ".csv": text.getvalue().encode(),
        ".tsv": text.getvalue().replace(",", "\t").encode(),
        ".csv.gz": gzip.compress(text.getvalue().encode()),
        ".csv.bz2": bz2.compress(text.getvalue().encode()),
        ".jsonl": lines.encode(),
    }
    paths = []
    for suffix in suffixes:
        path = folder / f"table{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, path, row_group_size=16)
        else:
            path.write_bytes(forms[suffix])
        paths.append(path)
    return paths


# --- probabilities and labels ----------------------------------------------------------------------------------------


def _make_probabilities(folder: Path) -> list[Path]:
    p, y = problem()
    np.save(folder / "single.npy", p)
    np.save(folder / "half.npy", p.astype(np.float16))
    np.save(folder / "columns.npy", np.asfortranarray(p))
    np.savez(folder / "stored.npz", pred_probs=p, labels=y)
    np.savez_compressed(folder / "packed.npz", pred_probs=p, labels=np.array(labels()), class_names=np.array(NAMES))
    columns = {name: p[:, k] for k, name in enumerate(NAMES)}
    pq.write_table(pa.table({**columns, "label": labels()}), folder / "columns.parquet", row_group_size=16)
    pq.write_table(pa.table({"pred_probs": p.tolist()}), folder / "lists.parquet")
    return sorted(folder.iterdir())


def _make_zarr(folder: Path) -> list[Path]:
    import zarr

    p, _ = problem()
    for form in (2, 3):
        zarr.create_array(folder / f"array{form}.zarr", data=p, chunks=(16, CLASSES), zarr_format=form)
        group = zarr.create_group(folder / f"group{form}.zarr", zarr_format=form)
        group.create_array("pred_probs", data=p, chunks=(16, CLASSES))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_zarr(path: Path) -> None:
    _read_probabilities(next(folder for folder in path.parents if folder.suffix == ".zarr"))


def _make_addressed(folder: Path) -> list[Path]:
    return [path for path in _make_probabilities(folder) if path.name != "columns.npy" and path.suffix != ".npz"]


def _read_probabilities(path: Path | str) -> None:
    source = open_source(path)
    for start in range(0, min(source.shape[0], 200), 50):
        source.read(start, min(source.shape[0], start + 50))


def _make_supplied(folder: Path) -> list[Path]:
    p, _ = problem()
    table = pa.table({**{name: p[:, k] for k, name in enumerate(NAMES)}, "label": labels()})
    return [*_make_probabilities(folder), *_write_tables(folder, table, (".csv", ".tsv", ".jsonl", ".csv.gz"))]


def _read_supplied(path: Path) -> None:
    labels = None if path.stem in ("stored", "packed", "table", "table.csv") else problem()[1]
    supplied = open_supplied([path], labels)
    supplied.labels.complete(supplied.sources[0].name)
    open_probabilities(path, labels)


def _make_labels(folder: Path) -> list[Path]:
    _, y = problem()
    np.save(folder / "labels.npy", y)
    np.save(folder / "names.npy", np.array(labels()))
    np.savez(folder / "labels.npz", labels=y)
    (folder / "labels.txt").write_text("\n".join(labels()) + "\n")
    (folder / "single.csv").write_text("label\n" + "\n".join(labels()) + "\n")
    (folder / "index.json").write_text(json.dumps([f"{i}.png" for i in range(ROWS)]))
    return [
        *sorted(folder.iterdir()),
        *_write_tables(folder, _table(), (".csv", ".tsv", ".jsonl", ".parquet", ".csv.bz2")),
    ]


def _read_labels(path: Path) -> None:
    if path.name == "index.json":
        read_index(path)
        return
    encode_supplied(read_labels(path).values, None, "labels")
    load_given_labels(path)


def _make_label_lists(folder: Path) -> list[Path]:
    lists = [[int(y), 2] if y else [0] for y in problem()[1]]
    (folder / "lists.json").write_text(json.dumps(lists))
    ragged = np.empty(ROWS, object)
    ragged[:] = [np.array(row) for row in lists]
    np.save(folder / "lists.npy", ragged, allow_pickle=True)
    np.save(folder / "equal.npy", np.array([[y] for y in problem()[1]]))
    return sorted(folder.iterdir())


def _read_label_lists(path: Path) -> None:
    load_label_lists(path)
    judge_lists(path, GivenLabels(problem()[1], "labels", NAMES))


def _make_pickles(folder: Path) -> list[Path]:
    for protocol in range(6):
        value = {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6), b"labels": [1, 2], b"names": [b"a", b"b"]}
        (folder / f"batch_{protocol}").write_bytes(pickle.dumps(value, protocol))
    return sorted(folder.iterdir())


def _make_vectors(folder: Path) -> list[Path]:
    vectors = np.random.default_rng(2).normal(size=(ROWS, 4))
    for name, kind in (("half", np.float16), ("single", np.float32), ("double", np.float64)):
        np.save(folder / f"{name}.npy", vectors.astype(kind))
    return sorted(folder.iterdir())


def _read_vectors(path: Path) -> None:
    check_quality(_texts(), checks=["outliers"], embeddings=path, settings=settings(), workers=1)


@cache
def _texts() -> TextDataset:
    texts = np.array(_table().column("text").to_pylist(), object)
    items = ItemTable(np.array([f"t{k}" for k in range(ROWS)]), problem()[1], np.full(ROWS, "all"), np.arange(ROWS))
    return TextDataset("texts", "texts", NAMES, items, column=texts)


def _make_names(folder: Path) -> list[Path]:
    (folder / "names.txt").write_text("\n".join(NAMES))
    return [folder / "names.txt"]


# --- data sets -------------------------------------------------------------------------------------------------------


def _picture(k: int, form: str) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(k).integers(0, 255, (9, 8, 3), np.uint8)
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


_FORMS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp", "PPM": "ppm"}


def _make_pictures(folder: Path) -> list[Path]:
    for k, (form, suffix) in enumerate(_FORMS.items()):
        for name in NAMES[:2]:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"{k}.{suffix}").write_bytes(_picture(k, form))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_picture(path: Path) -> None:
    for use in (image_header, decode_with_mode, lambda data: decode_with_mode(data, (8, 8))):
        with contextlib.suppress(UndecodableImage):
            use(path.read_bytes())


def _make_tables(folder: Path) -> list[Path]:
    suffixes = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".csv.bz2")
    paths = _write_tables(folder, _table(), suffixes)
    random = np.random.default_rng(1)
    numbers = pa.table({**{f"x{k}": random.normal(size=ROWS) for k in range(4)}, "label": labels()})
    (folder / "numbers").mkdir()
    return [*paths, *_write_tables(folder / "numbers", numbers, suffixes)]


def _read_dataset(path: Path | str) -> None:
    dataset = open_dataset(path, settings())
    if isinstance(dataset, ImageDataset):
        dataset.load_images()
    assert dataset.fingerprint
    _ = dataset.content_hashes


def _make_hub(folder: Path) -> list[Path]:
    data = folder / "data"
    data.mkdir()
    pictures = [{"bytes": _picture(k, "PNG"), "path": f"{k}.png"} for k in range(ROWS)]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(NAMES)}}
    for split in ("train", "test"):
        table = pa.table({"image": pictures, "label": problem()[1]})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, data / f"{split}-00000-of-00001.parquet", row_group_size=16)
    return sorted(data.iterdir())


def _home(path: Path) -> Settings:
    folder = next(p.parent for p in path.parents if p.name in ("cifar10", "cifake", "cifar-10-batches-py"))
    return Settings(offline=True, data_dirs=(folder,), cache_dir=folder / "cache")


def _make_named(folder: Path) -> list[Path]:
    """The named sets in each of their forms, of a few rows."""
    pixels = np.random.default_rng(3).integers(0, 255, (4, 3072), np.uint8)
    batches = folder / "batches" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    batch = {b"data": pixels, b"labels": [3, 8, 8, 0]}
    (batches / "test_batch").write_bytes(pickle.dumps(batch, 2))
    pictures = [
        {"bytes": _picture(k, "PNG"), "path": f"test/{kind}/000{k} ({k + 2}).jpg"}
        for k, kind in enumerate(("REAL", "FAKE", "REAL", "FAKE"))
    ]
    for name, image in (("cifar10", "img"), ("cifake", "image")):
        (folder / "columns" / name).mkdir(parents=True)
        table = pa.table({image: pictures, "label": batch[b"labels"]})
        pq.write_table(table, folder / "columns" / name / "test-00000-of-00001.parquet")
    unpacked = folder / "unpacked" / "cifake" / "test"
    for kind in ("REAL", "FAKE"):
        (unpacked / kind).mkdir(parents=True)
        for k, name in enumerate(("0000.jpg", "0000 (2).jpg")):
            (unpacked / kind / name).write_bytes(_picture(k, "JPEG"))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_named(path: Path) -> None:
    names = ("cifake", "cifake:class") if "cifake" in path.parts else ("cifar10",)
    for name in names:
        dataset = open_dataset(f"{name}?split=test", _home(path))
        assert isinstance(dataset, ImageDataset)
        dataset.load_images()
        _ = dataset.content_hashes


def _make_supplied_sets(folder: Path) -> list[Path]:
    p, y = problem()
    np.save(folder / "p.npy", p)
    np.save(folder / "y.npy", y)
    return sorted(folder.iterdir())


def _read_supplied_set(path: Path) -> None:
    folder = path.parent
    dataset = open_dataset(f"probs://{folder}/p.npy?labels={folder}/y.npy&classes={','.join(NAMES)}", settings())
    _ = dataset.content_hashes


def _make_saved(folder: Path) -> list[Path]:
    """What `save_to_disk` writes, and what a run keeps; through `datasets`, folders of JSON Lines and of pictures."""
    import datasets

    rows = _table().slice(0, 6)
    datasets.DatasetDict({"train": datasets.Dataset(rows)}).save_to_disk(folder / "saved")
    _write_tables(_new(folder / "lines"), rows, (".jsonl",))
    for k in range(3):
        (_new(folder / "pictures" / NAMES[k % 2]) / f"{k}.png").write_bytes(_picture(k, "PNG"))
    pixels = np.random.default_rng(4).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    held = {"pixels": pixels, "texts": [f"no. {k}" for k in range(6)], "numbers": pixels[:, 0, 0].astype(float)}
    for name, contents in held.items():
        write_stored(open_dataset((contents, list("ab") * 3)), _new(folder / "run" / name) / STORED)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_saved(path: Path) -> None:
    if path.name == STORED:
        _read_dataset(f"memory://{path.parent}")
        return
    folder = next(p for p in path.parents if p.name in ("saved", "lines", "pictures"))
    _ = open_dataset(f"hf://{folder}", settings()).content_hashes


# --- settings, policies, networks ------------------------------------------------------------------------------------


def _make_settings(folder: Path) -> list[Path]:
    for name, table in (("auditor.toml", ""), ("pyproject.toml", "tool.auditor.")):
        (folder / name.split(".")[0]).mkdir()
        head = f"[{table[:-1]}]\n" if table else ""
        text = f'{head}data_dir = "d"\noffline = true\n[{table}check]\nmax_label_conflicts = 0\nbaseline = "b.json"\n'
        (folder / name.split(".")[0] / name).write_text(text + f"[{table}check.limits]\nexact_duplicates = 3\n")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_settings(path: Path) -> None:
    load_settings(environ={}, cwd=path.parent)
    load_policy(path)


def _make_baseline(folder: Path) -> list[Path]:
    rows = {f"sha256:{i:064x} cat train": 1 + i % 2 for i in range(20)}
    document = {"schema": SCHEMA, "data": "d", "hash_scheme": "bytes", "n_items": sum(rows.values()), "rows": rows}
    (folder / "baseline.json").write_text(json.dumps(document))
    return [folder / "baseline.json"]


def _make_genotypes(folder: Path) -> list[Path]:
    for name, genotype in CASES.items():
        write_genotype(folder / f"{name}.json", genotype)
    return sorted(folder.iterdir())


# --- predictions and verdicts of others ------------------------------------------------------------------------------


def _make_predictions(folder: Path) -> list[Path]:
    p, y = problem()
    np.save(folder / "probabilities.npy", p)
    np.save(folder / "classes.npy", y)
    order = np.argsort(-p, axis=1)[:, :2]
    np.save(folder / "net_top2preds.npy", order)
    np.save(folder / "net_top2probs.npy", np.take_along_axis(p, order, axis=1))
    np.savez_compressed(folder / "net.npz", pred_probs=p, ids=np.arange(ROWS))
    table = pa.table({"id": np.arange(ROWS), "label": y, "model": ["a"] * ROWS})
    files = [path for path in sorted(folder.iterdir()) if "probs" not in path.name]
    return [*files, *_write_tables(folder, table, (".csv", ".tsv", ".jsonl", ".parquet"))]


def _read_predictions(path: Path) -> None:
    names = tuple(map(str, range(ROWS)))
    read_predictions(path, GivenLabels(problem()[1], "labels", NAMES, names))


def _published() -> list[dict[str, Any]]:
    given = {"url": "u", "given_original_label": 0, "given_original_label_name": "cat"}
    guess = {"our_guessed_label": 1, "our_guessed_label_name": "dog"}
    votes = {"given": 1, "guessed": 3, "neither": 0, "both": 1}
    return [{"id": i, **given, **guess, "mturk": votes} for i in range(6)]


def _make_published(folder: Path) -> list[Path]:
    (folder / "mturk.json").write_text(json.dumps(_published()))
    return [folder / "mturk.json"]


def _read_published(path: Path) -> None:
    items = read_published(path)
    published_counts(items, 3)
    judge_published(items, GivenLabels(np.zeros(ROWS, np.int64), "labels", NAMES))


def _make_controls(folder: Path) -> list[Path]:
    (folder / "controls.csv").write_text("id,verdict\n1,given\n2,suggested\n3,\n")
    return [folder / "controls.csv"]


def _make_flagged(folder: Path) -> list[Path]:
    """Pictures that a page of findings shows."""
    for k, form in enumerate(("PNG", "JPEG", "BMP")):
        (folder / f"{k}.{form.lower()}").write_bytes(_picture(k, form))
    return sorted(folder.iterdir())


@cache
def _no_boxes() -> KindFlags:
    empty = np.empty(0, object)
    return KindFlags("boxes", ("cell",), (0,), np.empty((0, 1), np.int64), empty, empty, empty, None, lambda: [empty])


def _read_flagged(path: Path) -> None:
    """Onto a page, with the size that the file says."""
    one = pictured.FlaggedPicture(path.stem, None, None, 0.0, (), ())
    flags = replace(_no_boxes(), pictured=pictured.Pictured(("cat",), "boxes", 1, lambda: iter([one])))
    with tempfile.TemporaryDirectory() as folder:
        write_page(flags, Path(folder) / "page.html", path.parent)


# --- boxes -----------------------------------------------------------------------------------------------------------


def _make_boxes(folder: Path) -> list[Path]:
    """A COCO document with predictions, and the same boxes as folders of YOLO and of Pascal VOC."""
    rows = [{"image_id": k, "category_id": k % 2, "bbox": [1 + k, 2, 3, 4]} for k in range(4)]
    document = {
        "images": [{"id": k, "width": 8, "height": 9} for k in range(4)],
        "categories": [{"id": k, "name": NAMES[k]} for k in range(2)],
        "annotations": [{"id": k, **row} for k, row in enumerate(rows)],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    (folder / "results.json").write_text(json.dumps([row | {"score": 0.5} for row in rows]))
    yolo, voc = folder / "yolo", folder / "voc"
    yolo.mkdir()
    voc.mkdir()
    (yolo / "data.yaml").write_text("train: x\nnames:\n  0: cat\n  1: 'dog'\n")
    for k, row in enumerate(rows):
        x, y, w, h = row["bbox"]
        (yolo / f"{k}.png").write_bytes(_picture(k, "PNG"))
        (yolo / f"{k}.txt").write_text(f"{k % 2} {(x + w / 2) / 8} {(y + h / 2) / 9} {w / 8} {h / 9}\n")
        sides = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
        one = f"<object><name>{NAMES[k % 2]}</name><difficult>0</difficult><bndbox>{sides}</bndbox></object>"
        size = "<size><width>8</width><height>9</height></size>"
        (voc / f"{k}.xml").write_text(f"<annotation>{size}{one}</annotation>")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_boxes(path: Path) -> None:
    folder = path.parent if path.suffix == ".json" else path.parents[1]
    found = folder / "results.json"
    if path.suffix != ".json":
        names = range(2) if path.parent.name == "yolo" else NAMES
        found = [{"image_id": k, "category_id": names[k % 2], "bbox": [1, 2, 3, 4], "score": 0.5} for k in range(4)]
    read = Boxes().read(labels=path.parent if path.suffix != ".json" else folder / "coco.json", predictions=found)
    _ = Boxes().flag(read).document()


def _make_masks(folder: Path) -> list[Path]:
    """Masks as PNG, arrays and COCO's runs, and probabilities, of three pictures."""
    masks = np.zeros((3, 6, 8), np.uint8)
    masks[:, 1:4, 2:6] = 1
    p = np.moveaxis(0.1 + 0.8 * np.eye(2, dtype=np.float32)[masks], -1, 1)
    masks[1] = 0
    for called in ("png", "npy", "p"):
        (folder / called).mkdir()
    for k, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / "png" / f"{k}.png")
        np.save(folder / "npy" / f"{k}.npy", mask)
        np.save(folder / "p" / f"{k}.npy", p[k])
    np.save(folder / "all.npy", masks)
    runs = [{"size": [6, 8], "counts": counts} for counts in ([13, 3, 3, 3, 3, 3, 3, 3, 14], "=3300000;", "`1")]
    document = {
        "images": [{"id": k, "height": 6, "width": 8, "file_name": f"{k}.jpg"} for k in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": k, "category_id": 1, "segmentation": one} for k, one in enumerate(runs)],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_masks(path: Path) -> None:
    inside = path.parent.name in ("png", "npy", "p")
    folder = path.parents[1] if inside else path.parent
    labels = {"png": folder / "png", "npy": folder / "npy", "p": folder / "png"}.get(path.parent.name, path)
    flags = Masks().flag(Masks().read(labels=labels, predictions=folder / "p"))
    _ = flags.document()
    _ = list(flags.pictured or ())


# --- patches ---------------------------------------------------------------------------------------------------------

_DATA = ("folder", "csv", "csv-quoted", "jsonl", "tsv-gz", "parquet", "parquet-table", "hub", "hub-datasets", "probs")


def _make_patches(folder: Path) -> list[Path]:
    data = open_dataset(_make("csv", folder / "source").reference, settings())
    for suffix in ("jsonl", "parquet"):
        write_patch(patch_for(data), folder / f"a.labelpatch.{suffix}")
    return sorted(folder.glob("a.*"))


def _read_patch(path: Path) -> None:
    patch = read_patch(path)
    summary(patch)
    merge_patches([patch, patch], ["a", "b"])
    verify_patch(patch, f"csv://{path.parent}/source/x.csv?text=text", settings())
    judge_patch(path, GivenLabels(np.array([0, 0, 1, 1, 2, 2, 0, 1]), "labels", ("cat", "dog", "horse")), None)


def _make_converted(name: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        source = _make("folder", folder / "source")
        patch = patch_for(open_dataset(source.reference, settings()))
        words = {"relabel": "suggested", "multi": "both", "drop": "neither"}
        voted = [replace(r, verdict=words[r.op], votes={words[r.op]: 4, "given": 1}, n=5) for r in patch.records]
        write_patch(Patch(patch.header, tuple(voted)), folder / "a.labelpatch.jsonl")
        path = folder / f"x.{_SUFFIXES[name]}"
        convert(folder / "a.labelpatch.jsonl", path, settings(), write_as=name, reference=source.reference)
        return [path]

    return make


_SUFFIXES = dict.fromkeys(FORMATS, "json") | {"csv": "csv", "column": "parquet"}


def _read_converted(name: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        out = path.parent / "b.labelpatch.jsonl"
        convert(path, out, settings(), read_as=name, reference=f"folder://{path.parent}/source")

    return read


def _make_corrected(form: str) -> Callable[[Path], list[Path]]:
    """Data and a copy of it that a patch was applied to; both may be damaged."""

    def make(folder: Path) -> list[Path]:
        source = _make(form, folder / "source")
        data = open_dataset(source.reference, settings())
        write_patch(patch_for(data), folder / "a.labelpatch.jsonl")
        (folder / "reference").write_text(source.reference)
        apply_patch(read_patch(folder / "a.labelpatch.jsonl"), source.reference, settings(), folder / "copy")
        return sorted(p for part in ("source", "copy") for p in (folder / part).rglob("*") if p.is_file())

    return make


def _read_corrected(path: Path) -> None:
    """Apply to the data, or take back from the copy."""
    folder = next(p for p in path.parents if (p / "a.labelpatch.jsonl").is_file())
    patch = read_patch(folder / "a.labelpatch.jsonl")
    out = folder / "again"
    try:
        if path.is_relative_to(folder / "copy"):
            verify_patch(patch, str(folder / "copy"), settings())
            revert_patch(patch, str(folder / "copy"), settings(), out)
        else:
            apply_patch(patch, (folder / "reference").read_text(), settings(), out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _make_kinds(folder: Path) -> list[Path]:
    tags = [("sea;sun", "sun", "(no tags)", "city; sea")[k % 4] for k in range(24)]
    frame = pd.DataFrame({"a": np.arange(24) % 5, "label": tags, "label:x": np.arange(24) % 2, "label:y": 1})
    frame[["a", "label"]].to_csv(folder / "tags.csv", index=False)
    frame[["a", "label:x", "label:y"]].to_csv(folder / "columns.csv", index=False)
    frame[["a"]].assign(label=[f"{k / 7:.3f}" for k in range(24)]).to_csv(folder / "numbers.csv", index=False)
    frame[["a"]].assign(label=[tag.split(";") for tag in tags]).to_parquet(folder / "lists.parquet")
    return sorted(folder.iterdir())


def _read_kinds(path: Path) -> None:
    opened = open_dataset(str(path), any_kind=True)
    assert len(opened.label_values) == len(opened)


def _make_verdict_tables(folder: Path) -> list[Path]:
    said = pd.DataFrame({"id": ["0", "1", "2"], "label": ["sea", None, "sun; sea"], "verdict": [None, "unsure", None]})
    said.to_csv(folder / "said.csv", index=False)
    said.to_parquet(folder / "said.parquet")
    said.to_json(folder / "said.jsonl", orient="records", lines=True)
    return sorted(folder.iterdir())


def _read_verdict_table(path: Path) -> None:
    scores = pd.DataFrame(
        {"id": ["0", "1", "2"], "given": ["sea", "sun", "sea"], "suggested": ["sun", "sea;sun", None]}
    )
    run: Any = SimpleNamespace(id="run", form=TagSets(("sea", "sun")), class_names=("sea", "sun"), scores=scores)
    read_table_votes(run, path, "ann")


READERS: dict[str, Reader] = {
    "label-kinds": Reader(_make_kinds, _read_kinds),
    "verdict-table": Reader(_make_verdict_tables, _read_verdict_table),
    "probabilities": Reader(_make_probabilities, _read_probabilities),
    "zarr": Reader(_make_zarr, _read_zarr),
    "addresses": Reader(_make_addressed, lambda path: _read_probabilities(f"file://{path}")),
    "supplied": Reader(_make_supplied, _read_supplied),
    "supplied-set": Reader(_make_supplied_sets, _read_supplied_set),
    "vectors": Reader(_make_vectors, _read_vectors),
    "labels": Reader(_make_labels, _read_labels),
    "label-lists": Reader(_make_label_lists, _read_label_lists),
    "pickled-arrays": Reader(_make_pickles, lambda path: unpickle_arrays(path.read_bytes(), "a batch", "bytes")),
    "class-names": Reader(_make_names, lambda path: parse_class_names(str(path))),
    "pictures": Reader(_make_pictures, _read_picture),
    "folder": Reader(_make_pictures, lambda path: _read_dataset(path.parents[1]), True),
    "tables": Reader(_make_tables, _read_dataset),
    "hub": Reader(_make_hub, lambda path: _read_dataset(path.parents[1])),
    "named": Reader(_make_named, _read_named),
    "saved": Reader(_make_saved, _read_saved, True),
    "settings": Reader(_make_settings, _read_settings),
    "baseline": Reader(_make_baseline, read_baseline),
    "genotypes": Reader(_make_genotypes, lambda path: read_genotype(path, path.stem.partition("-")[0])),
    "predictions": Reader(_make_predictions, _read_predictions),
    "published": Reader(_make_published, _read_published),
    "controls": Reader(_make_controls, read_controls),
    "flagged-pictures": Reader(_make_flagged, _read_flagged),
    "boxes": Reader(_make_boxes, _read_boxes),
    "masks": Reader(_make_masks, _read_masks),
    "patches": Reader(_make_patches, _read_patch),
    **{f"convert-{name}": Reader(_make_converted(name), _read_converted(name)) for name in FORMATS},
    **{f"corrected-{form}": Reader(_make_corrected(form), _read_corrected, True) for form in _DATA},
    **KEPT,
}
