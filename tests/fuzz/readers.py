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
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from auditor.audit.detector_scores import detector_scores
from auditor.audit.evidence import run_evidence
from auditor.audit.find_errors import find_errors
from auditor.audit.flagging import flag_inputs, inputs_from_run
from auditor.benchmark.folder import EXAMPLES, FOLDER_SCHEMA, MANIFEST, RESULT, read_result
from auditor.benchmark.given_labels import GivenLabels, load_given_labels
from auditor.benchmark.readers.registry import read_predictions
from auditor.benchmark.result import SCHEMA as RESULT_SCHEMA
from auditor.benchmark.verdicts.label_lists import judge_lists
from auditor.benchmark.verdicts.patch import judge_patch
from auditor.benchmark.verdicts.published import judge_published, published_counts
from auditor.cli.values import parse_class_names
from auditor.core.config import Settings, load_settings
from auditor.core.files import unpickle_arrays, write_json
from auditor.core.hashing import hash_file
from auditor.data.decode import UndecodableImage, decode_with_mode, image_header
from auditor.data.intake import encode_supplied, open_probabilities, open_supplied, read_labels
from auditor.data.kinds import ImageDataset
from auditor.data.label_lists import load_label_lists
from auditor.data.open import open_dataset
from auditor.engine.files import open_probabilities as open_source
from auditor.estimation.state import read_state
from auditor.models.genotype import read_genotype, write_genotype
from auditor.patch.applying import apply_patch, revert_patch, verify_patch
from auditor.patch.combine import merge_patches, summary
from auditor.patch.convert.base import FORMATS, convert
from auditor.patch.create import create_patch
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch
from auditor.patch.rules import stored_consensus
from auditor.policy.baseline import SCHEMA, read_baseline
from auditor.policy.policy import load_policy
from auditor.review.additions import read_controls
from auditor.review.published import read_index, read_published
from auditor.review.store import VerdictStore
from auditor.runs.run import Run, open_run
from auditor.train.base import FitResult
from auditor.train.checkpoint import load_checkpoint, random_state, save_checkpoint
from auditor.train.results import load_result, save_result
from tests.fuzz.harness import Reader
from tests.models.test_genotype_names import CASES
from tests.patch.conftest import _make, patch_for

ROWS, CLASSES = 40, 3
NAMES = ("cat", "dog", "007")


def _settings() -> Settings:
    return Settings(offline=True)


@cache
def _problem() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)
    return p / p.sum(axis=1, keepdims=True), np.where(
        random.random(ROWS) < 0.8, p.argmax(axis=1), random.integers(0, 3, ROWS)
    )


def _labels() -> list[str]:
    return [NAMES[y] for y in _problem()[1]]


def _table() -> pa.Table:
    texts = [f"number {i}, «with» a comma and more words than {'x' * (i % 7)} few" for i in range(ROWS)]
    return pa.table({"id": [f"{i:04d}" for i in range(ROWS)], "text": texts, "label": _labels()})


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
    p, y = _problem()
    np.save(folder / "single.npy", p)
    np.save(folder / "half.npy", p.astype(np.float16))
    np.save(folder / "columns.npy", np.asfortranarray(p))
    np.savez(folder / "stored.npz", pred_probs=p, labels=y)
    np.savez_compressed(folder / "packed.npz", pred_probs=p, labels=np.array(_labels()), class_names=np.array(NAMES))
    columns = {name: p[:, k] for k, name in enumerate(NAMES)}
    pq.write_table(pa.table({**columns, "label": _labels()}), folder / "columns.parquet", row_group_size=16)
    pq.write_table(pa.table({"pred_probs": p.tolist()}), folder / "lists.parquet")
    return sorted(folder.iterdir())


def _read_probabilities(path: Path) -> None:
    source = open_source(path)
    for start in range(0, min(source.shape[0], 200), 50):
        source.read(start, min(source.shape[0], start + 50))


def _make_supplied(folder: Path) -> list[Path]:
    p, _ = _problem()
    table = pa.table({**{name: p[:, k] for k, name in enumerate(NAMES)}, "label": _labels()})
    return [*_make_probabilities(folder), *_write_tables(folder, table, (".csv", ".tsv", ".jsonl", ".csv.gz"))]


def _read_supplied(path: Path) -> None:
    labels = None if path.stem in ("stored", "packed", "table", "table.csv") else _problem()[1]
    supplied = open_supplied([path], labels)
    supplied.labels.complete(supplied.sources[0].name)
    open_probabilities(path, labels)


