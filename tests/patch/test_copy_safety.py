"""A corrected copy holds what the data set holds: no link's target from elsewhere, no other spelling of a class."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, revert_patch
from auditor.patch.records import Patch
from tests.patch.conftest import Source, header_for, png, record_for

Make = Callable[[str], Source]


def patch_of(reference: str, settings: Settings, row: int, op: str = "relabel", to: str | None = None) -> Patch:
    data = open_dataset(reference, settings)
    given = data.class_names[data.labels[row]]
    other = to or next(name for name in data.class_names if name != given)
    return Patch(header_for(data), (record_for(data, row, op, *([] if op == "drop" else [other])),))


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("name", ["README.md", "notes/mine.txt", "cat/secret.txt"])
def test_a_link_out_of_the_data_is_not_followed_into_the_copy(
    link: bool, name: str, make: Make, settings: Settings, tmp_path: Path
) -> None:
    source = make("folder")
    (tmp_path / "secret").write_text("secret")
    (source.root / name).parent.mkdir(exist_ok=True)
    (source.root / name).symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of"):
        apply_patch(patch_of(source.reference, settings, 4), source.reference, settings, tmp_path / "out", link=link)
    assert not (tmp_path / "out").exists()
    (source.root / name).unlink()
    (source.root / "inside.txt").write_text("inside")
    (source.root / name).symlink_to(source.root / "inside.txt")
    apply_patch(patch_of(source.reference, settings, 4), source.reference, settings, tmp_path / "out", link=link)
    assert (tmp_path / "out" / name).read_text() == "inside"
    assert not (tmp_path / "out" / name).is_symlink()


def test_a_stranger_s_copy_cannot_bring_files_in_by_links(make: Make, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(png(77))
    for form in ("folder", "csv"):
        source = make(form) if form == "folder" else _csv(tmp_path)
        patch, copy = patch_of(source.reference, settings, 4, "drop"), tmp_path / f"copy-{form}"
        apply_patch(patch, source.reference, settings, copy)
        (aside,) = (p for p in (copy / ".labelpatch" / "dropped").rglob("*") if p.is_file())
        aside.unlink()
        aside.symlink_to(tmp_path / "secret")
        with pytest.raises(DataError, match="leads out of"):
            revert_patch(patch, str(copy), settings, tmp_path / f"back-{form}")
        assert not (tmp_path / f"back-{form}").exists()


def _csv(folder: Path) -> Source:
    lines = [f"0.{k * 37 % 97},0.{k * 53 % 89},{'ab'[k % 2]}" for k in range(40)]
    (folder / "t.csv").write_text("x,y,label\n" + "\n".join(lines) + "\n")
    return Source(str(folder / "t.csv"), folder)


def test_options_of_a_copy_stay_inside_it(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("probs")
    apply_patch(patch_of(source.reference, settings, 4), source.reference, settings, tmp_path / "copy")
    state = json.loads((tmp_path / "copy" / ".labelpatch" / "state.json").read_text())
    state["open_as"]["options"]["labels"] = "../source/labels.npy"
    (tmp_path / "copy" / ".labelpatch" / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="leads out of"):
        apply_patch(patch_of(source.reference, settings, 5), str(tmp_path / "copy"), settings, tmp_path / "second")


@pytest.mark.parametrize("pair", ["007 010", "1E5 2E5", "10:30 12:45", "true false", '"a" "b"', "1.0 2.0", "ja nein"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_written_label_keeps_the_spelling_of_the_file(
    form: str, pair: str, settings: Settings, tmp_path: Path
) -> None:
    first, second = pair.split(" ")
    if form == "csv":
        rows = [f"0.{k * 37 % 97},0.{k * 53 % 89},{(first, second)[k % 2]}" for k in range(40)]
        lines = ["a,b,label", *rows]
    else:
        spelled = [word if word.startswith('"') else json.dumps(word) for word in (first, second)]
        spelled = ['"\\u0061"', '"\\u0062"'] if pair.startswith('"') else spelled
        lines = [f'{{"a": 0.{k * 37 % 97}, "b": 0.{k * 53 % 89}, "label": {spelled[k % 2]}}}' for k in range(40)]
    path = tmp_path / f"t.{form}"
    path.write_text("\n".join(lines) + "\n")
    apply_patch(patch_of(str(path), settings, 0), str(path), settings, tmp_path / "out")
    written = (tmp_path / "out" / path.name).read_text().splitlines()
    at = 1 if form == "csv" else 0
    assert [k for k, (a, b) in enumerate(zip(lines, written, strict=True)) if a != b] == [at]
    end = lambda line: line.rpartition("," if form == "csv" else '"label":')[2]  # noqa: E731
    assert end(written[at]) == end(lines[at + 1])


@pytest.mark.parametrize(
    "form", ["folder of parquet", "one file", "absolute paths", "two files, one unchanged", "datasets"]
)
def test_a_copy_holds_the_images_that_the_data_names_by_their_path(
    form: str, settings: Settings, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    (root / "img").mkdir(parents=True)
    names = [f"img/{k}.png" for k in range(8)]
    for k, name in enumerate(names):
        (root / name).write_bytes(png(k))
    images = [{"bytes": None, "path": str(root / n) if form == "absolute paths" else n} for n in names]
    images[7] = {"bytes": png(7), "path": None}
    table = pa.table({"image": images, "label": ["cat", "dog"] * 4})
    pq.write_table(table, root / "train-00000-of-00001.parquet")
    reference = str(root)
    if form == "one file":
        reference = str(root / "train-00000-of-00001.parquet")
    elif form == "two files, one unchanged":
        pq.write_table(table.slice(0, 4), root / "train-00000-of-00001.parquet")
        pq.write_table(table.slice(4), root / "test-00000-of-00001.parquet")
    elif form == "datasets":
        (root / "train-00000-of-00001.parquet").unlink()
        for k, name in enumerate(names):
            (root / "train" / ("cat", "dog")[k % 2]).mkdir(parents=True, exist_ok=True)
            (root / name).rename(root / "train" / ("cat", "dog")[k % 2] / f"{k}.png")
        reference = f"hf://{root}"
    data = open_dataset(reference, settings)
    apply_patch(patch_of(reference, settings, 1), reference, settings, tmp_path / "out")
    hashes = data.content_hashes
    root.rename(tmp_path / "elsewhere")
    parquets = sorted((tmp_path / "out").rglob("*.parquet"))
    copy = open_dataset(parquets[0] if form == "one file" else tmp_path / "out", settings)
    assert set(copy.content_hashes) == set(hashes)
    assert len(set(copy.content_hashes)) == 8
    assert all(isinstance(copy.source.get(k), bytes) for k in range(8))
    changed = dict(zip(copy.content_hashes, copy.labels, strict=True))
    assert sum(changed[h] != y for h, y in zip(hashes, data.labels, strict=True)) == 1


def test_names_that_differ_in_capitals_only_stay_apart(make: Make, settings: Settings, tmp_path: Path) -> None:
    """They are one file on Windows and macOS: a moved file would replace another one there."""
    source = make("folder")
    data = open_dataset(source.reference, settings)
    row = 4
    name = Path(str(data.items.ids[row])).name
    given = data.class_names[data.labels[row]]
    other = next(one for one in data.class_names if one != given)
    (source.root / other / name.upper()).write_bytes(png(5))
    apply_patch(patch_of(source.reference, settings, row, to=other), source.reference, settings, tmp_path / "out")
    names = [path.name for path in (tmp_path / "out" / other).iterdir()]
    assert name.upper() in names
    assert len({one.casefold() for one in names}) == len(names)
    with pytest.raises(DataError, match="in capitals only"):
        patch = patch_of(source.reference, settings, row, to=other.upper())
        apply_patch(patch, source.reference, settings, tmp_path / "more")
