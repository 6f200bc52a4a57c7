"""RD against the steps of fine-tuning: cells, shared iterations, and whether what was expected held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from auditor.core.config import load_settings
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import read_json
from auditor.core.progress import SilentProgress
from auditor.lab.experiment.shell import MANIFEST, RESULTS, Workplace
from auditor.lab.prune.pruned import PrunedNetwork
from auditor.lab.prune.rd import distortion
from auditor.lab.prune.tuning import TuningExperiment, TuningOptions, compared, judged
from auditor.models.registry import build_model
from auditor.train.base import FitTask
from auditor.train.many import open_rows, ready
from auditor.train.published import final_network
from tests.colours import INPUT, NETWORK, make_images, save_network

BUDGET: dict[str, Any] = {"budget": "smoke", "device": "cpu"}


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A data set, and a network with weights for it."""
    root = tmp_path_factory.mktemp("tuning")
    images = make_images(root / "colours", train=60, test=10)
    return str(images), f"{NETWORK}@{save_network(root / 'net.safetensors')}{INPUT}"


def test_every_cell_stands_beside_the_others(
    colours: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, network = colours
    measured = []
    measure = distortion.measure_curves
    monkeypatch.setattr(distortion, "measure_curves", lambda *a: measured.append(a[3]) or measure(*a))
    asked = TuningOptions(network, (0.3,), (8, 0), ("rd-worst", "lamp"), data=data, seeds=2, **BUDGET)
    found = TuningExperiment(asked).run(Workplace(tmp_path, load_settings(), workers=1))
    cells = [(row["steps"], row["method"], row["asked"]) for row in found["rows"]]
    assert cells == [(s, m, p) for s in (0, 8) for m in ("rd-worst", "lamp") for p in (0.3,)]
    for row in found["rows"]:
        fits = 1 if row["steps"] == 0 else 2  # without training no seed changes anything
        assert len(row["accuracy_by_seed"]) == row["test_looks"] == fits
        assert row["over"] == ("test items" if fits == 1 else "seeds")
        assert row["sparsity"] >= row["asked"] - 1e-9
        assert row["reproduction"] == "not a reproduction"
        assert row["iterations"] == 2
    # Of the dense network once for all fits; then at the second iteration of each of RD's three.
    assert len(measured) == 1 + 3
    text = (tmp_path / "results.md").read_text()
    assert f"Expected before the run: {found['expectation']}" in text
    assert "held?" in text
    assert set(read_json(tmp_path / MANIFEST)["files"]) == {RESULTS, "results.md", "lead.svg", "plan.json"}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(PrunedNetwork, "fit", refuse)
    again = TuningExperiment(asked).run(Workplace(tmp_path, load_settings(), workers=1))
    assert again["rows"] == found["rows"]


def test_a_higher_sparsity_goes_on_from_the_iterations_of_a_lower_one(colours: tuple[str, str], tmp_path: Path) -> None:
    data, network = colours
    rows = open_rows(data, load_settings(), SilentProgress())

    def fit(folder: Path, sparsity: float) -> np.ndarray:
        trainer = PrunedNetwork.of(final_network(network, "smoke", "cpu"), "rd", sparsity, 0.2, "mean", 8)
        task = FitTask(f"net-{sparsity:g}", rows.train, rows.test, 3)
        return ready(trainer, rows.data, folder).fit(rows.data, task, SilentProgress(), None).probabilities

    alone = fit(tmp_path / "alone", 0.4)
    fit(tmp_path / "both", 0.3)
    trunk = next((tmp_path / "both").rglob("trunks/*.pt"))
    before = trunk.read_bytes()
    assert np.array_equal(fit(tmp_path / "both", 0.4), alone)
    assert trunk.read_bytes() != before
    trunk.write_bytes(b"damaged")
    assert np.array_equal(fit(tmp_path / "both", 0.4), alone)


@pytest.mark.parametrize("steps", [8, 25])
def test_an_iteration_takes_the_steps_that_were_asked_for(
    steps: int, colours: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.train.loop import TrainingLoop

    data, network = colours
    rows = open_rows(data, load_settings(), SilentProgress())
    seen: list[tuple[int, bytes]] = []
    train = TrainingLoop.run

    def run(self: TrainingLoop) -> Any:
        seen.append((self.steps, self.task.train.tobytes()))
        return train(self)

    monkeypatch.setattr(TrainingLoop, "run", run)
    for method in ("lamp", "uniform"):
        made = PrunedNetwork.of(final_network(network, "smoke", "cpu"), method, 0.3, 0.2, None, steps)
        small = made.settings.model_copy(update={"batch": 4})
        trainer = ready(PrunedNetwork(made.dense, method, small, 0.3), rows.data, tmp_path)
        trainer.fit(rows.data, FitTask(f"{method}", rows.train, rows.test, 0), SilentProgress(), None)
    assert [n for n, _ in seen] == [steps if steps < 20 else steps + steps % 2] * 4
    lamp, uniform = seen[:2], seen[2:]
    assert lamp == uniform, "methods of a seed see the same images"
    assert lamp[0][1] != lamp[1][1], "images are drawn anew at every iteration"


def _lead(steps: int, low: float, high: float, asked: float = 0.95) -> dict[str, Any]:
    interval = [low / 100, high / 100]
    return {"method": "rd", "asked": asked, "steps": steps, "difference": sum(interval) / 2, "interval": interval}


@pytest.mark.parametrize(
    ("leads", "outcomes"),
    [
        ([_lead(36, 2, 4), _lead(360, -0.5, 0.5)], ["held", "held", "held"]),
        ([_lead(36, 0.5, 1), _lead(360, 1.2, 2)], ["held", "did not hold", "did not hold"]),
        ([_lead(36, -2, -1), _lead(360, -3, -2)], ["did not hold", "did not hold", "did not hold"]),
        ([_lead(36, -1, 4), _lead(360, -2, 1)], ["cannot be told"] * 3),
        ([_lead(0, 2, 4), _lead(117, 0, 0), _lead(36, 2, 4, 0.9)], ["not run"] * 3),
    ],
)
def test_an_expectation_is_judged_by_the_interval(leads: list[dict[str, Any]], outcomes: list[str]) -> None:
    assert [row["outcome"] for row in judged(leads)] == outcomes


def test_rd_is_compared_with_the_best_of_the_others_at_the_same_cell() -> None:
    right = {"rd": np.ones((1, 50)), "lamp": np.arange(50)[None] < 40, "erk": np.arange(50)[None] < 45}
    at = {"asked": 0.9, "steps": 0}
    cells = [{"name": n, "method": n, "accuracy": float(np.mean(r)), **at} for n, r in right.items()]
    cells.append({"name": "erk", "method": "uniform", "accuracy": 1.0, "asked": 0.9, "steps": 36})
    (lead,) = compared(cells, {name: np.asarray(r, bool) for name, r in right.items()})
    assert (lead["other"], lead["seeds"]) == ("erk", 1)
    assert lead["difference"] == pytest.approx(0.1)
    assert lead["interval"][0] < 0.1 < lead["interval"][1]


def test_impossible_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lamp"):
        TuningOptions("resnet20", methods=("rd", "lampp"))
    for methods in (("rd", "rd-worst"), ("lamp",)):
        with pytest.raises(UsageError, match="at least one of each"):
            TuningOptions("resnet20", methods=methods)
    with pytest.raises(UsageError, match="none twice"):
        TuningOptions("resnet20", sparsities=(0.9, 0.9))
    with pytest.raises(UsageError, match="at least 8 steps"):
        TuningExperiment(TuningOptions("resnet20", steps=(3,), budget="smoke")).run(Workplace(tmp_path / "out"))


def test_curves_are_kept_by_what_they_were_measured_on(tmp_path: Path) -> None:
    import torch

    model, images = build_model("resnet20", 3, 32, 0, width=4).eval(), distortion.noise_images(4, (8, 8), 0)
    rates = np.linspace(0, 1, 3)
    first = distortion.stored_curves(model, images, rates, None, tmp_path)
    again = distortion.stored_curves(model, images, rates, None, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for measure in distortion.MEASURES:
        for name, curve in first[measure].items():
            assert np.array_equal(curve.distortion, again[measure][name].distortion)
            assert np.array_equal(curve.kept, again[measure][name].kept)
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    distortion.stored_curves(model, images, rates, None, tmp_path)
    distortion.stored_curves(model, images[:2], rates, None, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
