"""Every published number, exactly (values: corrected-benchmark, sections 3 to 5, in published.json)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auditor.benchmark.inputs import Inputs, verdict_facts
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.result import BenchmarkResult
from auditor.benchmark.run import benchmark
from auditor.core.files import load_npy

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())
KEYS = ("checked", "non_errors", "errors", "non_agreement", "correctable", "multi_label", "neither")


@pytest.mark.parametrize("name", PUBLISHED["counts"])
def test_counts_sets_and_table_1(name: str, data_dir: Path) -> None:
    place = data_dir / "label_errors" / name
    labels, index = (place / f if (place / f).is_file() else None for f in ("original_labels.npy", "index.json"))
    for k, wanted in zip((3, 4, 5), PUBLISHED["counts"][name], strict=True):
        facts = verdict_facts(place / "mturk.json", k, labels, index, None, None)
        assert [facts["counts"][key] for key in KEYS] == wanted
        assert facts["checked_against_labels"] == (labels is not None)
        if name in PUBLISHED["sets"]:
            benign, correctable, unknown, pruned = PUBLISHED["sets"][name][k - 3]
            assert [facts[f"n_{s}"] for s in ("benign", "correctable", "unknown", "pruned")] == [
                benign,
                correctable,
                unknown,
                pruned,
            ]
            assert facts["prevalence"] == correctable / pruned
        if name in PUBLISHED["splits"]:
            assert list(facts["non_agreement_split"].values()) == PUBLISHED["splits"][name][k - 3]
        if k == 3 and name in PUBLISHED["table_1"]:
            table = facts["table_1"]
            size, percent, precision = PUBLISHED["table_1"][name]
            assert (table["size"], round(table["percent_error"], 4)) == (size, percent)
            assert round(table["precision"], 4) == precision


def test_a_sample_of_the_flagged_is_scaled_up(data_dir: Path) -> None:
    place = data_dir / "label_errors" / "amazon" / "mturk.json"
    table = verdict_facts(place, 3, None, None, 9_996_437, 533_249)["table_1"]
    assert table["estimated_errors"] == pytest.approx(390_338.268)
    assert table["percent_error"] == pytest.approx(3.9048, abs=5e-5)


@pytest.fixture(scope="module")
def results(cifar10: tuple[Inputs, list[Prediction]]) -> dict[int, BenchmarkResult]:
    inputs, predictions = cifar10
    return {k: benchmark(predictions, inputs.judged, inputs.given_labels, agreement=k, draws=2000) for k in (3, 4, 5)}


def test_thirteen_models_four_accuracies(results: dict[int, BenchmarkResult], data_dir: Path) -> None:
    labels = load_npy(data_dir / "label_errors" / "cifar10" / "original_labels.npy")
    for k, result in results.items():
        assert {m.name for m in result.models} == set(PUBLISHED["models"])
        for model in result.models:
            full, top_5, column_0, *sets = PUBLISHED["models"][model.name]
            benign, given, corrected = sets[3 * (k - 3) : 3 * (k - 2)]
            assert dict(model.n_correct) == {
                "full": full,
                "benign": benign,
                "correctable_original": given,
                "correctable_corrected": corrected,
            }
            assert model.top_k == {"k": 5, "full": top_5}
            assert model.full_original == full / 10_000
            assert model.pruned_original == (benign + given) / result.n_pruned
            assert model.pruned_corrected == (benign + corrected) / result.n_pruned
            assert model.correctable_original == given / result.n_correctable
            assert model.correctable_corrected == corrected / result.n_correctable
            stored = load_npy(data_dir / "predictions" / "cifar10" / f"{model.name}_top5preds.npy")
            assert int((stored[:, 0] == labels).sum()) == column_0 != full


def test_rank_correlations_and_crossovers(results: dict[int, BenchmarkResult]) -> None:
    wanted = {3: (0.9945, -0.5384, 37), 4: (1.0, -0.5728, 40), 5: (1.0, -0.7100, 37)}
    for k, (pruned, correctable, crossings) in wanted.items():
        found = results[k].rank_correlation
        assert found["pruned"]["spearman"] == pytest.approx(pruned, abs=5e-5)
        assert found["correctable"]["spearman"] == pytest.approx(correctable, abs=5e-5)
        assert len(results[k].crossovers) == crossings
        assert [(e["agreement"], e["crossovers"]) for e in results[k].by_agreement] == [(3, 37), (4, 40), (5, 37)]
    first = results[3].crossovers[0]
    assert {first["a"], first["b"]} == {"densenet169", "mobilenet_v2"}
    assert first["exact"] == "153/20045"


def test_vgg_11_overtakes_vgg_19(results: dict[int, BenchmarkResult]) -> None:
    wanted = {
        3: ("297/5270", 5.4550, 0.9697, (0.027, 0.223), 0.97, (6, 1), 0.125),
        4: ("1071/10963", 9.6985, 0.9935, (0.021, 0.119), 0.62, (2, 1), 1.0),
        5: ("144/3413", 4.1886, 0.9931, (0.014, 0.054), 0.71, (1, 0), 1.0),
    }
    for k, (exact, points, removed, limits, share, discordant, p) in wanted.items():
        (found,) = [c for c in results[k].crossovers if (c["a"], c["b"]) == ("vgg11_bn", "vgg19_bn")]
        assert found["exact"] == exact
        assert found["increase_points"] == pytest.approx(points, abs=1e-4)
        assert found["benign_removed"] == pytest.approx(removed, abs=5e-5)
        assert found["interval"]["low"] == pytest.approx(limits[0], abs=0.003)
        assert found["interval"]["high"] == pytest.approx(limits[1], abs=0.012)
        assert found["interval"]["share_of_draws"] == pytest.approx(share, abs=0.03)
        assert (found["correctable_a_only"], found["correctable_b_only"]) == discordant
        assert found["p_correctable"] == pytest.approx(p)
        assert not found["significant"]
        original = [c for c in results[k].crossovers_original if {c["a"], c["b"]} == {"vgg11_bn", "vgg19_bn"}]
        assert original == []


def test_closed_form_and_simulation(results: dict[int, BenchmarkResult]) -> None:
    curves = results[3].curves
    assert curves is not None
    grid = np.round(curves["prevalence"], 6).tolist()
    assert grid[0] == 0.001807
    for name in ("vgg11_bn", "vgg19_bn", "resnet18", "resnet50", "vgg13_bn", "googlenet"):
        for side, wanted in zip(("corrected", "original"), PUBLISHED["curves"][name], strict=True):
            line = curves["models"][name][side]
            found = [round(float(line[grid.index(n)]), 6) for n in PUBLISHED["curves"]["grid"]]
            assert found == wanted
    for result in results.values():
        assert result.simulation is not None
        assert result.simulation["agrees"]


def test_nothing_on_cifar10_is_real(results: dict[int, BenchmarkResult]) -> None:
    for result in results.values():
        assert result.n_flips_real == result.n_flips_correctable_real == 0
        assert not any(c["significant"] for c in result.crossovers)
        assert result.selection["circular"] == []
    assert [(f["a"], f["b"]) for f in results[3].flips] == [("mobilenet_v2", "densenet121")]
    assert "0 of 1 rank changes are real" in results[3].headline


def test_rows_are_not_positions(cifar10: tuple[Inputs, list[Prediction]]) -> None:
    """The published file with removed noise removed positions of the verdict list; our sets remove the rows."""
    inputs, predictions = cifar10
    decision = inputs.judged.decide(3)
    wrong = np.flatnonzero(decision.state != 0)
    rows = inputs.judged.rows[wrong]
    assert not np.array_equal(rows, wrong)
    top = next(p.top1 for p in predictions if p.name == "vgg13_bn")
    right = top == inputs.given_labels.labels
    by_position = np.delete(right, wrong).mean()
    by_row = np.delete(right, rows).mean()
    assert by_position == pytest.approx(0.943093, abs=1e-6)
    assert abs(by_row - by_position) > 1e-3
