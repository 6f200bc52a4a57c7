"""Dates become columns of numbers, however they are written, and nothing else does."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.core.config import Settings
from auditor.data.dates import date_features, read_dates
from auditor.data.kinds import TableDataset
from auditor.data.open import open_dataset

EASTERN = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["2021-03-04", "2020-12-31"], "2021-03-04"),
        (["2021/3/4", None, ""], "2021-03-04"),
        (["04.03.2021", "31.12.2020"], "2021-03-04"),
        (["3/4/2021", "12/31/2020"], "2021-03-04"),
        (["4/3/2021", "31/12/2020"], "2021-03-04"),  # no month has the number 31
        (["2021-03-04 15:30", "2020-12-31"], "2021-03-04 15:30"),
        (["2021-03-04T15:30:10.5+02:00", "2021-03-04T15:30:10Z"], "2021-03-04 15:30:10.5"),
        ([date(2021, 3, 4), None], "2021-03-04"),
        ([datetime(2021, 3, 4, 15, 30, tzinfo=EASTERN)], "2021-03-04 15:30"),
    ],
)
def test_dates_are_read(values: list[Any], first: str) -> None:
    dates = read_dates(values)
    assert dates is not None
    assert dates[0] == pd.Timestamp(first)
    assert dates.isna().tolist() == [value in (None, "") for value in values]


@pytest.mark.parametrize(
    "values", [["2021"], ["red", "2021-03-04"], ["2021-03-04", "soon"], ["1.5.2"], ["2021-13-45"], [None, ""], []]
)
def test_what_is_no_date_stays_what_it_is(values: list[Any]) -> None:
    assert read_dates(values) is None


def test_parts_of_a_date() -> None:
    dates = read_dates(["2021-03-04 15:30", "2020-02-29 06:00", None])
    assert dates is not None
    columns = date_features("when", dates)
    assert {name: values[0] for name, values in columns.items()} == {
        "when (year)": 2021,
        "when (month)": 3,
        "when (weekday)": 3,
        "when (hour)": 15.5,
        "when (days since 1970)": pytest.approx(18690 + 15.5 / 24),
    }
    assert all(np.isnan(values[2]) for values in columns.values())


def test_parts_that_never_change_are_left_out() -> None:
    dates = read_dates(["2021-03-04", "2021-03-05"])
    assert dates is not None
    assert list(date_features("when", dates)) == ["when (weekday)", "when (days since 1970)"]
    assert list(date_features("when", dates[[0, 0]])) == ["when (days since 1970)"]


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S.%f", "parquet"])
def test_tables_with_dates(form: str, tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60, freq="37h")
    table = pd.DataFrame(
        {"day": days, "x": np.arange(60) % 7 + 0.5, "label": np.where(days.month > 1, "late", "early")}
    )
    path = tmp_path / ("t.parquet" if form == "parquet" else "t.csv")
    if form == "parquet":
        table.to_parquet(path)
    else:
        table.assign(day=days.strftime(form)).to_csv(path, index=False)
    data = open_dataset(f"{path}?label=label", Settings(offline=True))
    assert isinstance(data, TableDataset)
    assert data.frame["day (month)"].tolist() == days.month.tolist()
    assert ("day (hour)" in data.frame) == ("%H" in form or form == "parquet")
    assert all(dtype == np.float64 for dtype in data.frame.dtypes)
    assert any("'day' holds dates" in note for note in data.notes)