def _make_labels(folder: Path) -> list[Path]:
    _, y = _problem()
    np.save(folder / "labels.npy", y)
    np.save(folder / "names.npy", np.array(_labels()))
    np.savez(folder / "labels.npz", labels=y)
    (folder / "labels.txt").write_text("\n".join(_labels()) + "\n")
    (folder / "single.csv").write_text("label\n" + "\n".join(_labels()) + "\n")
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
    lists = [[int(y), 2] if y else [0] for y in _problem()[1]]
    (folder / "lists.json").write_text(json.dumps(lists))
    ragged = np.empty(ROWS, object)
    ragged[:] = [np.array(row) for row in lists]
    np.save(folder / "lists.npy", ragged, allow_pickle=True)
    np.save(folder / "equal.npy", np.array([[y] for y in _problem()[1]]))
    return sorted(folder.iterdir())


def _read_label_lists(path: Path) -> None:
    load_label_lists(path)
    judge_lists(path, GivenLabels(_problem()[1], "labels", NAMES))


def _make_pickles(folder: Path) -> list[Path]:
    for protocol in range(6):
        value = {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6), b"labels": [1, 2], b"names": [b"a", b"b"]}
        (folder / f"batch_{protocol}").write_bytes(pickle.dumps(value, protocol))
    return sorted(folder.iterdir())


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
    numbers = pa.table({**{f"x{k}": random.normal(size=ROWS) for k in range(4)}, "label": _labels()})
    (folder / "numbers").mkdir()
    return [*paths, *_write_tables(folder / "numbers", numbers, suffixes)]


def _read_dataset(path: Path) -> None:
    dataset = open_dataset(path, _settings())
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
        table = pa.table({"image": pictures, "label": _problem()[1]})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, data / f"{split}-00000-of-00001.parquet", row_group_size=16)
    return sorted(data.iterdir())


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
    p, y = _problem()
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
    read_predictions(path, GivenLabels(_problem()[1], "labels", NAMES, names))


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


# --- patches ---------------------------------------------------------------------------------------------------------

_DATA = ("folder", "csv", "csv-quoted", "jsonl", "tsv-gz", "parquet", "parquet-table", "hub", "hub-datasets", "probs")


def _make_patches(folder: Path) -> list[Path]:
    data = open_dataset(_make("csv", folder / "source").reference, _settings())
    for suffix in ("jsonl", "parquet"):
        write_patch(patch_for(data), folder / f"a.labelpatch.{suffix}")
    return sorted(folder.glob("a.*"))


def _read_patch(path: Path) -> None:
    patch = read_patch(path)
    summary(patch)
    merge_patches([patch, patch], ["a", "b"])
    verify_patch(patch, f"csv://{path.parent}/source/x.csv?text=text", _settings())
    judge_patch(path, GivenLabels(np.array([0, 0, 1, 1, 2, 2, 0, 1]), "labels", ("cat", "dog", "horse")), None)


