"""Excel's ``sep=`` line, comments before a header, and addresses ``file://``: read as meant, or refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.core.config import Settings
from auditor.core.errors import UnreadableError, UsageError
from auditor.core.escaping import csv_rows
from auditor.core.reading import local_path
from auditor.data.intake import open_probabilities, read_labels
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch
from auditor.patch.records import Patch
from tests.data.conftest import encode
from tests.patch.conftest import header_for, record_for

ROWS = [("1.5", "red", "a"), ("2.5", "blue", "b"), ("3.5", "red", "a"), ("4.5", "blue", "b")]


def table(delimiter: str, header: str = "x,colour,label") -> str:
    return "\n".join([header.replace(",", delimiter), *(delimiter.join(row) for row in ROWS)]) + "\n"


#: What stands before the header, and the delimiter.
HEADS = {
    "excel": ("sep=;\n", ";"),
    "excel, CR LF": ("sep=;\r\n", ";"),
    "excel, quoted, upper case": ('"SEP=|"\n', "|"),
    "excel, a tab": ("sep=\t\n", "\t"),
    "excel, a rare delimiter": ("sep=^\n", "^"),
    "excel, filled up": ("sep=,,,\n", ","),
    "with a mark of the encoding": ("\ufeffsep=;\n", ";"),
    "a comment": ("# exported by me\n", ","),
    "comments with delimiters": ("# exported, by me\n# on Monday, or so, roughly, perhaps\n", ","),
    "a comment as wide as the table": ("# by me, on, Monday\n", ","),
    "both": ("sep=;\n# exported; by me\n", ";"),
}


@pytest.mark.parametrize(("head", "delimiter"), HEADS.values(), ids=HEADS)
def test_what_stands_before_the_header_is_no_row(head: str, delimiter: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(table(","))
    (tmp_path / "t.csv").write_bytes((head + table(delimiter)).encode())
    data = open_dataset(tmp_path / "t.csv", settings)
    assert data.fingerprint == open_dataset(tmp_path / "plain.csv", settings).fingerprint
    patch = Patch(header_for(data), (record_for(data, 1, "relabel", "a"),))
    apply_patch(patch, str(tmp_path / "t.csv"), settings, out=tmp_path / "copy")
    before, after = (tmp_path / "t.csv").read_bytes(), (tmp_path / "copy" / "t.csv").read_bytes()
    assert after == before.replace(f"blue{delimiter}b".encode(), f"blue{delimiter}a".encode(), 1)


@pytest.mark.parametrize("header", ["#x,colour,label", "# x,colour,label"])
def test_a_header_may_begin_with_a_number_sign(header: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("# a comment\n" + table(",", header))
    data = open_dataset(tmp_path / "t.csv", settings)
    assert list(data.frame.columns) == [header.partition(",")[0], "colour"]  # type: ignore[attr-defined]
    assert len(data) == 4


@pytest.mark.parametrize("head", ["sep=;\n", "# one\n# two\n", "sep=,\n# one\n"])
def test_columns_of_labels_and_controls_have_such_heads_too(head: str, tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text(f"{head}label\na\nb\na\n")
    assert read_labels(tmp_path / "y.csv").values.tolist() == ["a", "b", "a"]
    assert csv_rows("sep=;\nid;verdict\n1;given\n") == [{"id": "1", "verdict": "given"}]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a blank in its name."""
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "t.csv").write_text(table(","))
    return folder


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "FILE://localhost{}", "file://{}?label=label"])
def test_an_address_of_this_machine_is_a_path(form: str, home: Path, settings: Settings) -> None:
    plain = open_dataset(home / "t.csv", settings)
    for path in (str(home / "t.csv"), str(home / "t.csv").replace(" ", "%20")):
        data = open_dataset(form.format(path), settings)
        assert data.fingerprint == plain.fingerprint
        assert data.reference.startswith("csv://")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///C:/data/x.csv", "C:/data/x.csv"),
        ("file://C:\\data\\x.csv", "C:\\data\\x.csv"),
        ("file:/D:/my%20data/x.csv", "D:/my data/x.csv"),
        ("file:///data/x.csv", "/data/x.csv"),
        ("C:\\data\\x.csv", "C:\\data\\x.csv"),
        ("csv:///x.csv", "csv:///x.csv"),
        ("profile", "profile"),
    ],
)
def test_addresses_of_windows_name_its_paths(address: str, path: str) -> None:
    assert local_path(address) == path


@pytest.mark.parametrize("address", ["file:///C:/data/x.csv", "file:///nowhere/x.csv"])
def test_an_address_where_nothing_lies_says_which_path_is_meant(address: str, settings: Settings) -> None:
    with pytest.raises(UnreadableError, match=f"'{local_path(address)}' does not exist"):
        open_dataset(address, settings)


def test_an_address_of_another_machine_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="lies on the machine 'server'"):
        open_dataset("file://server/share/x.csv", settings)


def test_probabilities_labels_and_images_are_named_by_addresses(home: Path, settings: Settings) -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    np.savez(home / "p.npz", pred_probs=p)
    np.save(home / "y.npy", np.array([0, 1, 1]))
    supplied = open_probabilities(f"file://{home}/p.npz", f"file://{home}/y.npy")
    assert supplied.labels.tolist() == [0, 1, 1]
    rows = ["path,label"]
    for k in range(4):
        (home / f"{k}.png").write_bytes(encode(np.full((8, 8, 3), 9 * k, np.uint8)))
        rows.append(f"file://{home}/{k}.png,{'ab'[k % 2]}".replace(" ", "%20"))
    (home / "images.csv").write_text("\n".join(rows))
    data = open_dataset(home / "images.csv", settings)
    assert isinstance(data, ImageDataset)
    assert not data.load_images()[1]
