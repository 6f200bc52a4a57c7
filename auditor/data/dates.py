"""Dates as numbers a model can split on: year, month, weekday, hour, and days since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: A day, with a time and an offset from UTC or without. The offset is dropped: what tells is the local time.
_WRITTEN = re.compile(
    r"\s*((?:\d{4}([./-])\d{1,2}\2\d{1,2}|\d{1,2}([./-])\d{1,2}\3\d{4})"
    r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?\s*"
)

_DOTTED = re.compile(r"\s*\d{1,2}\.")


def is_date(text: str) -> bool:
    """Whether a text is written as `read_dates` reads days."""
    return _WRITTEN.fullmatch(text) is not None


def read_dates(values: Sequence[Any]) -> pd.Series | None:
    """Dates and times, whether as objects or written in one form (ISO, ``31.12.2020``, ``12/31/2020``).

    Parameters
    ----------
    values : sequence of str, date, datetime or None
        None and empty texts are missing. ``01/02/2020`` is 2 January unless another value shows that days come first;
        ``01.02.2020`` is 1 February unless another value shows the contrary.

    Returns
    -------
    Series of datetime64, or None
        NaT where missing, local times where an offset is known. None where a value is no date, or all are missing.
    """
    import pandas as pd

    plain = [value if value != "" else None for value in values]
    present = [value for value in plain if value is not None]
    if not present:
        return None
    if not isinstance(present[0], str):
        local = [None if value is None else pd.Timestamp(value).tz_localize(None) for value in plain]
        return pd.to_datetime(pd.Series(local))
    if not all(map(is_date, present)):
        return None
    texts = pd.Series(plain, dtype=object).str.extract(_WRITTEN)[0].str.replace("T", " ")
    day_first = bool(_DOTTED.match(present[0]))
    for first in (day_first, not day_first):
        # The form of the first value holds for all, but that some have a time (or parts of a second) and some have not.
        day, time = (texts.str.extract(r"(\S+)\s*(.*)")[k] for k in (0, 1))
        # Where the year comes first the order is told, but pandas heeds `dayfirst` there too.
        dates = pd.to_datetime(day, errors="coerce", dayfirst=first and not present[0].strip()[:4].isdecimal())
        times = pd.to_timedelta(time.where(time != "", "0:00").str.replace(r"^(\d+:\d+)$", r"\1:00", regex=True))
        if dates.notna().eq(texts.notna()).all():
            return dates + times
    return None


def date_features(name: str, dates: pd.Series) -> dict[str, np.ndarray]:
    """Columns ``name (year)``, ``(month)``, ``(weekday)``, ``(hour)`` and ``(days since 1970)``, float64 (n,).

    Monday is weekday 0, minutes are parts of an hour. NaN where the date is missing. A part that is the same everywhere
    is left out, unless nothing else is left.
    """
    import pandas as pd

    parts = {
        "year": dates.dt.year,
        "month": dates.dt.month,
        "weekday": dates.dt.day_of_week,
        "hour": dates.dt.hour + dates.dt.minute / 60,
        "days since 1970": (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1),
    }
    columns = {f"{name} ({part})": values.to_numpy(np.float64) for part, values in parts.items()}
    varying = {column: values for column, values in columns.items() if len(np.unique(values[~np.isnan(values)])) > 1}
    return varying or {f"{name} (days since 1970)": columns[f"{name} (days since 1970)"]}
