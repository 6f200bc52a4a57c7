"""Copies of the caller's frames with other columns, cells and rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from auditor.core.errors import UsageError
from auditor.data.frames import cells, column_names, take_rows, with_cells, with_columns

FRAME = pd.DataFrame({"x": [1.5, 2.5, 3.5], "kind": ["cat", "dog", "cat"]}, index=["a", "b", "c"])


def _polars(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("polars").from_pandas(frame)


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "polars": _polars,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_library_alike(form: str) -> None:
    frame = FORMS[form](FRAME)
    assert column_names(frame) == ["x", "kind"]
    changed = with_cells(frame, "kind", {1: "cat"})
    assert cells(changed, "kind") == ["cat", "cat", "cat"]
    assert cells(take_rows(changed, [2, 0]), "x") == [3.5, 1.5]
    wider = with_columns(frame, pd.DataFrame({"flag": [True, False, True], "note": ["n", None, None]}))
    assert column_names(wider) == ["x", "kind", "flag", "note"]
    assert cells(wider, "flag") == [True, False, True]
    assert cells(frame, "kind") == ["cat", "dog", "cat"]
    assert column_names(frame) == ["x", "kind"]


@pytest.mark.parametrize(
    ("values", "new"),
    [
        (pd.Categorical(["cat", "dog", "cat"]), "cow"),
        (pd.Series([0, 1, 0], index=FRAME.index), "cow"),
        (pd.Series([0, 1, 0], index=FRAME.index, dtype="int8"), 1000),
        (pd.Series([True, False, True], index=FRAME.index), "cow"),
    ],
    ids=["categories", "numbers", "small numbers", "booleans"],
)
def test_a_type_that_does_not_hold_the_value_is_said(values: Any, new: Any) -> None:
    with pytest.raises(UsageError, match="'kind' cannot hold other labels"):
        with_cells(FRAME.assign(kind=values), "kind", {1: new})


def test_the_index_and_the_type_stay() -> None:
    frame = FRAME.assign(kind=FRAME["kind"].astype("category"))
    changed = with_cells(frame, "kind", {1: "cat"})
    assert changed.index.equals(frame.index)
    assert changed["kind"].dtype == frame["kind"].dtype


class _Lazy:
    def collect(self) -> None: ...


class _Hub:
    def to_pandas(self) -> None: ...


@pytest.mark.parametrize(
    ("thing", "way_out"),
    [(_Lazy(), r"\.collect\(\)"), (_Hub(), r"\.to_pandas\(\)"), ([1], "pandas or polars"), ({"x": [1]}, "Arrow table")],
)
def test_what_is_no_frame_is_told_the_way_out(thing: Any, way_out: str) -> None:
    with pytest.raises(UsageError, match=way_out):
        column_names(thing)
