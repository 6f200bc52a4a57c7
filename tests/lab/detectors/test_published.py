"""Sets with published verdicts: rows, truth where people looked, precision of the first page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import DataError, LabelError
from auditor.lab.detectors.benchmark import measure_case
from auditor.lab.detectors.measure import _resamples, figures, resampled
from auditor.lab.detectors.methods import MethodResult
from auditor.lab.detectors.sets import BenchmarkContext, Case, select_sets
from tests.lab.detectors.conftest import run_in

N, K, JUDGED = 300, 4, 40


def verdict(row: int, given: int, guessed: int, votes: int) -> dict[str, Any]:
    """One item, `votes` of five for the given label."""
    names = {"given_original_label_name": str(given), "our_guessed_label_name": str(guessed)}
    labels = {"given_original_label": given, "our_guessed_label": guessed}
    mturk = {"given": votes, "guessed": 5 - votes, "neither": 0, "both": 0}
    return {"id": row, "url": f"https://labelerrors.com/static/cifar10/{row}.png", **labels, **names, "mturk": mturk}


def write_published(folder: Path, change: Any = None) -> np.ndarray:
    """``label_errors/cifar10`` with 40 judged items, half of them wrong; returns the wrong rows."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, K, N)
    logits = 3.0 * np.eye(K)[labels] + rng.normal(size=(N, K))
    rows = rng.choice(N, JUDGED, replace=False)
    logits[rows, (labels[rows] + 1) % K] += 3.0
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    items = [verdict(int(r), int(labels[r]), int((labels[r] + 1) % K), 1 if k % 2 else 4) for k, r in enumerate(rows)]
    if change:
        change(items)
    here = folder / "label_errors" / "cifar10"
    here.mkdir(parents=True)
    np.save(here / "original_labels.npy", labels.astype(np.uint16))
    np.save(here / "pyx.npy", p)
    (here / "mturk.json").write_text(json.dumps(items))
    return rows[1::2]


def case_of(context: BenchmarkContext) -> Case:
    (published,) = select_sets(["published-cifar10"])
    assert published.absent(context) is None
    return published.case(context, 0)


def test_truth_is_known_where_people_looked(context: BenchmarkContext, stored: Path) -> None:
    wrong = write_published(stored)
    case = case_of(context)
    assert case.judged is not None
    assert int(case.judged.sum()) == case.facts["judged"] == JUDGED
    assert np.array_equal(np.flatnonzero(case.wrong), np.sort(wrong))
    assert not (case.wrong & ~case.judged).any()
    document, drawn = measure_case(case, 20)
    rows = {(row["tool"], row["what"]): row for row in document["rows"]}
    ours = rows["auditor", "default"]
    assert 0.2 < ours["P@50"] < 0.8
    assert 0.4 < ours["judged@50"] <= 0.8  # 40 of 50 at most
    assert "P@50" in drawn
    assert rows["cleanlab", "score self_confidence"]["P@100"] is not None


def twice(items: list[dict[str, Any]]) -> None:
    items.append(dict(items[0]))


def other_label(items: list[dict[str, Any]]) -> None:
    items[3]["given_original_label"] = (items[3]["given_original_label"] + 1) % K


def outside(items: list[dict[str, Any]]) -> None:
    items[0]["id"] = N


@pytest.mark.parametrize("change", [twice, other_label, outside])
def test_verdicts_of_other_data_are_refused(change: Any, context: BenchmarkContext, stored: Path) -> None:
    write_published(stored, change)
    with pytest.raises((DataError, LabelError), match=r"judge|verdict|id"):
        case_of(context)


@pytest.mark.parametrize("name", ["cifar100", "caltech256", "imdb", "amazon"])
def test_sets_without_probabilities_say_so(name: str, context: BenchmarkContext, stored: Path) -> None:
    write_published(stored)
    (published,) = select_sets([f"published-{name}"])
    assert "pyx.npy" in str(published.absent(context))
    (stored / "label_errors" / name).mkdir(exist_ok=True)
    (stored / "label_errors" / name / "mturk.json").write_text("[]")
    assert "mturk.json" not in str(published.absent(context))


def test_first_page_counts_judged_items_only() -> None:
    rng = np.random.default_rng(3)
    wrong, judged, score = rng.random(400) < 0.3, rng.random(400) < 0.5, rng.normal(size=400)
    wrong &= judged
    result = MethodResult("a", "b", score, None, 0.1)
    row = figures(result, wrong, np.arange(400), judged)
    first = np.argsort(-score)[:50]
    assert row["judged@50"] == pytest.approx(judged[first].mean())
    assert row["P@50"] == pytest.approx(wrong[first].sum() / judged[first].sum())
    assert figures(result, wrong, np.arange(400))["P@50"] == pytest.approx(wrong[first].mean())
    assert figures(replace(result, score=score[:60]), wrong[:60], np.arange(60))["P@100"] is None  # fewer items
    drawn = resampled([result], wrong, np.arange(400), 20, judged)
    order = np.argsort(-score)
    for draw, weights in enumerate(_resamples(400, 20)):
        copies = np.repeat(order, weights[order].astype(int))[:100]
        assert drawn["P@100"][0, draw] == pytest.approx(wrong[copies].sum() / judged[copies].sum())


def test_report_shows_the_first_page_beside_cleanlabs(context: BenchmarkContext, stored: Path, tmp_path: Path) -> None:
    write_published(stored)
    result = run_in(tmp_path / "out", context, ["published-cifar10", "published-imdb"])
    notes = {(row["figure"], row["note"]) for row in result["comparisons"]}
    assert {("P@50", "cleanlab's order"), ("P@100", "cleanlab's order")} <= notes
    assert result["not run"][0]["set"] == "published-imdb"
    report = (tmp_path / "out" / "report.md").read_text()
    assert "## The first page" in report
    assert "published-cifar10 | 40" in report
