"""ONNX files compute what the networks do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from auditor.core.errors import DataError, MissingExtraError  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train import export  # noqa: E402
from auditor.train.export import export_onnx  # noqa: E402
from auditor.train.kept import KeptNetwork  # noqa: E402
from tests.train.test_networks import BATCH, CASES, gated  # noqa: E402


def kept(model: torch.nn.Module) -> KeptNetwork:
    mean, std = (torch.full((1, 3, 1, 1), value) for value in (120.0, 60.0))
    return KeptNetwork("net", model.eval(), mean, std, (16, 16), 3, "net", {"source": "tests"})


def _searched(case: str) -> torch.nn.Module:
    genotype = CASES[case]
    return build_model(genotype.system, 3, 16, 0, variant=genotype)  # type: ignore[attr-defined]


SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ("nasnet", "proxyless", "eas")]


@pytest.mark.parametrize("kind", ["resnet20", "gated", "static", "eas-dense", *SLOW])
def test_onnxruntime_gives_the_logits_of_the_network(kind: str, tmp_path: Path) -> None:
    model = {"resnet20": lambda: build_model("resnet20", 3, 16, 0, width=4), "gated": gated}.get(kind)
    made = model() if model else gated("static") if kind == "static" else _searched(kind)
    network = kept(made)
    document = export_onnx(network, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    images = BATCH.transpose(0, 3, 1, 2).astype(np.float32)
    (logits,) = session.run(None, {"images": images})
    assert np.allclose(logits, network.logits(network.images(BATCH)).numpy(), atol=1e-3)
    assert document["input"]["shape"] == ["n", 3, 16, 16]
    assert document["compared"]["images"] == 16
    props = {p.key: p.value for p in onnx.load(str(tmp_path / "net.onnx")).metadata_props}
    assert json.loads(props["auditor"])["facts"] == {"source": "tests"}
    assert not network.model.training


def test_a_file_that_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Changing(torch.nn.Module):
        """Answers otherwise at every call."""

        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x.mean((2, 3)) + self.calls

    with pytest.raises(DataError, match="computes something else"):
        export_onnx(kept(Changing()), tmp_path / "net.onnx")
    monkeypatch.setattr(
        export, "require", lambda package, extra, why: (_ for _ in ()).throw(MissingExtraError(package, extra, why))
    )
    with pytest.raises(MissingExtraError, match=r"auditor\[onnx\]"):
        export_onnx(kept(torch.nn.Identity()), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
