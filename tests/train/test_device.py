"""Device and precision: decided by the hardware, chosen once, kept for the continuation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.files import read_json  # noqa: E402
from auditor.train import device  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.crossval import run_tasks  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp32")])
def test_the_hardware_decides_the_precision(monkeypatch: pytest.MonkeyPatch, has: bool, expected: str) -> None:
    """Never a timed trial: on a busy machine two runs of one command would differ."""
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: has)
    assert device.choose_precision("cpu") == expected


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_bf16_arithmetic_is_read_off_the_processor(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(device.torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    assert device.cpu_has_bf16()
    monkeypatch.setattr(device.torch.cpu, "get_capabilities", lambda: {"avx2": True, name: False, "amx_tile": True})
    assert not device.cpu_has_bf16()


def test_a_run_keeps_its_choice(cifar_piece: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = TrainingData("image", cifar_piece.features[:80], cifar_piece.labels[:80], 10)
    tasks = [FitTask(name, np.arange(60), np.arange(60, 80), 0) for name in ("a", "b")]
    trainer = replace(ImageNetwork.from_budget("smoke"), device="cpu")
    monkeypatch.setattr(device, "choose_precision", lambda d: "fp32")
    run_tasks(trainer, piece, tasks[:1], folder=tmp_path)
    assert read_json(tmp_path / "choices.json")["choices"] == {"precision": "fp32"}
    monkeypatch.setattr(device, "choose_precision", lambda d: "bf16")
    results = run_tasks(trainer, piece, tasks, folder=tmp_path)
    assert [r.details["precision"] for r in results] == ["fp32", "fp32"]
