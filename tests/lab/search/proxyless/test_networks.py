"""Networks of genotypes: the published ones by their figures, and those of a file through the ordinary training."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UnknownNameError, UnreadableError  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.lab.search.proxyless.settings import MobileSize, TreeSize  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.genotype import Genotype, write_genotype  # noqa: E402
from auditor.models.proxyless import MobileNetwork, TreeNetwork, mb_plan, tree_op, tree_widths  # noqa: E402
from auditor.models.proxyless_published import CIFAR, CPU, GPU, MOBILE, MOBILE_14, PUBLISHED  # noqa: E402
from auditor.models.registry import build_model, genotype_facts  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402

#: Folder with the authors' ``proxyless_{cifar,mobile,gpu}.config``, which are not part of this package.
CONFIGS = os.environ.get("AUDITOR_PROXYLESS_CONFIGS")


def test_published_cifar_network() -> None:
    network = build_model("proxyless", 10, 32, 0)
    maps = []
    network.norm.register_forward_hook(lambda _, __, output: maps.append(tuple(output.shape)))
    found = count(network)
    assert (found.parameters, round(found.macs / 1e6, 1)) == (5_731_530, 1213.2)
    assert maps == [(1, 400, 8, 8)]
    assert len(CIFAR.cells) == 54
    assert {len(cell) for cell in CIFAR.cells} == {12}
    assert len(set(CIFAR.cells)) == 54, "all cells differ"
    letters = Counter("".join(CIFAR.cells))
    assert letters == {"7": 116, "i": 96, "d": 90, "m": 89, "a": 89, "5": 85, "3": 83}


def test_bottleneck_widths() -> None:
    widths = tree_widths(CIFAR)
    assert widths[:4] == [18, 18, 20, 22]
    assert widths[-1] == 100
    assert widths == [2 * (round(16 + 84 * i / 54) // 2) for i in range(1, 55)]


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("mobile", 4.08, 320.4), ("mobile14", 6.86, 580.9), ("cpu", 4.36, 439.2), ("gpu", 7.12, 465.3)],
)
def test_published_imagenet_networks(name: str, parameters: float, macs: float) -> None:
    with torch.device("meta"):
        network = build_model(f"proxyless:{name}", 1000, 224, 0)
    assert network.genotype == PUBLISHED[name]
    found = count(network, (3, 224, 224))
    assert round(found.parameters / 1e6, 2) == parameters
    assert round(found.macs / 1e6, 1) == macs


def _config(name: str) -> dict:
    if CONFIGS is None:
        pytest.skip("not run: AUDITOR_PROXYLESS_CONFIGS names no folder with the authors' configs")
    return json.loads((Path(CONFIGS) / f"proxyless_{name}.config").read_text())


def _letter(layer: dict) -> str:
    if layer["name"] == "IdentityLayer":
        return "i"
    if layer["name"] == "PoolingLayer":
        return {"avg": "a", "max": "m"}[layer["pool_type"]]
    return "d" if layer["dilation"] == 2 else str(layer["kernel_size"])


def test_published_cells_equal_the_authors_config() -> None:
    cells = []
    for block in _config("cifar")["blocks"][1:-1]:
        (top,) = block["cell"]["child_nodes"]
        layers = []
        for node in top["child_nodes"]:
            layers += node["edges"] + [edge for child in node["child_nodes"] for edge in child["edges"]]
        cells.append("".join(map(_letter, layers)))
    assert tuple(cells) == CIFAR.cells


@pytest.mark.parametrize(
    ("name", "genotype"), [("mobile", MOBILE), ("mobile_14", MOBILE_14), ("cpu", CPU), ("gpu", GPU)]
)
def test_published_blocks_equal_the_authors_config(name: str, genotype: Genotype) -> None:
    config, found = _config(name), []
    for block in config["blocks"][1:]:
        layer = block["mobile_inverted_conv"]
        zero = layer["name"] == "ZeroLayer"
        found.append("zero" if zero else f"e{layer['expand_ratio']}k{layer['kernel_size']}")
    assert found == [block for block, *_ in mb_plan(genotype)]
    shapes = [
        (layer["in_channels"], layer["out_channels"], layer["stride"])
        for block in config["blocks"][1:]
        if (layer := block["mobile_inverted_conv"])["name"] != "ZeroLayer"
    ]
    assert shapes == [tuple(shape) for block, *shape in mb_plan(genotype) if block != "zero"]
    widths = [config[part]["out_channels"] for part in ("first_conv", "feature_mix_layer")]
    assert widths == [genotype.stem, genotype.head]
    assert config["blocks"][0]["mobile_inverted_conv"]["out_channels"] == genotype.first


def test_unknown_published_networks_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="mobile14"):
        build_model("proxyless:mobile-14", 10, 32, 0)


@pytest.mark.parametrize(("letter", "window"), [("3", 3), ("5", 5), ("7", 7), ("d", 5), ("a", 3), ("m", 3), ("i", 1)])
def test_operations_look_as_far_as_their_name_says(letter: str, window: int) -> None:
    torch.manual_seed(0)
    op = tree_op(letter, 4).double().eval()
    image = torch.rand(1, 4, 11, 11, dtype=torch.float64, requires_grad=True)
    centre = op(image)[0, :, 5, 5].sum()
    seen = torch.autograd.grad(centre, image)[0].abs().sum((0, 1)) > 0
    if letter == "m":  # the largest of the nine only
        assert op(image)[0, 1, 5, 5] == image[0, 1, 4:7, 4:7].max()
        return
    rows = seen.any(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == window
    if letter == "d":
        assert int(seen.sum()) == 9
    if letter == "a":
        assert torch.allclose(op(torch.ones(1, 4, 5, 5).double()), torch.ones(1, 4, 5, 5).double())


def test_a_cell_is_the_tree_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell against a recursive tree written from the specification."""
    torch.manual_seed(0)
    from auditor.models.proxyless import TreeCell

    cell = TreeCell(6, 1, lambda k: tree_op("7mdi5a3i7di5"[k], 6)).double().eval()
    for norm in cell.branch_norms:
        torch.nn.init.uniform_(norm.weight), torch.nn.init.uniform_(norm.bias)
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    wide = torch.nn.functional.conv2d(torch.relu(cell.norm(x)), cell.widen.weight, padding=1, groups=2)
    wide = torch.stack([wide[:, (c % 2) * 6 + c // 2] for c in range(12)], 1)  # channels of both groups alternate
    total = torch.zeros_like(x)
    for branch in range(2):
        half = wide[:, 6 * branch : 6 * branch + 6]
        own = cell.edges[6 * branch : 6 * branch + 6]
        child = sum(own[2 * (k + 1) + j](own[k](half)) for k in range(2) for j in range(2))
        total = total + cell.branch_norms[branch](child) + half
    assert torch.allclose(cell(x), total, rtol=0, atol=1e-12)


TREE = TreeSize(1, 4, 6).template().model_copy(update={"cells": ("7mdi5a3i7di5",) * 3})
MBCONV = MobileSize(4, 4, ((6, 2, 2), (8, 1, 2)), 12).template()


@pytest.mark.parametrize("genotype", [TREE, MBCONV], ids=["tree", "mbconv"])
def test_a_network_of_a_file_builds_and_trains_as_any_other(genotype: Genotype, tmp_path) -> None:
    path = tmp_path / "found.json"
    write_genotype(path, genotype, seed=0)
    name = f"proxyless:{path}"
    network = build_model(name, 3, 32, 0)
    assert isinstance(network, TreeNetwork if genotype is TREE else MobileNetwork)
    assert network.genotype == genotype
    random = np.random.default_rng(0)
    labels = np.arange(72) % 3
    pixels = random.integers(0, 60, (72, 16, 16, 3)) + 80 * labels[:, None, None, None]
    data = TrainingData("image", pixels.astype(np.uint8), labels, 3)
    trainer = ImageNetwork.from_budget("smoke", name, "cpu")
    assert trainer.recipe()["genotype_sha256"] == genotype_facts(name)["genotype_sha256"]
    result = trainer.fit(data, FitTask("net", np.arange(48), np.arange(48, 72), 0), SilentProgress(), None)
    assert result.probabilities.shape == (24, 3)
    assert np.allclose(result.probabilities.sum(1), 1, atol=1e-5)
    assert result.details["parameters"] == count(network).parameters


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "found.json"
    with pytest.raises(UnreadableError):
        build_model(f"proxyless:{path}", 3, 32, 0)
    path.write_text("{}")
    with pytest.raises(UnreadableError, match="not a genotype"):
        build_model(f"proxyless:{path}", 3, 32, 0)
    write_genotype(path, TREE.model_copy(update={"cells": ("iiii",) * 3}))
    with pytest.raises(UnreadableError, match="not a cell"):
        build_model(f"proxyless:{path}", 3, 32, 0)
