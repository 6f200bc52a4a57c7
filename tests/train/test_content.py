"""The hash of a model: equal where content and code are, in every process; another where they are not."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from auditor.core.errors import UsageError
from auditor.core.hashing import hash_bytes
from auditor.train.content import content_hash

SCRIPT = """
import torch
from torch import nn
from auditor.train.content import content_hash

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.scale = {scale}
    def forward(self, x):
        return self.layer(x) * self.scale {more}

torch.manual_seed({seed})
print(content_hash(Net()))
"""


def test_a_class_of_the_script_is_its_code_weights_and_attributes(capfd: pytest.CaptureFixture[str]) -> None:
    def script(scale: float = 1.0, more: str = "", seed: int = 0) -> str:
        return SCRIPT.format(scale=scale, more=more, seed=seed)

    for source in (script(), script(), script(2.0), script(more="+ 1"), script(seed=1)):
        exec(source, {"__name__": "__main__"})
    first = capfd.readouterr().out.split()
    assert first[0] == first[1], "two classes of the same code, for which cloudpickle draws two numbers"
    assert len(set(first)) == 4


@pytest.mark.parametrize(
    "model", [LogisticRegression(C=2.0), make_pipeline(StandardScaler(), LogisticRegression()), sorted], ids=str
)
def test_of_models_without_tensors_it_is_what_it_was(model: Any) -> None:
    assert content_hash(model) == hash_bytes(cloudpickle.dumps(model))


def test_tensors_count_by_value() -> None:
    half = torch.arange(6.0).reshape(2, 3)
    assert content_hash(half) == content_hash(half.T.contiguous().T) == content_hash(half.clone())
    others = [half + 1, half.reshape(3, 2), half.double(), half.bfloat16(), half.int()]
    assert len({content_hash(tensor) for tensor in [half, *others]}) == 6


def test_the_source_of_a_file_of_the_caller_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file, hashes = tmp_path / "own_layers.py", []
    for power in (2, 30):  # of other lengths, so that Python sees the change within one second
        file.write_text(f"from torch import nn\n\nclass Power(nn.Module):\n    exponent = {power}\n")
        module = importlib.reload(importlib.import_module("own_layers"))
        hashes.append((content_hash(module.Power()), content_hash(module.Power(), own_files=True)))
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]
    assert content_hash(nn.Linear(2, 2), own_files=True) != content_hash(nn.ReLU(), own_files=True)


@pytest.mark.parametrize(
    "part", [threading.Lock(), sys.stdout, (k for k in range(3))], ids=["lock", "file", "generator"]
)
def test_what_cannot_be_told_from_another_is_refused(part: Any) -> None:
    model = nn.Linear(2, 2)
    model.part = part
    with pytest.raises(UsageError, match="cannot be told from another one"):
        content_hash(model)
