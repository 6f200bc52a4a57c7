"""Predictions of networks that are there already, from Python and by ``auditor predict``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import auditor  # noqa: E402
from auditor.core.errors import ClassOrderError, DataError, UsageError  # noqa: E402
from auditor.core.files import load_npz  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.data.open import open_dataset  # noqa: E402
from auditor.train.networks import open_network  # noqa: E402
from auditor.train.predict import predict  # noqa: E402
from tests.colours import INPUT, NETWORK, make_images, save_network  # noqa: E402
from tests.running import call  # noqa: E402


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("colours"), train=4, test=10)


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"{NETWORK}@{save_network(tmp_path_factory.mktemp('weights') / 'net.safetensors')}{INPUT}"


def test_predictions_and_what_is_said_of_them(images: Path, name: str, tmp_path: Path) -> None:
    dataset = open_dataset(f"{images}?split=test")
    probabilities, facts = predict(open_network(name), dataset, SilentProgress(), "cpu")
    assert probabilities.shape == (30, 3)
    assert (facts["items"], facts["accuracy"], facts["caution"]) == (30, 0.9, None)
    assert facts["interval"][0] < 0.9 < facts["interval"][1]
    assert facts["facts"]["source"] == "tests"
    _, facts = predict(open_network(name), open_dataset(images), SilentProgress(), "cpu")
    assert facts["caution"] == "12 of the items may be ones that it was trained on"
    _, facts = predict(open_network(f"{name}&seen=none"), open_dataset(images), SilentProgress(), "cpu")
    assert facts["caution"] is None
    swapped = save_network(tmp_path / "net.safetensors", order=(2, 0, 1))
    with pytest.raises(ClassOrderError):
        predict(open_network(f"{NETWORK}@{swapped}{INPUT}"), dataset, SilentProgress(), "cpu")
    with pytest.raises(UsageError, match="predicts images"):
        predict(open_network(name), open_dataset({"x": [1.5, 2, 3, 4], "label": list("abab")}), SilentProgress(), "cpu")
    with pytest.raises(DataError, match=r"tells 3 classes apart; .* has 10"):
        predict(open_network(name), open_dataset("digits"), SilentProgress(), "cpu")


def test_the_command_writes_what_other_commands_read(images: Path, name: str, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    done = call("predict", name, images, "--out", out, "--json", "--quiet")
    assert done.document["schema"] == "auditor.predict/1"
    assert done.document["accuracy"] == 0.9
    arrays = load_npz(out)
    assert arrays["pred_probs"].shape == (30, 3)
    assert arrays["class_names"].tolist() == ["blue", "green", "red"]
    assert np.array_equal(arrays["ids"], open_dataset(f"{images}?split=test").ids.astype(str))
    assert "--pred-probs" in call("predict", name, images, "--out", out, "--overwrite").stderr
    assert len(auditor.flag(out, arrays["labels"]).flagged) == 3
    refused = call("predict", name, images, "--out", out, check=2)
    assert "exists already" in refused.stderr
    assert "must end in .npz" in call("predict", name, images, "--out", tmp_path / "p.csv", check=2).stderr
    said = call("predict", name, images, "--split", "train", "--out", tmp_path / "q.npz").stderr
    assert "75.00 % of 12 given labels" in said
    assert "may be ones that it was trained on" in said


def test_the_export_command(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    done = call("export", name, "--out", tmp_path / "net.onnx", "--json", "--quiet")
    assert done.document["input"]["shape"] == ["n", 3, 16, 16]
    assert (tmp_path / "net.onnx").is_file()
    assert "exists already" in call("export", name, "--out", tmp_path / "net.onnx", check=2).stderr
    said = call("export", name, "--out", tmp_path / "net.onnx", "--overwrite").stderr
    assert "onnxruntime gives the network's logits for 16 images" in said
    assert "must end in .onnx" in call("export", name, "--out", tmp_path / "net.pth", check=2).stderr
