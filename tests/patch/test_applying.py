"""Applying to every form of data: the copy, applying twice, and taking back to the last byte."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError, UsageError
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, revert_patch, verify_patch
from auditor.patch.copies import copy_state
from auditor.patch.open_target import open_target
from auditor.patch.records import Patch, primary_label
from tests.patch.conftest import FORMS, Source, header_for, patch_for, record_for

Make = Callable[[str], Source]


def _column(form: str) -> str:
    return "y" if form == "csv-codes" else "label"


def _tree(root: Path) -> dict[str, bytes]:
    """Every file that is not the copy's memory."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".labelpatch" not in path.parts
    }


def _content(tree: dict[str, bytes], root: Path) -> dict[str, object]:
    """Files by what they say: columnar and packed files are compared by content, everything else by bytes."""
    import gzip

    read: dict[str, object] = {}
    for name, raw in tree.items():
        if name.endswith(".parquet"):
            table = pq.ParquetFile(root / name).read()
            read[name] = (table, table.schema.metadata)
        else:
            read[name] = gzip.decompress(raw) if name.endswith(".gz") else raw
    return read


def _labels(where: str | Path, settings: Settings) -> dict[str, str]:
    target = open_target(str(where), settings)
    return dict(zip(map(str, target.keys), map(str, target.given_names), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_apply_then_revert_is_the_identity(form: str, make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make(form)
    before_bytes = _tree(source.root)
    data = open_dataset(source.reference, settings)
    patch = patch_for(data, _column(form))
    before = _labels(source.reference, settings)

    checked = verify_patch(patch, source.reference, settings)
    assert checked.changed == {"relabel": 3, "multi": 1, "drop": 1}
    assert not checked.warnings
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert done.changed == checked.changed
    assert _tree(source.root) == before_bytes, "the data itself was changed"

    after = _labels(tmp_path / "copy", settings)
    hashes = dict(zip(open_target(source.reference, settings).keys.tolist(), data.content_hashes, strict=True))
    wanted = {(r.id, r.from_label): r for r in patch.records}
    expected = {
        key: primary_label(wanted[hashes[key], name]) if (hashes[key], name) in wanted else name
        for key, name in before.items()
        if wanted.get((hashes[key], name)) is None or wanted[hashes[key], name].op != "drop"
    }
    assert after == expected
    assert len(after) == len(before) - 1

    twice = apply_patch(patch, str(tmp_path / "copy"), settings, out=tmp_path / "twice")
    assert sum(twice.changed.values()) == 0
    assert twice.done == 5
    assert _labels(tmp_path / "twice", settings) == after
    assert _content(_tree(tmp_path / "twice"), tmp_path / "twice") == _content(
        _tree(tmp_path / "copy"), tmp_path / "copy"
    )

    revert_patch(patch, str(tmp_path / "twice"), settings, out=tmp_path / "back")
    assert _labels(tmp_path / "back", settings) == before
    if form in ("hub-datasets", "hub-saved"):  # JSON Lines, or Arrow, became parquet: what is read is compared
        opened = open_dataset(f"hf://{tmp_path / 'back'}", settings)
        assert opened.labels.tobytes() == data.labels.tobytes()
        assert opened.content_hashes.tolist() == data.content_hashes.tolist()
        return
    names = {"p.npy": "pred_probs.npy", "y.npy": "labels.npy"} if form.startswith("probs") else {}
    original = {names.get(k, k): v for k, v in _content(before_bytes, source.root).items()}
    back = _content(_tree(tmp_path / "back"), tmp_path / "back")
    if form == "csv-images":  # the images stay where they are
        original = {"x.csv": original["x.csv"]}
    assert back == original


@pytest.mark.parametrize("form", ["folder", "jsonl", "parquet", "csv"])
def test_several_labels_are_written_where_the_document_says(
    form: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    source = make(form)
    data = open_dataset(source.reference, settings)
    patch = patch_for(data)
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    if form == "parquet":
        table = pq.ParquetFile(tmp_path / "copy" / "x.parquet").read()
        found = [v for v in table["label_multi"].to_pylist() if v]
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features["label_multi"]["_type"] == "List"
    elif form == "jsonl":
        lines = (tmp_path / "copy" / "x.jsonl").read_text().splitlines()
        found = [r["label_multi"] for r in map(json.loads, filter(None, lines)) if "label_multi" in r]
    else:
        lines = (tmp_path / "copy" / "multi_labels.jsonl").read_text().splitlines()
        found = [json.loads(line)["labels"] for line in lines]
    assert found == [["horse", "dog"]]
    assert done.multi_place == ("column label_multi" if form in ("parquet", "jsonl") else "multi_labels.jsonl")


def test_the_datasets_package_reads_a_copy_with_several_labels(make: Make, settings: Settings, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    source = make("hub")
    data = open_dataset(source.reference, settings)
    apply_patch(patch_for(data), source.reference, settings, out=tmp_path / "copy")
    files = {s: str(tmp_path / "copy" / "data" / f"{s}-*.parquet") for s in ("train", "test")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hf"))
    assert [v for s in ("train", "test") for v in loaded[s]["label_multi"] if v] == [["horse", "dog"]]
    assert loaded["train"].features["label"].names == ["cat", "dog", "horse"]


def test_two_patches_one_after_the_other_come_back_in_any_order_that_is_possible(
    make: Make, settings: Settings, tmp_path: Path
) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    one = Patch(header_for(data), (record_for(data, 4, "relabel", "dog"), record_for(data, 1, "drop")))
    first = record_for(data, 4, "relabel", "cat")
    two = Patch(header_for(data), (replace(first, from_label="dog"), record_for(data, 2, "drop")))
    apply_patch(one, source.reference, settings, out=tmp_path / "a")
    apply_patch(two, str(tmp_path / "a"), settings, out=tmp_path / "b")
    with pytest.raises(DataError, match="revert the later patch first"):
        revert_patch(one, str(tmp_path / "b"), settings, out=tmp_path / "no")
    assert not (tmp_path / "no").exists()
    revert_patch(two, str(tmp_path / "b"), settings, out=tmp_path / "c")
    assert _tree(tmp_path / "c") == _tree(tmp_path / "a")
    revert_patch(one, str(tmp_path / "c"), settings, out=tmp_path / "d")
    assert _tree(tmp_path / "d") == _tree(source.root)


def test_a_class_may_lose_its_last_item(make: Make, settings: Settings, tmp_path: Path) -> None:
    for form in ("folder", "csv"):
        (tmp_path / form).mkdir()
        source = _make_in(form, tmp_path / form)
        data = open_dataset(source.reference, settings)
        horses = np.flatnonzero(data.labels == 2)
        patch = Patch(header_for(data), tuple(record_for(data, int(k), "relabel", "cat") for k in horses))
        apply_patch(patch, source.reference, settings, out=tmp_path / form / "copy")
        assert set(_labels(tmp_path / form / "copy", settings).values()) == {"cat", "dog"}
        revert_patch(patch, str(tmp_path / form / "copy"), settings, out=tmp_path / form / "back")
        assert _tree(tmp_path / form / "back") == _tree(source.root)


def _make_in(form: str, place: Path) -> Source:
    from tests.patch.conftest import _make

    return _make(form, place / "source")


def test_copies_with_another_label_are_reported_and_left_alone(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    rows = (source.root / "x.csv").read_bytes().decode().split("\r\n")
    rows[7] = rows[7].replace(";cat", ";dog")  # item 6 is a copy of item 0
    (source.root / "x.csv").write_bytes("\r\n".join(rows).encode())
    data = open_dataset(source.reference, settings)
    patch = Patch(header_for(data), (record_for(data, 0, "relabel", "horse"),))
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert [o["key"] for o in done.other] == ["0:6"]
    assert _labels(tmp_path / "copy", settings)["0:6"] == "dog"
    # A copy that has the label after already is not touched by taking the patch back.
    patch = Patch(header_for(data), (record_for(data, 0, "relabel", "dog"),))
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "dogs")
    assert (sum(done.changed.values()), done.done) == (1, 1)
    revert_patch(patch, str(tmp_path / "dogs"), settings, out=tmp_path / "back")
    assert _tree(tmp_path / "back") == _tree(source.root)


def test_moved_images_do_not_overwrite_one_another(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    names = sorted(p.name for p in (source.root / "dog").glob("*.png"))
    data = open_dataset(source.reference, settings)
    cats = np.flatnonzero(data.labels == 0)
    records = {r.id: r for r in (record_for(data, int(k), "relabel", "dog") for k in cats)}
    patch = Patch(header_for(data), tuple(records.values()))
    before = len(list(source.root.rglob("*.png")))
    apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert len(list((tmp_path / "copy").rglob("*.png"))) == before
    assert any("~1" in p.name for p in (tmp_path / "copy" / "dog").iterdir()), names
    revert_patch(patch, str(tmp_path / "copy"), settings, out=tmp_path / "back")
    assert _tree(tmp_path / "back") == _tree(source.root)


def test_the_mapping_file_says_what_changes_and_nothing_else_is_written(
    make: Make, settings: Settings, tmp_path: Path
) -> None:
    import csv

    source = make("folder")
    data = open_dataset(source.reference, settings)
    done = apply_patch(patch_for(data), source.reference, settings, mapping=tmp_path / "m.csv")
    with open(tmp_path / "m.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == sum(done.changed.values()) == 5
    assert sorted(r["op"] for r in rows) == ["drop", "multi", "relabel", "relabel", "relabel"]
    assert {r["path"] for r in rows} <= set(data.ids.tolist())
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["m.csv", "source"]


def test_data_without_files_gets_a_mapping_only(settings: Settings, tmp_path: Path) -> None:
    data = open_dataset("digits", settings)
    patch = Patch(header_for(data), (record_for(data, 5, "relabel", "9"),))
    with pytest.raises(UsageError, match="--mapping"):
        apply_patch(patch, "digits", settings, out=tmp_path / "copy")
    apply_patch(patch, "digits", settings, mapping=tmp_path / "m.csv")
    assert "digit-0005" in (tmp_path / "m.csv").read_text()
    assert not (tmp_path / "copy").exists()


def test_links_share_unchanged_files_with_the_source(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    apply_patch(patch_for(data), source.reference, settings, out=tmp_path / "copy", link=True)
    assert (tmp_path / "copy" / "README.txt").stat().st_nlink == 2
    assert (source.root / "README.txt").read_text() == "about"


def test_an_existing_folder_is_never_overwritten(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    (tmp_path / "copy").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        apply_patch(patch_for(data), source.reference, settings, out=tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(
    make: Make, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    import auditor.patch.folder_target as module

    calls: list[Path] = []

    def failing(src: Path, out: Path, link: bool) -> None:
        calls.append(out)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "copy_file", failing)
    from auditor.core.errors import StorageError

    with pytest.raises(StorageError):
        apply_patch(patch_for(data), source.reference, settings, out=tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_a_killed_run_leaves_no_half_copy_and_the_next_one_sweeps(
    make: Make, settings: Settings, tmp_path: Path
) -> None:
    import signal
    import subprocess
    import sys

    from auditor.patch.files import write_patch

    source = make("folder")
    data = open_dataset(source.reference, settings)
    patch = patch_for(data)
    write_patch(patch, tmp_path / "p.labelpatch.jsonl")
    code = (
        "import os, signal\nfrom pathlib import Path\nimport auditor.patch.folder_target as m\n"
        "from auditor.cli.main import run\nreal, seen = m.copy_file, []\n"
        "def kill(*a):\n    real(*a); seen.append(1)\n    len(seen) == 5 and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"m.copy_file = kill\nrun(['patch', 'apply', {str(tmp_path / 'p.labelpatch.jsonl')!r}, {source.reference!r}, "
        f"'--out', {str(tmp_path / 'copy')!r}, '--offline'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "copy").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".copy.tmp-")] != []
    apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".copy.tmp-")] == []


def test_reverting_data_that_remembers_nothing_goes_by_labels(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    patch = Patch(header_for(data), (record_for(data, 4, "relabel", "dog"),))
    apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    plain = tmp_path / "plain.csv"
    plain.write_bytes((tmp_path / "copy" / "x.csv").read_bytes())
    revert_patch(patch, f"csv://{plain}?text=text", settings, out=tmp_path / "back")
    assert (tmp_path / "back" / "plain.csv").read_bytes() == (source.root / "x.csv").read_bytes()
    dropping = Patch(header_for(data), (record_for(data, 1, "drop"),))
    apply_patch(dropping, source.reference, settings, out=tmp_path / "dropped")
    plain.write_bytes((tmp_path / "dropped" / "x.csv").read_bytes())
    with pytest.raises(DataError, match="set aside"):
        revert_patch(dropping, f"csv://{plain}?text=text", settings, out=tmp_path / "no")


def test_force_index_finds_the_row_by_number_and_marks_the_copy(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    right = record_for(data, 4, "relabel", "dog")
    patch = Patch(header_for(data), (replace(right, id="sha256:" + "0" * 64),))
    with pytest.raises(DataError, match="row 4") as caught:
        apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert caught.value.exit_code == 3
    assert "--force-index" in str(caught.value.way_out)
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "copy", force_index=True)
    assert [f["index"] for f in done.forced] == [4]
    state = copy_state(tmp_path / "copy")
    assert state is not None
    assert state.patches[0]["forced"][0]["index"] == 4
    assert _labels(tmp_path / "copy", settings)["0:4"] == "dog"
    revert_patch(patch, str(tmp_path / "copy"), settings, out=tmp_path / "back")
    assert _tree(tmp_path / "back") == _tree(source.root)


@pytest.mark.parametrize(("name", "column"), [("cifake", "label"), ("cifake:class", "class")])
def test_cifake_takes_its_labels_from_columns_once_corrected(
    name: str, column: str, data_dir: Path, settings: Settings, tmp_path: Path
) -> None:
    source = pq.ParquetFile(data_dir / "cifake" / "test-00000-of-00001.parquet").read().slice(0, 60)
    (tmp_path / "data" / "cifake").mkdir(parents=True)
    pq.write_table(source, tmp_path / "data" / "cifake" / "test-00000-of-00001.parquet")
    here = replace(settings, data_dirs=(tmp_path / "data",))
    reference = f"{name}?split=test"
    data = open_dataset(reference, here)
    names = data.class_names

    def other(k: int) -> str:
        return names[(data.labels[k] + 1) % len(names)]

    records = (
        record_for(data, 0, "relabel", other(0)),
        record_for(data, 5, "drop"),
        record_for(data, 9, "multi", names[data.labels[9]], other(9)),
    )
    patch = Patch(header_for(data, "test", column), records)
    apply_patch(patch, reference, here, out=tmp_path / "copy")
    assert verify_patch(patch, str(tmp_path / "copy"), here).done == 3
    copy = open_dataset(f"hf://{tmp_path / 'copy'}?image=image&label={column}", here)
    assert (len(copy), copy.class_names[copy.labels[0]]) == (59, other(0))
    revert_patch(patch, str(tmp_path / "copy"), here, out=tmp_path / "back")
    back = pq.read_table(tmp_path / "back" / "test-00000-of-00001.parquet")
    assert back[column].to_numpy().tobytes() == data.labels.tobytes()
    assert back.select(source.column_names).equals(source)


def test_open_source_fixture_opens_the_same(make: Make, open_source: Callable[[Source], Dataset]) -> None:
    assert len(open_source(make("hub"))) == 8
