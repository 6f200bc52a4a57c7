"""Pruned, gated and searched networks that were kept load, predict, and are exported as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from auditor import open_network  # noqa: E402
from auditor.core.errors import DataError  # noqa: E402
from auditor.lab.prune.ftwt.gated import GatedNetwork  # noqa: E402
from auditor.lab.prune.masks import Masks  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train.export import export_onnx  # noqa: E402
from auditor.train.network_files import save_network  # noqa: E402
from tests.models.test_genotype_names import CASES  # noqa: E402


def _pruned() -> tuple[Any, dict[str, Any]]:
    model = build_model("resnet20", 3, 16, 0, width=4)
    masks = Masks(model)
    masks.shrink({name: size // 10 for name, size in masks.sizes.items()})
    return model, {"network": "resnet20:a", "options": {"width": 4}}


def _gated(mode: str) -> tuple[Any, dict[str, Any]]:
    torch.manual_seed(0)
    model = GatedNetwork(build_model("resnet20", 3, 16, 0, width=4), 0.7)
    for predictor in model.predictors:
        torch.nn.init.normal_(predictor.weight, std=3)  # type: ignore[arg-type]
    model.mode = mode  # type: ignore[assignment]
    return model, {"network": "resnet20:a", "options": {"width": 4}, "wrapper": list(model.wrapping())}


def _searched() -> tuple[Any, dict[str, Any]]:
    genotype: Any = CASES["eas-dense"]
    made = build_model(genotype.system, 3, 16, 0, variant=genotype)
    return made, {"network": "eas", "options": {}, "genotype": genotype.model_dump(mode="json")}


@pytest.mark.parametrize(
    "kind", [_pruned, *(pytest.param(lambda m=m: _gated(m), id=m) for m in ("predict", "static", "truth")), _searched]
)
def test_a_kept_network_predicts_and_is_exported(kind: Any, tmp_path: Path) -> None:
    model, rebuild = kind()
    facts = {"rebuild": {**rebuild, "image_size": 16}, "n_classes": 3, "input_size": [16, 16]}
    facts |= {"input_mean": [120.0] * 3, "input_std": [60.0] * 3}
    save_network(tmp_path / "net.safetensors", model, facts)
    network = open_network(str(tmp_path / "net.safetensors"))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
    with torch.no_grad():
        wanted = model.eval()(network.images(pixels)).softmax(1).numpy()
    assert np.allclose(network.probabilities(pixels), wanted, atol=1e-6)
    if getattr(model, "mode", "") == "truth":  # a control, whose targets are ranked by a sort that ONNX has not
        with pytest.raises(DataError, match="cannot be written as ONNX"):
            export_onnx(network, tmp_path / "net.onnx")
        return
    export_onnx(network, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": pixels.transpose(0, 3, 1, 2).astype(np.float32)})
    assert np.allclose(torch.from_numpy(logits).softmax(1).numpy(), wanted, atol=1e-4)
    assert wanted.argmax(1).tolist() == logits.argmax(1).tolist()
