"""The whole benchmark on tiny data: files, figures, continuation, intervals, the command."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from typer.testing import CliRunner

from auditor.cli.main import app
from auditor.core.errors import UsageError
from auditor.lab.detectors import benchmark
from auditor.lab.detectors.measure import _resamples, figures, resampled
from auditor.lab.detectors.methods import MethodResult
from auditor.lab.detectors.metrics import Ranked
from auditor.lab.detectors.sets import BenchmarkContext
from auditor.lab.detectors.summary import Cell, _difference
from tests.lab.detectors.conftest import run_in


@pytest.mark.parametrize("seeds", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_digits_end_to_end(training_context: BenchmarkContext, tmp_path: Path, seeds: int) -> None:
    out = tmp_path / "out"
    result = run_in(out, training_context, ["digits+symmetric", "text"], seeds=seeds)
    one = result["sets"]["digits+symmetric"]
    by_name = {(row["tool"], row["what"]): row for row in one["rows"]}
    assert one["seeds"] == seeds
    assert by_name["auditor", "default"]["AP"] > 0.95
    assert seeds == 1 or by_name["auditor", "default"]["AP sd"] > 0
    assert by_name["auditor", "default"]["F1"] > 0.9
    assert result["not run"][0]["set"] == "text"
    report = (out / "report.md").read_text()
    assert "not a reproduction" in report
    assert "noisy_agnews" in report
    assert json.loads((out / "results.json").read_text()) == result
    assert result["machine"]["cores"] >= 1
    assert result["versions"]["cleanlab"]
    assert set(json.loads((out / "manifest.json").read_text())["files"]) >= {"report.md", "plots/f1.svg"}
    for plot in ("average-precision.svg", "f1.svg"):
        assert ET.parse(out / "plots" / plot).getroot().tag.endswith("svg")


def test_a_killed_benchmark_continues(
    context: BenchmarkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sets = tmp_path / "out", ["oof-aggre:resnet18", "oof-aggre:resnet50d"]
    measured: list[int] = []
    real = benchmark.measure_case

    def counting(case: object, draws: int) -> object:
        measured.append(draws)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(case, draws)  # type: ignore[arg-type]

    monkeypatch.setattr(benchmark, "measure_case", counting)
    with pytest.raises(KeyboardInterrupt):
        run_in(out, context, sets)
    assert not (out / "results.json").exists()
    interrupted = run_in(out, context, sets)
    assert len(measured) == 3  # the first set was not measured again
    again = run_in(out, context, sets)
    assert len(measured) == 3
    assert again == interrupted
    run_in(out, context, sets, draws=30)
    assert len(measured) == 5  # another number of draws is another result


def test_changed_labels_are_measured_again(context: BenchmarkContext, tmp_path: Path, stored: Path) -> None:
    out = tmp_path / "out"
    before = run_in(out, context, ["oof-aggre:resnet18"])["sets"]["oof-aggre:resnet18"]
    clean = stored / "cifar10n" / "clean.npy"
    np.save(clean, np.load(clean)[::-1])
    after = run_in(out, context, ["oof-aggre:resnet18"])["sets"]["oof-aggre:resnet18"]
    assert after["errors"] != before["errors"]


def test_figures_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    wrong, score = rng.random(500) < 0.2, rng.normal(size=500)
    score[wrong] += 1
    flagged = score > 1
    row = figures(MethodResult("a", "b", score, flagged, 0.1), wrong, np.arange(500))
    assert row["AP"] == pytest.approx(average_precision_score(wrong, score))
    assert row["AUROC"] == pytest.approx(roc_auc_score(wrong, score))
    assert row["P@N"] == pytest.approx(wrong[np.argsort(-score)[: wrong.sum()]].mean())
    assert row["precision"] == pytest.approx(wrong[flagged].mean())
    assert row["F1"] == pytest.approx(2 * (wrong & flagged).sum() / (wrong.sum() + flagged.sum()))


def test_resampled_figures_equal_those_of_the_copied_items() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.2
    score = np.round(rng.normal(size=300) + wrong, 1)  # with many ties
    flagged = score > 1
    drawn = resampled([MethodResult("a", "b", score, flagged, 0.1)], wrong, np.arange(300), 20)
    ranked = Ranked.of(wrong, score, np.arange(300))
    for draw, weights in enumerate(_resamples(300, 20)):
        copies = np.repeat(np.arange(300), weights.astype(int))
        assert drawn["AP"][0, draw] == pytest.approx(average_precision_score(wrong[copies], score[copies]))
        assert drawn["P@N"][0, draw] == pytest.approx(ranked.precision_at(weights=weights))
        assert drawn["F1"][0, draw] == pytest.approx(f1_score(wrong[copies], flagged[copies]))


def test_no_flag_at_all_has_no_precision() -> None:
    row = figures(MethodResult("a", "b", None, np.zeros(4, bool), 0.1), np.array([1, 0, 0, 1], bool), np.arange(4))
    assert (row["precision"], row["recall"], row["F1"]) == (None, 0.0, 0.0)


def _cell(seed: int, gain: float) -> Cell:
    rng = np.random.default_rng(7)  # the same items for every seed
    wrong = rng.random(600) < 0.2
    noise = rng.normal(size=(2, 600))
    outcomes = [
        MethodResult("t", "good", noise[0] + (1 + gain) * wrong, None, 0.0),
        MethodResult("t", "poor", noise[1] + wrong, None, 0.0),
    ]
    rows = [figures(outcome, wrong, np.arange(600)) for outcome in outcomes]
    document = {"set": "s", "seed": seed, "methods": [o.name for o in outcomes], "rows": rows}
    return Cell(document, resampled(outcomes, wrong, np.arange(600), 200))


def test_intervals_over_seeds_are_wider_than_over_items() -> None:
    single = _difference([_cell(0, 1.0)], "AP", "t/good", "t/poor")
    alike = _difference([_cell(s, 1.0) for s in range(3)], "AP", "t/good", "t/poor")
    apart = _difference([_cell(s, gain) for s, gain in enumerate((0.2, 1.0, 1.8))], "AP", "t/good", "t/poor")
    width = lambda d: d["high"] - d["low"]  # noqa: E731
    assert single["low"] < single["difference"] < single["high"]
    assert width(alike) == pytest.approx(width(single))  # equal seeds add nothing
    assert width(apart) > width(single)
    assert apart["smallest"] < apart["difference"] < apart["largest"]
    same = _difference([_cell(0, 1.0)], "AP", "t/good", "t/good")
    assert (same["low"], same["difference"], same["high"]) == (0, 0, 0)


def test_wrong_calls_are_refused(context: BenchmarkContext, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="draws"):
        run_in(tmp_path / "out", context, ["digits"], draws=5)


def test_command(stored: Path, tmp_path: Path) -> None:
    arguments = ["benchmark-detection", "oof-aggre:resnet18", "cifar10n-aggre", "--data-dir", str(stored)]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*arguments, "--draws", "20", "--out", str(out), "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert list(document["sets"]) == ["oof-aggre:resnet18"]
    assert document["not run"][0]["set"] == "cifar10n-aggre"
    shown = CliRunner().invoke(app, [*arguments, "--list", "--json", "--quiet"])
    assert [row["state"] == "ready" for row in json.loads(shown.stdout)["sets"]] == [True, False]
