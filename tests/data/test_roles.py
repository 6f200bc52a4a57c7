"""What a column is told to be from its name and its values; and labels that are no classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.config import Settings
from auditor.core.errors import LabelError
from auditor.data.open import open_dataset

WORDS = [f"no {k}" for k in range(40)]


def _open(frame: pd.DataFrame, folder: Path, settings: Settings, suffix: str = ".csv", **options: str):  # type: ignore[no-untyped-def]
    path = folder / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path, index=False)
    return open_dataset(path, settings, **options)


@pytest.mark.parametrize(
    "name",
    ["text", "Text", "review", "sentence", "comment", "body", "content", "tweet", "question", "title", "description"],
)
def test_a_column_called_text_is_text_however_short(name: str, tmp_path: Path, settings: Settings) -> None:
    data = _open(pd.DataFrame({name: WORDS, "label": ["a", "b"] * 20}), tmp_path, settings)
    assert data.modality == "text"
    assert data.texts == WORDS
    assert any(f"text column: {name!r}" in note for note in data.notes)


def test_repeated_short_texts_are_texts_where_there_is_nothing_else(tmp_path: Path, settings: Settings) -> None:
    frame = pd.DataFrame({"text": ["yes", "no", "well"] * 10, "label": ["a", "b"] * 15})
    assert _open(frame, tmp_path, settings).modality == "text"


@pytest.mark.parametrize("name", ["text", "title", "comment"])
def test_a_category_beside_features_stays_one(name: str, tmp_path: Path, settings: Settings) -> None:
    frame = pd.DataFrame({name: ["yes", "no"] * 20, "x": np.arange(40) % 7 + 0.5, "label": ["a", "b"] * 20})
    data = _open(frame, tmp_path, settings)
    assert data.modality == "table"
    assert list(data.frame) == [name, "x"]


def test_titles_beside_features_do_not_replace_them(tmp_path: Path, settings: Settings) -> None:
    frame = pd.DataFrame({"title": WORDS, "x": np.arange(40) % 7 + 0.5, "label": ["a", "b"] * 20})
    assert _open(frame, tmp_path, settings).modality == "table"


def _labels(kind: str) -> list[object]:
    rng = np.random.default_rng(0)
    n = 600
    return {
        "floats": rng.normal(size=n).round(2).tolist(),
        "an age": np.clip(rng.normal(45, 14, n), 18, 90).astype(int).tolist(),
        "a price": (rng.lognormal(6, 1, n)).astype(int).tolist(),
        "a year": rng.choice(np.arange(1950, 2020), n, p=np.arange(1, 71) / np.arange(1, 71).sum()).tolist(),
        "days": [str(day)[:10] for day in pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D")],
        "times": [f"{d:02d}.03.2021 12:{d:02d}" for d in rng.integers(1, 29, n)],
    }[kind]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", ["floats", "an age", "a price", "a year", "days", "times"])
def test_a_measurement_is_refused_with_the_way_out(kind: str, suffix: str, tmp_path: Path, settings: Settings) -> None:
    labels = _labels(kind)
    frame = pd.DataFrame({"x": np.arange(len(labels)) % 7, "label": labels})
    with pytest.raises(LabelError) as refused:
        _open(frame, tmp_path, settings, suffix)
    assert "kind=regression" in (refused.value.way_out or "")
    assert "label=NAME" in (refused.value.way_out or "")


@pytest.mark.parametrize("kind", ["an age", "a year", "days"])
def test_kind_class_takes_them_for_classes(kind: str, tmp_path: Path, settings: Settings) -> None:
    labels = _labels(kind)
    frame = pd.DataFrame({"x": np.arange(len(labels)) % 7, "label": labels})
    assert len(_open(frame, tmp_path, settings, kind="class").class_names) == len(set(labels))


CODES = {
    "1000 classes": np.arange(8000) % 1000,
    "from 1": np.arange(900) % 300 + 1,
    "a long tail": np.repeat(np.arange(100), np.linspace(60, 1, 100).astype(int)),
    "a part of the classes": np.arange(1000) % 50 + 50,
    "catalogue numbers": np.repeat(
        [
            10,
            40,
            50,
            60,
            1140,
            1160,
            1180,
            1280,
            1281,
            1300,
            1301,
            1302,
            1320,
            1560,
            1920,
            1940,
            2060,
            2220,
            2280,
            2403,
            2462,
            2522,
        ],
        30,
    ),
    "few": np.arange(200) % 15 * 7,
}


@pytest.mark.parametrize("name", CODES)
def test_codes_of_classes_stay_classes(name: str, tmp_path: Path, settings: Settings) -> None:
    labels = CODES[name]
    frame = pd.DataFrame({"x": np.arange(len(labels)) % 7, "label": labels})
    assert len(_open(frame, tmp_path, settings).class_names) == len(np.unique(labels))


def test_ratings_in_halves_stay_classes(tmp_path: Path, settings: Settings) -> None:
    frame = pd.DataFrame({"x": np.arange(90) % 7, "label": np.arange(90) % 9 / 2 + 0.5})
    assert len(_open(frame, tmp_path, settings).class_names) == 9
