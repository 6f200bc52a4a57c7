"""The report: its numbers, its pictures, and that content from the data cannot become markup."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor
from auditor.data.base import ItemTable
from auditor.data.kinds import TextDataset
from auditor.report.find_errors import calibration_bins, collect, render_html
from auditor.report.pictures import THUMBNAIL, thumbnail_uri

HOSTILE = "<script>alert(1)</script>"


def test_calibration_by_hand() -> None:
    p = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.45, 0.55]])
    bins, error = calibration_bins(p, np.array([0, 1, 0, 0]))
    assert [(b.n, b.low) for b in bins] == [(2, 0.5), (2, 0.9)]
    assert [b.agreement for b in bins] == [0.5, 0.5]
    assert error == pytest.approx((2 * 0.05 + 2 * 0.45) / 4)


def test_certainty_lies_in_the_last_bin() -> None:
    bins, error = calibration_bins(np.array([[1.0, 0.0]]), np.array([0]))
    assert (bins[0].low, error) == (0.9, 0.0)


@pytest.mark.parametrize(("size", "expected"), [((32, 32), (96, 96)), ((8, 4), (96, 48)), ((400, 200), (96, 48))])
def test_thumbnails_keep_shape_and_square_pixels(size: tuple[int, int], expected: tuple[int, int]) -> None:
    uri = thumbnail_uri(Image.new("RGB", size, (10, 200, 30)))
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.size == expected
    assert max(image.size) <= THUMBNAIL
    assert image.getpixel((3, 3)) == (10, 200, 30)


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[auditor.find_errors, TextDataset]:
    """Texts, class names and ids that hold markup."""
    rng = np.random.default_rng(0)
    words = [["goal", "match", "team", "league"], ["stock", "market", "bank", "share"]]
    labels = np.arange(80) % 2
    texts = [" ".join(rng.choice(words[k], 6)) + f" {HOSTILE} {i}" for i, k in enumerate(labels)]
    labels[[3, 8]] = 1 - labels[[3, 8]]
    ids = np.array([f"{HOSTILE}{i}" for i in range(80)])
    items = ItemTable(ids, labels, np.full(80, "all"), np.arange(80))
    dataset = TextDataset("news", "news", (f"sport{HOSTILE}", "money"), items, column=np.array(texts, dtype=object))
    folder: Path = tmp_path_factory.mktemp("report") / "run"
    options = {"folds": 4, "workers": 1, "near_duplicates": False, "model": "tfidf"}
    return auditor.find_errors(dataset, out=folder, **options), dataset


def test_nothing_from_the_data_becomes_markup(hostile_run: tuple) -> None:
    run, dataset = hostile_run
    html = render_html(collect(run, dataset))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_numbers_are_those_of_the_run(hostile_run: tuple) -> None:
    run, dataset = hostile_run
    data = collect(run, dataset)
    label_findings = run.findings[run.findings["code"] == "LE001"]
    assert data.flagged_pairs.sum() == len(label_findings) == run.counts["n_flagged"] >= 2
    assert {"3", "8"} <= {s["id"].removeprefix(HOSTILE) for s in data.suspects}
    assert sum(row["audited"] for row in data.class_rows) == run.counts["n_audited"]
    assert [t["task"] for t in data.tasks] == [f"fold-{k}" for k in range(4)]
    assert sum(n for *_, n in data.top_pairs) == len(label_findings)
    assert isinstance(run.to_frame(), pd.DataFrame)
