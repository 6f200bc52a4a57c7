"""Tables whose labels go wrong here: two that are drawn, ``table-weather`` and ``table-penguins``, and two real ones.

The first two are drawn from class-wise distributions like those of a well-known table of the same columns: days of
weather (five classes, of which two hold nine days in ten and one holds two in a hundred) and penguins (three classes).
They are no sample of either. Each stands once with gradient boosting alone and once with what `auto` adds (``-two``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.seeds import generator
from auditor.data.base import Dataset
from auditor.data.build import build_dataset
from auditor.data.columns import MemoryTable
from auditor.lab.detectors.noise import inject
from auditor.lab.detectors.sets import BenchmarkContext, Family
from auditor.lab.detectors.trained import Labelled, TrainedSet, relabelled

LABEL = "label"


def weather(n: int = 1461, seed: int = 0) -> pd.DataFrame:
    """Consecutive days: ``date, precipitation, temp_max, temp_min, wind, label`` (rain, sun, fog, drizzle, snow)."""
    rng = generator(seed, "weather")
    dates = pd.date_range("2012-01-01", periods=n)
    season = np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 200) / 365.25)  # 1 in summer
    names = np.array(["rain", "sun", "fog", "drizzle", "snow"])
    snow = np.where(season < -0.6, 0.06, 0.0)
    weight = np.stack([0.44 - 0.2 * season, 0.44 + 0.2 * season, 0 * season + 0.07, 0 * season + 0.036, snow], axis=1)
    drawn = (weight.cumsum(axis=1) / weight.sum(axis=1, keepdims=True) < rng.random((n, 1))).sum(axis=1)
    # Of each class: days without rain, shift of the warmest hour, range of the day's temperatures, wind.
    dry, shift, spread, wind = np.array(
        [[0.1, 1, 1, 1, 0], [-2, 2, 0, 0, -3], [6.5, 9.5, 6.5, 8, 4.5], [3.7, 3, 2.5, 2.4, 4]]
    )[:, drawn]
    warmest = 16.5 + 9.5 * season + shift + rng.normal(0, 4, n)
    table = {
        "date": dates,
        "precipitation": np.where(rng.random(n) < dry, 0.0, 0.3 + rng.gamma(0.6, 11.0, n)),
        "temp_max": warmest,
        "temp_min": warmest - np.abs(rng.normal(spread, 2.2)),
        "wind": rng.gamma(6.0, wind / 6.0),
    }
    return (
        pd.DataFrame(table)
        .round({"precipitation": 1, "temp_max": 1, "temp_min": 1, "wind": 1})
        .assign(**{LABEL: names[drawn]})
    )


def penguins(n: int = 344, seed: int = 0) -> pd.DataFrame:
    """Bodies: ``island, bill_length, bill_depth, flipper, mass, sex, label`` (Adelie, Chinstrap, Gentoo)."""
    rng = generator(seed, "penguins")
    names = np.array(["Adelie", "Chinstrap", "Gentoo"])
    drawn = rng.choice(3, n, p=[0.44, 0.2, 0.36])
    mean = np.array([[38.8, 18.3, 190.0, 3700.0], [48.8, 18.4, 196.0, 3730.0], [47.5, 15.0, 217.0, 5080.0]])[drawn]
    male = rng.random(n) < 0.5
    # Half a deviation up for males, down for females.
    standard = rng.normal(size=(n, 4)) + np.where(male, 0.6, -0.6)[:, None]
    bodies = mean + standard * np.array([2.5, 1.0, 5.8, 390.0])
    islands = np.array(["Torgersen", "Biscoe", "Dream"])
    home = np.where(drawn == 2, 1, np.where(drawn == 1, 2, rng.integers(0, 3, n)))
    table = pd.DataFrame(bodies, columns=["bill_length", "bill_depth", "flipper", "mass"]).round(1)
    table = table.mask(rng.random(table.shape) < 0.01)
    return table.assign(island=islands[home], sex=np.where(male, "male", "female"), **{LABEL: names[drawn]})


def as_dataset(table: pd.DataFrame, name: str) -> Dataset:
    """The table as `find_errors` reads it."""
    import pyarrow as pa

    return build_dataset(MemoryTable(pa.Table.from_pandas(table)), {"label": LABEL}, name, name, repr(name))


def _wine() -> pd.DataFrame:
    from sklearn.datasets import load_wine

    return _labelled(load_wine(as_frame=True))


def _cancer() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer

    return _labelled(load_breast_cancer(as_frame=True))


def _labelled(bunch: Any) -> pd.DataFrame:
    return bunch.data.assign(**{LABEL: bunch.target.astype(str)})


DRAWN = "Features and noise are both made: easier than real tables in that each class is one cloud."
REAL = "Real features; the noise is made, and the labels that come with the table count as true."


def _planted(name: str, make: Callable[[], pd.DataFrame], what: str, limits: str, second: str = "none") -> TrainedSet:
    def label(context: BenchmarkContext, dataset: Dataset, seed: int) -> Labelled:
        n_classes, rate = len(dataset.class_names), context.options.noise_rate
        given = inject("symmetric", dataset.ids, dataset.labels, n_classes, rate, seed)
        return relabelled(dataset, given, name), dataset.labels

    beside = "" if second == "none" else f", pooled with `{second}`"
    summary = f"{what}, with symmetric label noise made here; cross-validated gradient boosting{beside}"
    return TrainedSet(name, summary, limits, "boosting", lambda context: as_dataset(make(), name), label, second)


_TABLES: dict[str, tuple[Callable[[], pd.DataFrame], str, str]] = {
    "table-weather": (weather, "1,461 days of weather, five classes of 2 to 45 %, drawn here", DRAWN),
    "table-penguins": (penguins, "344 penguins, three classes, drawn here", DRAWN),
    "table-wine": (_wine, "scikit-learn's 178 wines, three classes", REAL),
    "table-cancer": (_cancer, "scikit-learn's 569 breast tumours, two classes", REAL),
}
_SETS = {name: _planted(name, *table) for name, table in _TABLES.items()} | {
    f"{name}-two": _planted(f"{name}-two", *table, second="kernel") for name, table in _TABLES.items()
}
TABLES = Family(tuple(_SETS), _SETS.get)
