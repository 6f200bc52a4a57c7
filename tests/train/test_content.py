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
from auditor.train.content import _sources, content_hash

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


OWN_FILES = {
    "own_helper.py": "SHIFT = 1\n\ndef helper(x):\n    return x + SHIFT\n",
    "own_model.py": """
import own_helper
from sklearn.base import BaseEstimator
from torch import nn

POWER = 2
OTHER = {"not": "seen"}

class Base(BaseEstimator):
    def scale(self, x):
        return x * 3

class Model(Base):
    def predict(self, x):
        return own_helper.helper(self.scale(x)) ** POWER

class Module(nn.Module):
    def forward(self, x):
        return own_helper.helper(x) ** POWER

def function(x):
    return Model().predict(x)
""",
}


@pytest.mark.parametrize("kind", ["Model()", "Module()", "function", "[Model()]"])
@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("** POWER", "** -POWER", True),
        ("POWER = 2", "POWER = 20", True),
        ("x + SHIFT", "x - 1 - SHIFT", True),
        ("SHIFT = 1", "SHIFT = 10", True),
        ("x * 3", "x * 30", None),  # Module has no such base
        ("not", "another", False),
    ],
)
def test_code_in_files_of_the_caller_counts(
    kind: str, old: str, new: str, counts: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for before, after in (("", ""), (old, new)):
        for name, source in OWN_FILES.items():
            (tmp_path / name).write_text(source.replace(before, after) if before else source)
        importlib.invalidate_caches()
        for name in ("own_helper", "own_model"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        hashes.append(content_hash(eval(kind, vars(importlib.import_module("own_model")))))
    assert (hashes[0] != hashes[1]) == (kind != "Module()" if counts is None else counts)


def test_a_class_that_names_nothing_is_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that were kept before what a class names counted are found again."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_layers.py").write_text("from torch import nn\n\nclass Power(nn.Module):\n    exponent = 2\n")
    monkeypatch.delitem(sys.modules, "own_layers", raising=False)
    assert _sources(importlib.import_module("own_layers").Power) == ["class Power(nn.Module):\n    exponent = 2\n"]
    assert content_hash(nn.Linear(2, 2)) != content_hash(nn.ReLU())


@pytest.mark.parametrize(
    "part", [threading.Lock(), sys.stdout, (k for k in range(3))], ids=["lock", "file", "generator"]
)
def test_what_cannot_be_told_from_another_is_refused(part: Any) -> None:
    model = nn.Linear(2, 2)
    model.part = part
    with pytest.raises(UsageError, match="cannot be told from another one"):
        content_hash(model)
