"""Dynamics per batch and epoch; checkpoints that do not fit are not used."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.train.capture import DynamicsRecorder, summarise_logits  # noqa: E402
from auditor.train.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402


def test_summary_equals_numpy() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) * 5
    labels = np.arange(50) % 6
    given, other, lse = summarise_logits(torch.from_numpy(logits), torch.from_numpy(labels)).float().numpy()
    rest = logits.copy()
    rest[np.arange(50), labels] = -np.inf
    assert np.allclose(given, logits[np.arange(50), labels], rtol=1e-3)
    assert np.allclose(other, rest.max(1), rtol=1e-3)
    assert np.allclose(lse, np.log(np.exp(logits.astype(float)).sum(1)), rtol=1e-3)
    assert (lse >= np.maximum(given, other) - 1e-2).all()


def test_summary_stays_finite() -> None:
    huge = torch.tensor([[1e6, -1e6, 0.0]])
    assert torch.isfinite(summarise_logits(huge, torch.tensor([1]))).all()


def test_unvisited_items_stay_nan() -> None:
    recorder = DynamicsRecorder(3, 5, 4, "cpu")
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    recorder.begin_epoch()
    recorder.batch(torch.tensor([4, 1]), logits, torch.tensor([0, 0]))
    recorder.end_epoch(1)
    recorder.heldout_pass(2, torch.tensor([[1.0, 0.0]] * 4), torch.tensor([0, 1, 0, 1]))
    assert torch.isnan(recorder.train[:, [0, 2]]).all()
    assert torch.isnan(recorder.train[:, 1]).any(0).tolist() == [True, False, True, True, False]
    assert recorder.train[0, 1, [1, 4]].tolist() == [0.0, 2.0]
    assert recorder.train[1, 1, [1, 4]].tolist() == [3.0, 1.0]
    assert torch.isnan(recorder.heldout[:, :2]).all()
    assert recorder.heldout[0, 2].tolist() == [1.0, 0.0, 1.0, 0.0]
    recorder.begin_epoch()
    recorder.end_epoch(2)
    assert torch.isnan(recorder.train[:, 2]).all(), "rows of the previous epoch must not leak"


class _Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


def test_checkpoint_is_used_only_for_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pt"
    assert load_checkpoint(path, "k", "cpu") == (None, "")
    save_checkpoint(path, "k", {"x": torch.arange(3)})
    state, reason = load_checkpoint(path, "k", "cpu")
    assert reason == ""
    assert state is not None
    assert state["x"].tolist() == [0, 1, 2]
    state, reason = load_checkpoint(path, "other", "cpu")
    assert state is None
    assert "other data or another recipe" in reason
    path.write_bytes(path.read_bytes()[:-200])
    assert "cannot be read" in load_checkpoint(path, "k", "cpu")[1]
    torch.save({"schema": 1, "key": "k", "x": _Bomb()}, path)
    assert "cannot be read" in load_checkpoint(path, "k", "cpu")[1]
    path.write_bytes(pickle.dumps(_Bomb()))
    assert "cannot be read" in load_checkpoint(path, "k", "cpu")[1]
    assert not (tmp_path / "exploded").exists(), "a checkpoint ran code"
