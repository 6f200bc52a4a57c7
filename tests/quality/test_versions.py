"""Which item of one version is which of another: by content, by id, by place; and what is said to have changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import UsageError
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.quality.versions import compare_versions


def frame(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = ["river", "mountain", "window", "garden", "letter", "summer"]
    texts = [f"{' '.join(rng.choice(words, 6))} {k}" for k in range(n)]
    return pd.DataFrame({"id": [f"t{k:03d}" for k in range(n)], "text": texts, "label": ["a", "b"] * (n // 2)})


def opened(table: pd.DataFrame, ids: bool = True) -> Dataset:
    options = {"id": "id"} if ids else {}
    return open_dataset(table if ids else table.drop(columns="id"), text="text", label="label", **options)


def changes(old: pd.DataFrame, new: pd.DataFrame, ids: bool = True) -> dict[str, list[tuple[str, str]]]:
    table = compare_versions(opened(old, ids), opened(new, ids)).changes
    return {str(kind): list(zip(rows["old_id"], rows["new_id"], strict=True)) for kind, rows in table.groupby("change")}


def edited(table: pd.DataFrame) -> pd.DataFrame:
    """Row 3 is gone, row 5 corrected, row 8 relabelled, one row new, and all of it in another order."""
    new = table.copy()
    new.loc[5, "text"] += ", corrected"
    new.loc[8, "label"] = "b"
    new = pd.concat([new.drop(3), pd.DataFrame([{"id": "t900", "text": "new", "label": "a"}])])
    return new.sample(frac=1, random_state=0, ignore_index=True)


def test_every_kind_of_change_by_id() -> None:
    assert changes(frame(), edited(frame())) == {
        "added": [("", "t900")],
        "removed": [("t003", "")],
        "edited": [("t005", "t005")],
        "relabelled": [("t008", "t008")],
    }


def test_nothing_has_changed_whatever_the_order() -> None:
    found = compare_versions(opened(frame()), opened(frame().sample(frac=1, random_state=1)))
    assert found.changes.empty
    assert found.counts() == dict.fromkeys(("added", "removed", "edited", "relabelled", "moved"), 0) | {"unchanged": 40}


def test_row_numbers_are_no_names() -> None:
    """A row taken out at the top moves all others up; none of them was edited."""
    old = frame()
    new = old.drop(2).reset_index(drop=True)
    new.loc[20, "text"] += ", corrected"
    assert changes(old, new, ids=False) == {"removed": [("2", "")], "edited": [("21", "20")]}


def test_rows_put_in_where_others_were_taken_out() -> None:
    old, new = frame(), frame()
    new.loc[[10, 11], "text"] = ["first new", "second new"]
    assert changes(old, new, ids=False) == {"edited": [("10", "10"), ("11", "11")]}
    more = pd.concat([new.iloc[:12], new.iloc[11:12].assign(text="third new"), new.iloc[12:]], ignore_index=True)
    found = changes(old, more, ids=False)  # two for three: nobody can say which is which
    assert {kind: len(rows) for kind, rows in found.items()} == {"added": 3, "removed": 2}


def test_a_renamed_item_is_the_same() -> None:
    new = frame()
    new.loc[4, "id"] = "renamed"
    found = compare_versions(opened(frame()), opened(new))
    assert found.changes.empty
    assert len(found.old) == 40


def test_copies_are_matched_once_each() -> None:
    old = pd.concat([frame(), frame().iloc[[0, 0]].assign(id=["c1", "c2"])], ignore_index=True)
    new = old.drop(40)  # c1
    assert changes(old, new) == {"removed": [("c1", "")]}
    swapped = old.copy()
    swapped.loc[41, "label"] = "b"
    assert changes(old, swapped) == {"relabelled": [("c2", "c2")]}


def test_moved_to_another_split() -> None:
    parts = frame().assign(split=["train"] * 30 + ["test"] * 10)
    moved = parts.copy()
    moved.loc[35, "split"] = "train"
    data = [
        open_dataset(
            {s: rows.drop(columns="split") for s, rows in t.groupby("split")}, text="text", label="label", id="id"
        )
        for t in (parts, moved)
    ]
    found = compare_versions(*data)
    assert found.counts()["moved"] == 1
    row = found.changes.iloc[0]
    assert (row["old_split"], row["new_split"]) == ("test", "train")


def test_versions_that_cannot_be_compared() -> None:
    table = open_dataset(pd.DataFrame({"a": range(20), "label": ["x", "y"] * 10}), label="label")
    with pytest.raises(UsageError, match="holds text items"):
        compare_versions(opened(frame()), table)
