"""One answer to "which row is item X?", for every way of saying X."""

from __future__ import annotations

import pytest

from auditor.core.errors import DataError
from auditor.core.row_lookup import RowLookup, file_numbers, whole_number

NAMES = ["test/cat/0.png", "test/cat/1.png", "test/dog/0.png"]
ROWS = RowLookup(3, ids=["a", "b", "c"], index=[10, 11, 12], names=[NAMES], hashes=lambda: ["x", "y", "x"])


def test_by_id_row_number_and_content() -> None:
    assert [ROWS.by_id("b"), ROWS.by_id("B")] == [1, None]
    assert [ROWS.by_index(12), ROWS.by_index(2)] == [2, None]
    assert [ROWS.by_hash("x"), ROWS.by_hash("z")] == [[0, 2], []]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("test/cat/0.png", 0),
        ("test/cat/0", 0),
        ("test\\dog\\0.png", 2),
        ("./test/cat/1.png", 1),
        ("1.png", None),
        ("cat/1.png", None),
        ("/home/ann/pets/test/dog/0.png", None),
        ("test/cat/0.jpg", None),
        ("train/cat/0.png", None),  # another file, although it ends like one that is here
        ("birds/x/1.png", None),
        ("og/0.png", None),
    ],
)
def test_a_path_is_a_whole_one(name: str, row: int | None) -> None:
    assert ROWS.by_name(name) == row


def test_a_name_of_several_rows_is_refused() -> None:
    with pytest.raises(DataError, match=r"'0.png' is the name of 2 rows"):
        ROWS.find(["0.png"], "x.csv")
    with pytest.raises(DataError, match=r"'a/0' is the name of 2 rows"):
        RowLookup(2, names=[["a/0.png", "a/0.jpg"]]).by_name("a/0")


def test_many_at_once_are_all_found_or_refused() -> None:
    assert ROWS.find(["dog/0", "cat/1.png"], "x.csv").tolist() == [2, 1]
    assert ROWS.find([2, "0", 1.0], "x.csv").tolist() == [2, 0, 1]
    assert RowLookup(3).find(["test/2", "test/0"], "x.csv").tolist() == [2, 0]
    for values, message in (([0, 0], "more than once"), ([3], "rows are 0 to 2"), (["x"], "not among the names")):
        with pytest.raises(DataError, match=message):
            ROWS.find(values, "x.csv")


def test_file_numbers() -> None:
    names = [f"val/n1/ILSVRC2012_val_{k:08d}.JPEG" for k in (3, 1, 2)]
    assert file_numbers(names) == [3, 1, 2]
    assert file_numbers([*names, "x.png"]) is None
    assert RowLookup(3, names=[names]).find([1, 2, 3], "x.csv").tolist() == [1, 2, 0]
    assert [whole_number(v) for v in (True, "7", 7.0, 7.5, "x")] == [None, 7, 7, None, None]
