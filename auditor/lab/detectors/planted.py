"""Tables made here, whose true labels are known because a model drew them: ``table-weather`` and ``table-penguins``.

Both are drawn from class-wise distributions like those of a well-known table of the same columns: days of weather
(five classes, of which two hold nine days in ten and one holds two in a hundred) and penguins (three classes). They
are no sample of either.
"""

from __future__ import annotations

from collections.abc import Callable

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


def _planted(name: str, make: Callable[[], pd.DataFrame], what: str) -> TrainedSet:
    def label(context: BenchmarkContext, dataset: Dataset, seed: int) -> Labelled:
        n_classes, rate = len(dataset.class_names), context.options.noise_rate
        given = inject("symmetric", dataset.ids, dataset.labels, n_classes, rate, seed)
        return relabelled(dataset, given, name), dataset.labels

    summary = f"{what}, drawn here, with symmetric label noise made here; cross-validated gradient boosting"
    limits = "Features and noise are both made: easier than real tables in that each class is one cloud."
    return TrainedSet(name, summary, limits, "boosting", lambda context: as_dataset(make(), name), label)


_SETS = {
    "table-weather": _planted("table-weather", weather, "1,461 days of weather, five classes of 2 to 45 %"),
    "table-penguins": _planted("table-penguins", penguins, "344 penguins, three classes"),
}
TABLES = Family(tuple(_SETS), _SETS.get)
