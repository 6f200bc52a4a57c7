"""The grid end to end at the smallest budget, on real images."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from auditor.core.config import Settings
from auditor.core.errors import UnknownNameError
from auditor.core.files import read_json
from auditor.lab.cifake.command import grid
from auditor.lab.cifake.grid import experiment as cifake
from auditor.lab.cifake.grid.budgets import budget_for
from auditor.lab.cifake.grid.experiment import REPORT, GridExperiment
from auditor.lab.experiment.shell import RESULTS, Workplace
from auditor.lab.experiment.verdicts import page
from auditor.train.base import FitResult
from auditor.train.kept import kept_tasks

#: By the name of the one budget class that could pass for a reproduction.
SMALL = replace(budget_for("smoke"), name="paper", train=200, validation=100, final_train=200, test=100, seeds=2)
TIMES = ("started", "seconds", "grid_seconds", "fit_seconds")


@pytest.fixture(scope="module")
def settings(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dirs=(data_dir,), cache_dir=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.fixture(scope="module")
def finished(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("grid") / "run"
    return run_grid(folder, settings, 1), folder


def run_grid(folder: Path, settings: Settings, workers: int = 1) -> dict:
    return GridExperiment(SMALL, device="cpu").run(Workplace(folder, settings, workers=workers))


def timeless(results: dict) -> dict:
    kept = copy.deepcopy({k: v for k, v in results.items() if k not in TIMES})
    kept["final"].pop("seconds")
    for row in kept["networks"]:
        row.pop("seconds")
    return kept


def test_results_say_what_was_done(finished: tuple[dict, Path]) -> None:
    results, folder = finished
    assert read_json(folder / RESULTS) == results
    assert [row["stage"] for row in results["networks"]] == [1, 1, 2]
    assert len({row["topology"] for row in results["networks"]}) == 3
    merit = {row["topology"]: row["validation"]["accuracy"]["value"] for row in results["networks"]}
    assert merit[results["selected"]] == max(merit.values())
    first = [row for row in results["networks"] if row["stage"] == 1]
    assert merit[results["extractor"]] == max(merit[row["topology"]] for row in first)
    assert results["networks"][2]["topology"].startswith(results["extractor"].rsplit("-d", 1)[0])
    assert all(row["validation"]["n"] == 100 for row in results["networks"])
    assert results["published"]["accuracy"] == 0.9298
    assert results["reproduction"] is False


def test_test_items_are_looked_at_once_per_final_network(finished: tuple[dict, Path]) -> None:
    results, folder = finished
    assert results["final"]["test_looks"] == dict.fromkeys(results["final"]["tasks"], 1)
    assert len(results["final"]["tasks"]) == 2
    assert kept_tasks(folder / "final") == results["final"]["tasks"]
    assert kept_tasks(folder / "grid") == [], "36 networks are not kept, the chosen one is"
    views = {row["items"]: row for row in results["final"]["tests"]}
    assert views["all"]["n"] == 100
    assert views["all"]["n"] == views["without leaked"]["n"] + views.get("leaked only", {"n": 0})["n"]
    seeds = [m["accuracy"]["value"] for m in views["all"]["seeds"]]
    assert views["all"]["mean_accuracy"] == pytest.approx(np.mean(seeds))


@pytest.mark.slow
def test_parallel_runs_give_the_same(finished: tuple[dict, Path], settings: Settings, tmp_path: Path) -> None:
    assert timeless(run_grid(tmp_path / "two", settings, 2)) == timeless(finished[0])


def test_continued_runs_give_the_same(
    finished: tuple[dict, Path], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, folder = finished
    for broken in ("grid", "final"):  # as after a kill: one finished fit lost in each part
        stored = sorted((folder / broken / "results").glob("*.json"))
        stored[0].unlink()
    fits: list[str] = []
    from auditor.lab.cifake.grid.trainer import TopologyTrainer

    real = TopologyTrainer.fit

    def counted(self: TopologyTrainer, data, task, progress, checkpoints) -> FitResult:
        fits.append(task.name)
        return real(self, data, task, progress, checkpoints)

    monkeypatch.setattr(TopologyTrainer, "fit", counted)
    again = run_grid(folder, settings, 1)
    assert len(fits) == 2
    assert timeless(again) == timeless(results)


def test_selection_never_sees_a_test_item(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test labels the same topology is chosen, with the same validation figures."""
    data = cifake.open_cifake(settings, SMALL, 0)
    before = run_grid(tmp_path / "a", settings, 1)
    flipped = copy.copy(data.dataset)
    flipped.items = replace(
        data.dataset.items,
        labels=np.where(data.dataset.items.splits == "test", 1 - data.dataset.labels, data.dataset.labels),
    )
    monkeypatch.setattr(cifake, "open_cifake", lambda *_: replace(data, dataset=flipped))
    after = run_grid(tmp_path / "b", settings, 1)
    assert after["selected"] == before["selected"]
    assert [r["validation"] for r in after["networks"]] == [r["validation"] for r in before["networks"]]
    mean = [r["final"]["tests"][0]["mean_accuracy"] for r in (before, after)]
    assert sum(mean) == pytest.approx(1, abs=1e-5)


def test_report(finished: tuple[dict, Path]) -> None:
    results, folder = finished
    text = (folder / REPORT).read_text()
    assert "Not a reproduction" in text
    assert f"Compared with: {results['control']}" in text
    assert "0.9298" in text
    assert all(f"`{row['topology']}`" in text for row in results["networks"])
    small = page("grid", {**results, "budget": {**results["budget"], "name": "cpu"}})
    assert "**Not a reproduction**: the paper's blocks, epochs and way to choose are not known." in text
    assert "are not known, and the budget is a small one." in small


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="cifake"):
        grid("cifar")
    for name in ("standard", "hour"):  # the second is for single networks
        with pytest.raises(UnknownNameError, match="smoke, cpu, gpu10, paper"):
            budget_for(name)