def _make_converted(name: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        source = _make("folder", folder / "source")
        patch = patch_for(open_dataset(source.reference, _settings()))
        words = {"relabel": "suggested", "multi": "both", "drop": "neither"}
        voted = [replace(r, verdict=words[r.op], votes={words[r.op]: 4, "given": 1}, n=5) for r in patch.records]
        write_patch(Patch(patch.header, tuple(voted)), folder / "a.labelpatch.jsonl")
        path = folder / f"x.{_SUFFIXES[name]}"
        convert(folder / "a.labelpatch.jsonl", path, _settings(), write_as=name, reference=source.reference)
        return [path]

    return make


_SUFFIXES = dict.fromkeys(FORMATS, "json") | {"csv": "csv", "column": "parquet"}


def _read_converted(name: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        out = path.parent / "b.labelpatch.jsonl"
        convert(path, out, _settings(), read_as=name, reference=f"folder://{path.parent}/source")

    return read


def _make_corrected(form: str) -> Callable[[Path], list[Path]]:
    """Data and a copy of it that a patch was applied to; both may be damaged."""

    def make(folder: Path) -> list[Path]:
        source = _make(form, folder / "source")
        data = open_dataset(source.reference, _settings())
        write_patch(patch_for(data), folder / "a.labelpatch.jsonl")
        (folder / "reference").write_text(source.reference)
        apply_patch(read_patch(folder / "a.labelpatch.jsonl"), source.reference, _settings(), folder / "copy")
        return sorted(p for part in ("source", "copy") for p in (folder / part).rglob("*") if p.is_file())

    return make


def _read_corrected(path: Path) -> None:
    """Apply to the data, or take back from the copy."""
    folder = next(p for p in path.parents if (p / "a.labelpatch.jsonl").is_file())
    patch = read_patch(folder / "a.labelpatch.jsonl")
    out = folder / "again"
    try:
        if path.is_relative_to(folder / "copy"):
            verify_patch(patch, str(folder / "copy"), _settings())
            revert_patch(patch, str(folder / "copy"), _settings(), out)
        else:
            apply_patch(patch, (folder / "reference").read_text(), _settings(), out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


# --- runs, reviews, benchmarks ---------------------------------------------------------------------------------------


def _find(folder: Path) -> Run:
    p, _ = _problem()
    return find_errors(pred_probs=p, labels=_labels(), class_names=list(NAMES), out=folder, settings=_settings())


def _make_run(folder: Path) -> list[Path]:
    detector_scores(_find(folder / "run"))
    return sorted(p for p in (folder / "run").rglob("*") if p.is_file() and p.suffix in _RUN_FILES)


_RUN_FILES = (".json", ".parquet", ".npy", ".npz")


def _read_run(path: Path) -> None:
    folder = next(p for p in path.parents if p.name == "run")
    run = open_run(str(folder), folder.parent)
    flag_inputs(inputs_from_run(run))
    run_evidence(run)
    for part in ("config", "counts", "folds", "quality", "embeddings", "positions"):
        getattr(run, part)
    with VerdictStore.open(folder.parent / "new.sqlite") as store:
        store.load_run(run)
        read_state(run, store)
    detector_scores(run)


def _continue_run(path: Path) -> None:
    """The command that made the run, again: what is damaged is made anew or refused."""
    _find(next(p for p in path.parents if p.name == "run"))


def _make_store(folder: Path) -> list[Path]:
    run = _find(folder / "run")
    for reviewer in ("ann", "bob"):
        with VerdictStore.open(folder / "review.sqlite") as store:
            store.load_run(run)
            for number, item in enumerate(store.next_batch(reviewer, 10)):
                shown = {"shown_label": item.given, "shown_suggested": item.suggested, "ms": 900}
                event = {"uuid": f"{reviewer}{number:029d}", "item_id": item.item_id, "verdict": "suggested", **shown}
                assert store.submit(reviewer, [event]).accepted
    return [folder / "review.sqlite"]


def _read_store(path: Path) -> None:
    run = open_run(str(path.parent / "run"), path.parent)
    with VerdictStore.open(path, patience=0.0) as store:
        store.load_run(run)
        read_state(run, store)
        store.next_batch("ann", 3)
    create_patch(run, stored_consensus(run, "majority", str(path)), _settings())


def _make_result(folder: Path) -> list[Path]:
    for name in (RESULT, EXAMPLES):
        write_json(folder / name, [])
    files = {name: hash_file(folder / name) for name in (RESULT, EXAMPLES)}
    write_json(folder / MANIFEST, {"schema": FOLDER_SCHEMA, "result": RESULT_SCHEMA, "files": files})
    return sorted(folder.glob("*.json"))


def _make_fits(folder: Path) -> list[Path]:
    result = FitResult(_problem()[0], None, [{"epoch": 1}], 0.5, {"a": 1})
    save_result(folder, "fold-0", "sha256:00", result)
    return sorted(folder.iterdir())


def _make_checkpoints(folder: Path) -> list[Path]:
    save_checkpoint(folder / "state.pt", "key", {"weights": {"a": torch.arange(9.0)}, "epoch": 3, **random_state()})
    return [folder / "state.pt"]


READERS: dict[str, Reader] = {
    "probabilities": Reader(_make_probabilities, _read_probabilities),
    "supplied": Reader(_make_supplied, _read_supplied),
    "labels": Reader(_make_labels, _read_labels),
    "label-lists": Reader(_make_label_lists, _read_label_lists),
    "pickled-arrays": Reader(_make_pickles, lambda path: unpickle_arrays(path.read_bytes(), "a batch", "bytes")),
    "class-names": Reader(_make_names, lambda path: parse_class_names(str(path))),
    "pictures": Reader(_make_pictures, _read_picture),
    "folder": Reader(_make_pictures, lambda path: _read_dataset(path.parents[1])),
    "tables": Reader(_make_tables, _read_dataset),
    "hub": Reader(_make_hub, lambda path: _read_dataset(path.parents[1])),
    "settings": Reader(_make_settings, _read_settings),
    "baseline": Reader(_make_baseline, read_baseline),
    "genotypes": Reader(_make_genotypes, lambda path: read_genotype(path, path.stem.partition("-")[0])),
    "predictions": Reader(_make_predictions, _read_predictions),
    "published": Reader(_make_published, _read_published),
    "controls": Reader(_make_controls, read_controls),
    "patches": Reader(_make_patches, _read_patch),
    **{f"convert-{name}": Reader(_make_converted(name), _read_converted(name)) for name in FORMATS},
    **{f"corrected-{form}": Reader(_make_corrected(form), _read_corrected) for form in _DATA},
    "run": Reader(_make_run, _read_run),
    "run-again": Reader(_make_run, _continue_run),
    "store": Reader(_make_store, _read_store),
    "benchmark": Reader(_make_result, lambda path: read_result(path.parent)),
    "fits": Reader(_make_fits, lambda path: load_result(path.parent, "fold-0", "sha256:00")),
    "checkpoints": Reader(_make_checkpoints, lambda path: load_checkpoint(path, "key", "cpu")),
}
