"""One answer to "which row is item X?", for every way of saying X."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def found(lookup: RowLookup, values: Sequence[Any]) -> tuple[list[int], str | None]:
    rows, note = lookup.find(values, "x.csv")
    return rows.tolist(), note


@pytest.mark.parametrize(
    ("names", "values", "rows", "note"),
    [
        (NAMES, ["cat/1.png", "dog/0.png"], [1, 2], "with 'test/' in front"),
        (NAMES, ["cat/1", "dog/0"], [1, 2], "with 'test/' in front"),
        (
            ["cat/0.png", "dog/0.png"],
            ["/data/pets/dog/0.png", "/data/pets/cat/0.png"],
            [1, 0],
            "without the '/data/pets/'",
        ),
        (["0.png", "1.png"], ["C:\\new\\1.png", "C:\\new\\0.png"], [1, 0], "without the 'C:/new/'"),
        (["train/cat/0.png", "train/dog/1.png"], ["1.png", "0.png"], [1, 0], "without folders"),
        (["a/0001", "a/0002"], ["a/0002.txt", "a/0001.txt"], [1, 0], None),
        (["./a/1.png", "a\\2.png"], ["a/1.png", "a/2.png"], [0, 1], None),
    ],
)
def test_folders_in_front_may_differ_if_they_are_the_same_for_all(
    names: list[str], values: list[str], rows: list[int], note: str | None
) -> None:
    matched, said = found(RowLookup(len(names), names=[names]), values)
    assert matched == rows
    assert (said is None) if note is None else note in str(said)


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["cat/0.png", "dog/0.png"], ["train/cat/0.png", "test/dog/0.png"], "'train/cat/0.png' is not among the names"),
        (
            ["test/cat/0.png", "test/dog/0.png"],
            ["train/cat/0.png", "train/dog/0.png"],
            "'train/cat/0.png' is not among",
        ),
        (["train/cat/0.png", "test/dog/1.png"], ["cat/0.png", "dog/1.png"], "'cat/0.png' is not among"),
        (["a/0.png", "b/1.png"], ["0.png", "b/1.png"], "'0.png' is not among"),
        (["a/0.png", "b/0.png"], ["0.png"], "'0.png' is the name of 2 rows"),
        (["a/0.png", "a/0.jpg"], ["a/0"], "'a/0' is the name of 2 rows"),
        (["a/0.png"], ["a/0.jpg"], "'a/0.jpg' is not among"),
        (["a/x.png", "x.png"], ["b/a/x.png"], "in more than one way: .*'b/'.*; or .*'b/a/'"),
    ],
)
def test_an_item_of_another_folder_is_another_item(names: list[str], values: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        RowLookup(len(names), names=[names]).find(values, "x.csv")
    assert caught.value.way_out


def test_many_at_once_are_all_found_or_refused() -> None:
    assert found(ROWS, ["test/dog/0", "test\\cat\\1.png"]) == ([2, 1], None)
    assert found(ROWS, [2, "0", 1.0]) == ([2, 0, 1], None)
    rows, note = found(RowLookup(3), ["test/2", "test/0"])
    assert rows == [2, 0]
    assert "without the 'test/'" in str(note)
    for values, message in (([0, 0], "more than once"), ([3], "rows are 0 to 2"), (["x"], "not among the names")):
        with pytest.raises(DataError, match=message):
            ROWS.find(values, "x.csv")


def test_file_numbers() -> None:
    names = [f"val/n1/ILSVRC2012_val_{k:08d}.JPEG" for k in (3, 1, 2)]
    assert file_numbers(names) == [3, 1, 2]
    assert file_numbers([*names, "x.png"]) is None
    lookup = RowLookup(3, names=[names])
    assert found(lookup, [1, 2, 3]) == ([1, 2, 0], None)
    assert found(lookup, ["ILSVRC2012_val_00000002"])[0] == [2]
    assert [whole_number(v) for v in (True, "7", 7.0, 7.5, "x")] == [None, 7, 7, None, None]
