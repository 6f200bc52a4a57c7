"""CSV, JSON Lines and parquet tables: columns given and inferred, and what is wrong with tables in practice."""

from __future__ import annotations

import bz2
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from auditor.core.config import Settings
from auditor.core.errors import (
    AuditorError,
    DataError,
    EmptyDataError,
    LabelError,
    MemoryGuardError,
    UnreadableError,
    UsageError,
)
from auditor.data.intake import read_labels
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.open import open_dataset
from tests.data.conftest import encode, noise

Make = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def _write(text: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return _write


NUMBERS = "x,colour,y\n1,red,a\n2.5,blue,b\n,red,a\n4,,b\n"


def test_numbers_and_categories(settings: Settings, write: Make) -> None:
    data = open_dataset(write(NUMBERS), settings)
    assert isinstance(data, TableDataset)
    assert data.class_names == ("a", "b")
    assert list(data.ids) == ["0", "1", "2", "3"]
    assert data.frame["x"].dtype == np.float64
    assert isinstance(data.frame["colour"].dtype, pd.CategoricalDtype)
    assert data.item(2) == {"x": None, "colour": "red"}
    assert any("feature columns: 'x', 'colour'" in note for note in data.notes)


def test_the_same_table_in_three_formats(settings: Settings, write: Make, tmp_path: Path) -> None:
    frame = pd.read_csv(write(NUMBERS))
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(NUMBERS.encode()))
    (tmp_path / "t.tsv").write_text(NUMBERS.replace(",", "\t"))
    (tmp_path / "semi.csv").write_text(NUMBERS.replace(",", ";"))
    hashes = {open_dataset(write(NUMBERS), settings).fingerprint}
    for name in ("t.parquet", "t.jsonl", "t.csv.gz", "t.tsv", "semi.csv"):
        hashes.add(open_dataset(tmp_path / name, settings).fingerprint)
    assert len(hashes) == 1


def test_columns_given(settings: Settings, write: Make) -> None:
    data = open_dataset(write("a,b,c,d\n1,2,u,p\n3,4,v,q\n"), settings, columns=["a", "c"], label="d")
    assert isinstance(data, TableDataset)
    assert list(data.frame.columns) == ["a", "c"]


def test_columns_left_out_are_said(settings: Settings, write: Make) -> None:
    rows = "".join(f"{k},name{k},2020-01-{k + 1:02d},{'ab'[k % 2]}\n" for k in range(25))
    data = open_dataset(write("x,name,day,y\n" + rows), settings)
    assert isinstance(data, TableDataset)
    assert list(data.frame.columns) == ["x", "day (weekday)", "day (days since 1970)"]
    assert any("left out" in n and "'name'" in n for n in data.notes)


@pytest.mark.parametrize("option", ["label", "image", "text", "columns", "id", "group"])
def test_unknown_column_suggests_the_nearest(settings: Settings, write: Make, option: str) -> None:
    with pytest.raises(UsageError, match=r"no column 'colur'(.|\n)*Did you mean 'colour'") as caught:
        open_dataset(write(NUMBERS), settings, **{option: "colur"})
    assert caught.value.exit_code == 2


def test_no_label_column_lists_the_columns(settings: Settings, write: Make) -> None:
    with pytest.raises(UsageError, match=r"label='COLUMN'. Columns: u, v"):
        open_dataset(write("u,v\n1,2\n3,4\n"), settings)


def test_contents_exclude_one_another(settings: Settings, write: Make) -> None:
    with pytest.raises(UsageError, match="exclude"):
        open_dataset(write(NUMBERS), settings, text="colour", columns="x")


def test_texts_with_line_breaks_and_quotes(settings: Settings, write: Make) -> None:
    text = 'label,text\na,"He said ""no"",\nand left the building."\nb,A plain text of some length\n'
    data = open_dataset(write(text), settings)
    assert isinstance(data, TextDataset)
    assert data.item(0) == 'He said "no",\nand left the building.'


def test_line_breaks_in_a_file_larger_than_one_block(settings: Settings, write: Make) -> None:
    texts = [f"first line {k}\n,second line {'x' * 200}" for k in range(12_000)]
    rows = "".join(f'{"ab"[k % 2]},"{t}"\n' for k, t in enumerate(texts))
    data = open_dataset(write("label,text\n" + rows), settings)
    assert isinstance(data, TextDataset)
    assert data.texts == texts


