"""Device and precision: chosen once, kept for the continuation, never at the cost of the network's state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.files import read_json  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train import device  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.crossval import run_tasks  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402


def test_trial_leaves_the_network_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("fastnet", 2, 32, 0, widths=(8, 8, 8)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert device.choose_precision(model, torch.randn(8, 3, 16, 16)) in ("fp32", "bf16")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(("slow", "expected"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_the_faster_precision_wins(monkeypatch: pytest.MonkeyPatch, slow: str, expected: str) -> None:
    clock = iter([0, 10, 20, 30, 40, 50, 60, 61, 62, 63, 64, 65] if slow == "fp32" else
                 [0, 1, 2, 3, 4, 5, 60, 70, 80, 90, 100, 110])  # fmt: skip
    monkeypatch.setattr(device.time, "perf_counter", lambda: next(clock))
    model = build_model("fastnet", 2, 32, 0, widths=(8, 8, 8))
    assert device.choose_precision(model, torch.randn(4, 3, 16, 16)) == expected


def test_without_bf16_arithmetic_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: False)
    assert device.known_precision("cpu") == "fp32"
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: True)
    assert device.known_precision("cpu") is None


def test_a_run_keeps_its_choice(cifar_piece: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = TrainingData("image", cifar_piece.features[:80], cifar_piece.labels[:80], 10)
    tasks = [FitTask(name, np.arange(60), np.arange(60, 80), 0) for name in ("a", "b")]
    trainer = replace(ImageNetwork.from_budget("smoke"), device="cpu")
    monkeypatch.setattr(device, "known_precision", lambda d: "fp32")
    run_tasks(trainer, piece, tasks[:1], folder=tmp_path)
    assert read_json(tmp_path / "choices.json")["choices"] == {"precision": "fp32"}
    monkeypatch.setattr(device, "known_precision", lambda d: "bf16")
    results = run_tasks(trainer, piece, tasks, folder=tmp_path)
    assert [r.details["precision"] for r in results] == ["fp32", "fp32"]
