"""CSV, JSON Lines and parquet tables: columns given and inferred, and what is wrong with tables in practice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.config import Settings
from auditor.core.errors import AuditorError, DataError, EmptyDataError, LabelError, UnreadableError, UsageError
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
    assert list(data.frame.columns) == ["x"]
    assert any("left out" in n and "'name'" in n and "'day'" in n for n in data.notes)


@pytest.mark.parametrize("option", ["label", "image", "text", "columns", "id", "group"])
def test_unknown_column_suggests_the_nearest(settings: Settings, write: Make, option: str) -> None:
    with pytest.raises(UsageError, match=r"no column 'colur'(.|\n)*Did you mean 'colour'") as caught:
        open_dataset(write(NUMBERS), settings, **{option: "colur"})
    assert caught.value.exit_code == 2


def test_no_label_column_lists_the_columns(settings: Settings, write: Make) -> None:
    with pytest.raises(UsageError, match=r"label=NAME. Columns: u, v"):
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
    with pytest.raises(LabelError, match="label -1 in row 1"):
        open_dataset(write("x,y\n1,0\n2,-1\n3,1\n"), settings, classes="a,b")


@pytest.mark.parametrize(
    ("content", "name", "error", "match"),
    [
        (b"", "t.csv", EmptyDataError, "empty"),
        (b"x,y\n", "t.csv", EmptyDataError, "no rows"),
        (b"x,y\n1,a\n2\n", "t.csv", UnreadableError, "Expected 2 columns, got 1"),
        (b"x,x,y\n1,1,a\n2,2,b\n", "t.csv", UnreadableError, "'x' occurs more than once"),
        ("x,y\n1,für\n2,b\n".encode("latin-1"), "t.csv", UnreadableError, "encoding"),
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
    real = open

    def guarded(name: object, *args: object, **options: object) -> object:
        if str(name) == str(path):
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", guarded)
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