def test_missing_texts_are_kept_empty_and_said(settings: Settings, tmp_path: Path) -> None:
    rows = [{"body": "words", "label": "a"}, {"body": None, "label": "b"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_dataset(tmp_path / "t.jsonl", settings, text="body")
    assert isinstance(data, TextDataset)
    assert data.texts == ["words", ""]
    assert any("without a text" in n for n in data.notes)


def test_rows_without_a_label_are_skipped_and_said(settings: Settings, write: Make) -> None:
    data = open_dataset(write("x,y\n1,a\n2,\n3,b\n4,\n"), settings)
    assert list(data.ids) == ["0", "2"]  # the row numbers of the file, not of what is left
    assert isinstance(data, TableDataset)
    assert data.frame["x"].tolist() == [1.0, 3.0]
    assert any("2 rows without a label" in n and "row 1" in n for n in data.notes)


def test_group_and_id_columns(settings: Settings, write: Make) -> None:
    text = "id,x,who,y\n007,1,p,a\n08,2,,b\n9,3,p,a\n"
    data = open_dataset(write(text), settings, group="who")
    assert isinstance(data, TableDataset)
    assert list(data.ids) == ["007", "08", "9"]
    assert data.items.groups is not None
    assert data.items.groups[0] == data.items.groups[2] != data.items.groups[1]
    assert list(data.frame.columns) == ["x"]


def test_duplicate_ids(settings: Settings, write: Make) -> None:
    with pytest.raises(LabelError, match="'p' occurs 2 times") as caught:
        open_dataset(write("key,x,y\np,1,a\np,2,b\nq,3,a\n"), settings, id="key")
    assert caught.value.exit_code == 3


def test_missing_id(settings: Settings, write: Make) -> None:
    with pytest.raises(DataError, match="row 1 has no id"):
        open_dataset(write("key,x,y\np,1,a\n,2,b\n"), settings, id="key")


def test_split_column(settings: Settings, write: Make) -> None:
    data = open_dataset(write("x,split,y\n1,train,a\n2,test,b\n3,train,b\n4,test,a\n"), settings, split="test")
    assert list(data.ids) == ["1", "3"]
    assert list(data.items.index) == [0, 1]


def test_one_class(settings: Settings, write: Make) -> None:
    with pytest.raises(LabelError, match="one class"):
        open_dataset(write("x,y\n1,a\n2,a\n"), settings)


def test_mixed_types_in_a_label_column(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"x": 1, "label": 1}\n{"x": 2, "label": "cat"}\n')
    with pytest.raises(LabelError, match="column 'label' mixes types: number and then string"):
        open_dataset(tmp_path / "t.jsonl", settings)


def test_labels_outside_the_classes(settings: Settings, write: Make) -> None:
    with pytest.raises(LabelError, match="outside the 2 classes"):
        open_dataset(write("x,y\n1,0\n2,5\n"), settings, classes="a,b")
    with pytest.raises(LabelError, match="'bb' in row 1"):
        open_dataset(write("x,y\n1,a\n2,bb\n"), settings, classes="a,b")
    with pytest.raises(LabelError, match="label -2 in row 1"):
        open_dataset(write("x,y\n1,0\n2,-2\n3,1\n"), settings, classes="a,b")


@pytest.mark.parametrize(
    ("content", "name", "error", "match"),
    [
        (b"", "t.csv", EmptyDataError, "empty"),
        (b"x,y\n", "t.csv", EmptyDataError, "no rows"),
        (b"x,y\n1,a\n2\n", "t.csv", UnreadableError, "Expected 2 columns, got 1"),
        (b"x,x,y\n1,1,a\n2,2,b\n", "t.csv", UnreadableError, "'x' occurs more than once"),
        ("x,y\n1,für\n2,b\n".encode("latin-1"), "t.csv", UnreadableError, "encoding"),
        ("x,y\n1,für\n2,b\n".encode("utf-16"), "t.csv", UnreadableError, "encoding=utf-16"),
        (b"not json\n", "t.jsonl", UnreadableError, "JSON Lines"),
        (b"PAR1 not parquet", "t.parquet", UnreadableError, "parquet"),
    ],
)
def test_damaged_tables(
    settings: Settings, tmp_path: Path, content: bytes, name: str, error: type[AuditorError], match: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=match) as caught:
        open_dataset(tmp_path / name, settings)
    assert caught.value.exit_code == 3


def test_other_encoding_and_delimiter(settings: Settings, write: Make) -> None:
    path = write("x|y\n1|für\n2|b\n", encoding="latin-1")
    assert open_dataset(path, settings, encoding="latin-1", delimiter="|").class_names == ("b", "für")
    with pytest.raises(UsageError, match="encoding"):
        open_dataset(path, settings, encoding="klingon")


def test_table_without_permission(settings: Settings, write: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(NUMBERS)

    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("pyarrow.input_stream", refuse)
    with pytest.raises(UnreadableError, match="Permission denied"):
        open_dataset(path, settings)


@pytest.fixture
def pictures(make_folder: Make) -> Path:
    """A table beside its images; one named file is missing, one is corrupt."""
    root = make_folder({"img/ö.png": noise(0), "img/b.png": noise(1), "img/bad.png": b"x"}, "shop")
    (root / "t.csv").write_text("path,y\nimg/ö.png,a\nimg/b.png,b\nimg/gone.png,a\nimg/bad.png,b\n")
    return root


def test_missing_and_corrupt_files_of_a_table_are_bad_items(settings: Settings, pictures: Path) -> None:
    data = open_dataset(pictures / "t.csv", settings)
    assert isinstance(data, ImageDataset)
    pixels, bad = data.load_images()
    assert [b.position for b in bad] == [2, 3]
    assert "does not exist" in bad[0].reason
    np.testing.assert_array_equal(pixels[0], noise(0))
    assert data.items.paths is not None
    assert data.items.paths[2] == "img/gone.png"


def test_paths_that_leave_the_folder_are_not_followed(settings: Settings, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encode(noise(9)))
    table = pictures / "up.csv"
    table.write_text(f"path,y\nimg/b.png,a\n../secret.png,b\n{tmp_path / 'secret.png'},b\nimg/../img/b.png,a\n,a\n")
    data = open_dataset(table, settings)
    assert isinstance(data, ImageDataset)
    pixels, bad = data.load_images()
    assert [b.position for b in bad] == [1, 2, 4]
    assert all("root=" in b.reason for b in bad[:2])
    np.testing.assert_array_equal(pixels[3], noise(1))
    allowed = open_dataset(table, settings, root=str(tmp_path))
    assert [b.position for b in allowed.load_images()[1]] == [0, 1, 3, 4]  # type: ignore[attr-defined]


def test_all_paths_elsewhere_ask_for_the_root(settings: Settings, pictures: Path) -> None:
    (pictures / "abs.csv").write_text("path,y\n/elsewhere/1.png,a\n/elsewhere/2.png,b\n")
    with pytest.raises(UsageError, match="root=FOLDER"):
        open_dataset(pictures / "abs.csv", settings)


def test_bad_paths_survive_subsets(settings: Settings, pictures: Path) -> None:
    (pictures / "up.csv").write_text("path,y\nimg/b.png,a\n../secret.png,b\nimg/ö.png,b\n")
    part = open_dataset(pictures / "up.csv", settings).subset(np.array([1, 2]))
    assert [b.position for b in part.load_images()[1]] == [0]  # type: ignore[attr-defined]


def test_real_texts(data_dir: Path, settings: Settings) -> None:
    data = open_dataset(data_dir / "text" / "noisy_agnews_10k.csv", settings)
    assert isinstance(data, TextDataset)
    assert (len(data), data.class_names) == (10_000, ("0", "1", "2", "3"))
    given = pd.read_csv(data_dir / "text" / "noisy_agnews_10k.csv")
    assert list(given["label"]) == list(data.labels)
    assert list(given["text"]) == data.texts


SENTENCES = [f"Review no {k}, it was {'bad' if k % 2 else 'good'}" for k in range(30)]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_delimiters_are_told_from_the_rows(settings: Settings, write: Make, mark: str) -> None:
    rows = "".join(f"{text}{mark}{'np'[k % 2]}\n" for k, text in enumerate(SENTENCES))
    data = open_dataset(write(f"text{mark}label\n{rows}"), settings)
    assert isinstance(data, TextDataset)
    assert data.texts == SENTENCES
    assert data.class_names == ("n", "p")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y;u;v\na;0,5;1\nb;1,25;-2,0\na;;3e2\n", {"u": [0.5, 1.25, np.nan], "v": [1.0, -2.0, 300.0]}),
        ("y\tu\na\t0,5\nb\t7\n", {"u": [0.5, 7.0]}),
        ("y;u\na;0.5\nb;1.25\n", {"u": [0.5, 1.25]}),
        ("y,u\na,0.5\nb,1\n", {"u": [0.5, 1.0]}),
    ],
)
def test_decimal_commas(settings: Settings, write: Make, text: str, expected: dict[str, list[float]]) -> None:
    data = open_dataset(write(text), settings)
    assert isinstance(data, TableDataset)
    for name, values in expected.items():
        np.testing.assert_array_equal(data.frame[name], values)


@pytest.mark.parametrize(
    "labels",
    [
        ("007", "010"),
        ("1E5", "2E5"),
        ("10:30", "12:45"),
        ("true", "false"),
        ("2024-01-02", "2024-01-03"),
        ("1.0", "2.0"),
    ],
)
@pytest.mark.parametrize("header", ["label", "Label", "given"])
def test_labels_of_a_csv_file_are_texts(settings: Settings, write: Make, labels: tuple[str, str], header: str) -> None:
    rows = "".join(f"{k},{labels[k % 2]}\n" for k in (5, 2, 8, 1, 5))
    data = open_dataset(write(f"x,{header}\n{rows}"), settings)
    assert [data.class_names[k] for k in data.labels] == [labels[k % 2] for k in (5, 2, 8, 1, 5)]
    named = open_dataset(write(f"x,code\n{rows}", "n.csv"), settings, label="code")
    assert set(named.class_names) == set(labels)


def test_numbers_written_as_texts_are_positions_in_given_classes(settings: Settings, write: Make) -> None:
    data = open_dataset(write("x,y\n3,0\n1,01\n2,-1\n"), settings, classes="cat,dog")
    assert data.labels.tolist() == [0, 1]
    assert any("written as '-1'" in note for note in data.notes)


def test_what_counts_as_missing_can_be_named(settings: Settings, write: Make) -> None:
    path = write("x,y\n5,-1\n2,0\n3,1\n1,?\n8,1\n")
    data = open_dataset(path, settings, missing="?")
    assert data.class_names == ("-1", "0", "1")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("null", "row 0 is no object"),
        ("[1, 2]\n", "row 0 is no object"),
        ('{"x": 1, "y": "a"}\n"text"\n', "row 1 is no object"),
        ("[" * 20_000 + "]" * 20_000, "recursion"),
        ('{"x": ' * 20_000 + "1" + "}" * 20_000, "recursion"),
        ('{"x": ' + "9" * 5_000 + ', "y": 1}', "digits"),
        ('{"x": "\\ud800", "y": "a"}', "surrogates"),
    ],
)
def test_json_lines_that_are_no_table_end_in_an_error(settings: Settings, write: Make, content: str, word: str) -> None:
    with pytest.raises(UnreadableError, match=f"as JSON Lines: .*{word}"):
        open_dataset(write(content, "t.jsonl"), settings)


