"""Networks by name: files that say how to rebuild them, and what they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from auditor.core.config import load_settings  # noqa: E402
from auditor.core.errors import AuditorError, UnreadableError, UsageError  # noqa: E402
from auditor.core.hashing import hash_file  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.lab.prune.ftwt.gated import GatedNetwork  # noqa: E402
from auditor.models.genotype import write_genotype  # noqa: E402
from auditor.models.registry import build_model, stored_name  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.batches import ImageTensor  # noqa: E402
from auditor.train.final import FinalNetwork  # noqa: E402
from auditor.train.many import open_rows, ready  # noqa: E402
from auditor.train.network_files import input_facts, save_network  # noqa: E402
from auditor.train.networks import open_network  # noqa: E402
from tests.colours import make_images  # noqa: E402
from tests.models.test_genotype_names import CASES  # noqa: E402

INPUT = {"n_classes": 3, "input_size": [16, 16], "input_mean": [120.0, 110, 100], "input_std": [60.0, 61, 62]}
BATCH = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


def rebuild(network: str, **more: Any) -> dict[str, Any]:
    return {"rebuild": {"network": stored_name(network), "options": {}, "image_size": 32, **more}, **INPUT}


def gated(mode: str = "predict") -> Any:
    torch.manual_seed(3)
    network = GatedNetwork(build_model("vgg11_bn:w0.125", 3, 32, 1), 0.9, "joint", "mean")
    for predictor in network.predictors:
        torch.nn.init.normal_(predictor.weight, std=20.0)
        torch.nn.init.normal_(predictor.bias)
    network.fix({unit.name: torch.rand(unit.conv.out_channels) < 0.6 for unit in network.plan.units})
    network.mode = mode
    return network.eval()


def test_pruned_gated_and_plain_networks_come_back(tmp_path: Path) -> None:
    sparse = build_model("resnet20:average", 3, 32, 1, width=4).eval()
    with torch.no_grad():
        sparse.body[3].branch[0][0].weight[::2] = 0
    made = {
        "sparse": (sparse, rebuild("resnet20:average", options={"width": 4})),
        "gated": (gated(), rebuild("vgg11_bn:w0.125", wrapper=list(gated().wrapping()))),
        "static": (gated("static"), rebuild("vgg11_bn:w0.125", wrapper=list(gated("static").wrapping()))),
        "plain": (
            build_model("mobilenet_v1", 3, 32, 1, width=0.125).eval(),
            rebuild("mobilenet_v1", options={"width": 0.125}),
        ),
    }
    answers = []
    for name, (network, facts) in made.items():
        save_network(tmp_path / f"{name}.safetensors", network, {**facts, "name": name})
        again = open_network(str(tmp_path / f"{name}.safetensors"))
        images = again.images(BATCH)
        with torch.no_grad():
            assert torch.allclose(again.logits(images), network(images), atol=1e-5), name
        assert again.task == name
        assert again.facts["sha256"] == hash_file(tmp_path / f"{name}.safetensors")
        answers.append(again.probabilities(BATCH))
    assert not np.allclose(answers[1], answers[2]), "the masks of the images and the one for all differ"


@pytest.mark.parametrize("case", CASES)
def test_searched_networks_need_no_file_of_their_genotype(case: str, tmp_path: Path) -> None:
    genotype: Any = CASES[case]
    write_genotype(tmp_path / "found.json", genotype)
    name = f"{genotype.system}:{tmp_path / 'found.json'}"
    model = build_model(name, 3, 32, 5).eval()
    data = TrainingData("image", BATCH, np.arange(3), 3)
    images = ImageTensor(BATCH, "cpu", np.arange(3))
    trainer = FinalNetwork.of(name, "smoke", "cpu").network
    fitted: Any = SimpleNamespace(loop=SimpleNamespace(images=images), trainer=trainer, model=model, size=(16, 16))
    save_network(tmp_path / "net.safetensors", model, {"name": "found", **input_facts(fitted, data)})
    (tmp_path / "found.json").unlink()
    network = open_network(str(tmp_path / "net.safetensors"))
    assert network.model.genotype == genotype
    assert torch.allclose(network.images(BATCH), images.plain(torch.arange(3), (16, 16)))
    with torch.no_grad():
        assert torch.allclose(network.logits(network.images(BATCH)), model(network.images(BATCH)), atol=1e-5)


def test_a_benchmark_keeps_its_networks(tmp_path: Path) -> None:
    images = make_images(tmp_path / "data", train=12, test=2)
    rows = open_rows(str(images), load_settings(), SilentProgress())
    trainer = ready(FinalNetwork.of("eas:start", "smoke", "cpu"), rows.data, tmp_path)
    result = trainer.fit(rows.data, FitTask("net__seed0", rows.train, rows.test, 0), SilentProgress(), None)
    network = open_network(str(tmp_path / "shared-networks" / "networks" / "net__seed0.safetensors"))
    assert (network.task, network.n_classes, network.facts["test_looks"]) == ("eas:start", 3, 1)
    mirrored = network.images(rows.data.features[rows.test])
    logits = (network.logits(mirrored) + network.logits(mirrored.flip(3))) / 2
    assert np.allclose(logits.softmax(1).numpy(), result.probabilities, atol=0.05)  # bf16 where the processor has it


def test_files_from_before_they_said_how_to_rebuild_them(tmp_path: Path) -> None:
    dense = build_model("resnet20:conv", 3, 32, 1).eval()
    save_network(tmp_path / "rd.safetensors", dense, {**INPUT, "dense_network": "resnet20", "method": "rd"})
    assert "shortcut.0.weight" in " ".join(open_network(str(tmp_path / "rd.safetensors")).model.state_dict())
    network = gated()
    network.pool = "max"
    old = {**INPUT, "dense_network": "vgg11_bn:w0.125", "method": "ftwt", "r": 0.9, "ratio": None}
    save_network(tmp_path / "ftwt.safetensors", network, old)
    again = open_network(str(tmp_path / "ftwt.safetensors"))
    with torch.no_grad():
        assert torch.allclose(again.logits(again.images(BATCH)), network(again.images(BATCH)), atol=1e-5)


def test_what_is_no_network_that_could_predict(tmp_path: Path) -> None:
    model = build_model("mobilenet_v1", 3, 32, 1, width=0.125)
    good = rebuild("mobilenet_v1", options={"width": 0.125})
    wrong: dict[str, dict[str, Any]] = {
        "of another width": rebuild("mobilenet_v1"),
        "unknown network": rebuild("mobilenet_v9"),
        "unknown option": rebuild("mobilenet_v1", options={"depth": 3}),
        "unknown wrapper": rebuild("mobilenet_v1", options={"width": 0.125}, wrapper=["glued", {}]),
        "no deviation": {**good, "input_std": [0.0, 1, 1]},
        "huge images": {**good, "input_size": [10**6, 10**6]},
        "two numbers": {**good, "input_mean": [1.0, 2]},
        "nothing": {},
    }
    for facts in wrong.values():
        save_network(tmp_path / "net.safetensors", model, facts)
        with pytest.raises(AuditorError):
            open_network(str(tmp_path / "net.safetensors"))
    safetensors.save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"auditor": json.dumps([1])})
    with pytest.raises(UnreadableError):
        open_network(str(tmp_path / "other.safetensors"))
    for name in ("resnet20", "net.pth", str(tmp_path)):
        with pytest.raises(UsageError, match="names no network that could predict"):
            open_network(name)
    for name in ("absent.safetensors", "absent.weights.npz"):
        with pytest.raises(UnreadableError, match="No such file"):
            open_network(str(tmp_path / name))


def test_a_network_of_a_run_is_named_by_its_file(tmp_path: Path) -> None:
    from auditor.train.crossval import run_tasks
    from auditor.train.image_network import ImageNetwork
    from auditor.train.recipe import Recipe, Stage

    data = TrainingData("image", np.repeat(BATCH, 20, axis=0), np.arange(60) % 2, 2)
    recipe = Recipe(stages=(Stage(1.0, 1),), batch=16, optimiser="adam", filter_rate=1e-3, mirror=False, seeds=1)
    trainer = ImageNetwork(recipe, "cifake_cnn:f16-c1-d32-n1", device="cpu", precision="fp32")
    task = FitTask("fold-0", np.arange(40), np.arange(40, 60), 0)
    (result,) = run_tasks(trainer, data, [task], folder=tmp_path)
    network = open_network(str(tmp_path / "results" / "fold-0.weights.npz"))
    assert np.allclose(network.probabilities(data.features, task.predict), result.probabilities, atol=1e-4)