def test_json_lines_of_nested_values(settings: Settings, write: Make) -> None:
    deep = '{"a": ' * 300 + "1" + "}" * 300
    rows = "".join(f'{{"x": {k}, "odd": {deep}, "y": "{"ab"[k % 2]}"}}\n' for k in (4, 1, 7, 2))
    data = open_dataset(write(rows, "t.jsonl"), settings)
    assert isinstance(data, TableDataset)
    assert list(data.frame.columns) == ["x"]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_signs_that_only_some_call_line_ends(settings: Settings, write: Make, sign: str) -> None:
    texts = [f"a text{sign}of some length {k}" for k in range(6)]
    rows = "".join(
        json.dumps({"text": t, "label": "np"[k % 2]}, ensure_ascii=False) + "\r\n" for k, t in enumerate(texts)
    )
    assert open_dataset(write(rows, "t.jsonl"), settings).texts == texts  # type: ignore[attr-defined]
    table = "text,label\r\n" + "".join(f"{t},{'np'[k % 2]}\r\n" for k, t in enumerate(texts))
    assert open_dataset(write(table), settings).texts == texts  # type: ignore[attr-defined]
    assert len(read_labels(write(f"a{sign}b\nc\na{sign}b\n", "y.csv")).values) == 3


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz", "t.jsonl.bz2"])
def test_tables_that_unpack_to_far_more(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    packers = {".gz": gzip.compress, ".bz2": bz2.compress}
    path = tmp_path / name
    path.write_bytes(packers.get(path.suffix, bytes)(b"x,y\n1,a\n" + b"2,b\n" * 500_000))
    monkeypatch.setenv("AUDITOR_MAX_FILE_MB", "1")
    with pytest.raises(MemoryGuardError, match="max_file_mb is 1"):
        open_dataset(path, settings)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt", ".npz"])
def test_special_files_are_no_tables(settings: Settings, tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_labels(path)


def test_paths_of_windows(settings: Settings, pictures: Path) -> None:
    (pictures / "w.csv").write_text("file,y\nimg\\ö.png,a\nimg\\b.png,b\n")
    data = open_dataset(pictures / "w.csv", settings)
    assert isinstance(data, ImageDataset)
    pixels, bad = data.load_images()
    assert not bad
    np.testing.assert_array_equal(pixels[1], noise(1))
    assert data.items.paths is not None
    assert data.items.paths.tolist() == ["img/ö.png", "img/b.png"]
    assert any("backslashes" in note for note in data.notes)


def test_links_of_a_table_that_leave_its_folder(settings: Settings, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/secret.png").write_bytes(encode(noise(9)))
    (pictures / "img/link.png").symlink_to(tmp_path / "other/secret.png")
    (pictures / "away").symlink_to(tmp_path / "other")
    (pictures / "img/same.png").symlink_to(pictures / "img/b.png")
    table = pictures / "l.csv"
    table.write_text("path,y\nimg/b.png,a\nimg/link.png,b\naway/secret.png,a\nimg/same.png,b\n")
    data = open_dataset(table, settings)
    assert [b.position for b in data.load_images()[1]] == [1, 2]  # type: ignore[attr-defined]
    table.write_text("path,y\nshop/img/b.png,a\nshop/away/secret.png,b\n")
    assert not open_dataset(table, settings, root=str(tmp_path)).load_images()[1]  # type: ignore[attr-defined]


N = 1200
SORTED = np.sort(np.arange(N) % 2)


@pytest.mark.parametrize(
    "part", [np.arange(N), np.random.default_rng(0).permutation(N)[:900]], ids=["whole", "sampled"]
)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("__index_level_0__", np.arange(N)),
        ("", np.arange(N)),
        ("Unnamed: 0", np.arange(N)),
        ("Unnamed: 0.1", np.arange(N) % (N // 2)),
        ("index", np.arange(N) % (N // 2)),
        ("level_0", np.arange(float(N))),
        ("row", np.arange(N)),
        ("nr", np.arange(N) * 7 + 3),
    ],
)
def test_a_saved_index_is_no_feature(
    settings: Settings, tmp_path: Path, part: np.ndarray, name: str, values: np.ndarray
) -> None:
    features = np.random.default_rng(1).normal(size=N)
    frame = pd.DataFrame({name: values, "a": features, "label": np.array(["cat", "dog"])[SORTED]}).iloc[part]
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    frame.set_index(name).to_parquet(tmp_path / "set.parquet")
    for file in ("t.csv", "t.parquet", "set.parquet"):
        data = open_dataset(tmp_path / file, settings)
        assert isinstance(data, TableDataset)
        assert list(data.frame.columns) == ["a"], file
        stored = file == "t.csv" or name in pq.read_schema(tmp_path / file).names  # a range is no column
        assert any("left out" in note and repr(name) in note for note in data.notes) == stored
    if name:
        asked = open_dataset(tmp_path / "t.csv", settings, columns=f"{name},a")
        assert list(asked.frame.columns) == [name, "a"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "values"),
    [("index", np.arange(N) / 7), ("row", np.random.default_rng(2).permutation(N)), ("age", SORTED * 30 + 20)],
)
def test_what_only_resembles_an_index_is_a_feature(
    settings: Settings, tmp_path: Path, name: str, values: np.ndarray
) -> None:
    pd.DataFrame({name: values, "label": np.array(["cat", "dog"])[SORTED]}).to_csv(tmp_path / "t.csv", index=False)
    data = open_dataset(tmp_path / "t.csv", settings)
    assert list(data.frame.columns) == [name]  # type: ignore[attr-defined]


def test_half_a_character_in_json_lines_is_refused(tmp_path: Path) -> None:
    """It can be neither shown nor written: the patch of such data would fail when it is written."""
    (tmp_path / "x.jsonl").write_text('{"text": "a", "label": "c\\ud800at"}\n{"text": "b", "label": "dog"}\n')
    with pytest.raises(UnreadableError, match="surrogates"):
        open_dataset(tmp_path / "x.jsonl")
