"""Networks with published weights: what files they refuse, what they predict, and what they have seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from auditor.core.config import load_settings  # noqa: E402
from auditor.core.errors import (  # noqa: E402
    ClassOrderError,
    DataError,
    UnknownNameError,
    UnreadableError,
    UnsafeFileError,
    UsageError,
)
from auditor.core.hashing import hash_file  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.data.open import open_dataset  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train.choose import choose_second, make_trainer  # noqa: E402
from auditor.train.final import accuracy  # noqa: E402
from auditor.train.kept import load_kept  # noqa: E402
from auditor.train.many import fit_entries, open_rows, ready  # noqa: E402
from auditor.train.networks import open_network  # noqa: E402
from auditor.train.published import PublishedFinal, PublishedNetwork, final_network, open_published  # noqa: E402
from tests.colours import INPUT, NETWORK, colour_state, make_images, save_network  # noqa: E402


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("colours"), train=40, test=10)


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"{NETWORK}@{save_network(tmp_path_factory.mktemp('weights') / 'net.safetensors')}{INPUT}"


def test_a_network_predicts_what_its_file_holds(images: Path, name: str, tmp_path: Path) -> None:
    dataset = open_dataset(f"{images}?split=test")
    features, _ = dataset.load_images()
    network = open_network(name)
    probabilities = network.probabilities(features)
    assert probabilities.dtype == np.float32
    wrong = probabilities.argmax(1) != dataset.labels
    assert dataset.ids[wrong].tolist() == [i for i in dataset.ids.tolist() if i.endswith("/0.png")]
    some = np.array([3, 1, 20])
    assert np.allclose(network.probabilities(features, some), probabilities[some], atol=1e-6)
    assert network.probabilities(features, some[:0]).shape == (0, 3)
    pickled = open_network(f"{NETWORK}@{save_network(tmp_path / 'net.pth')}{INPUT}")
    assert np.array_equal(pickled.probabilities(features), probabilities)
    assert network.facts["sha256"] == hash_file(Path(network.facts["file"]))


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"

    def refused(state: dict, words: str, network: str = NETWORK) -> None:
        safetensors.save_file(state, file)
        with pytest.raises(UnreadableError, match=words):
            open_network(f"{network}@{file}{INPUT}")

    state = colour_state()
    refused(state, r"\d+ tensor\(s\) missing, e.g. 'stem", "resnet20")
    refused({k: v for k, v in state.items() if k != "features.0.bias"}, "1 tensor.s. missing, e.g. 'features.0.bias'")
    refused({**state, "more": torch.zeros(2)}, "1 tensor.s. that it has not, e.g. 'more'")
    refused(
        state,
        "of another shape, e.g. 'features.0.weight' with 16 x 3 x 3 x 3 instead of 32",
        "cifake_cnn:f32-c1-d32-n1",
    )
    refused({**state, "head.0.bias": torch.full((32,), float("nan"))}, "no finite numbers")
    refused({"a": torch.zeros(3)}, "missing")
    with pytest.raises(UnknownNameError):
        open_published(f"resnet65@{file}{INPUT}")


def test_doors_refuse_what_cannot_be_read(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "code.pth")
    (tmp_path / "folder.pth").mkdir()
    for file, error in (
        ("absent.pth", UnreadableError),
        ("folder.pth", UnreadableError),
        ("code.pth", UnsafeFileError),
    ):
        named = f"{NETWORK}@{tmp_path / file}{INPUT}"
        with pytest.raises(error):
            open_network(named)
        if error is UnreadableError:
            for door in (make_trainer, lambda n: final_network(n, "smoke")):
                with pytest.raises(error):
                    door(named)
    for library in ("torchvision", "timm"):
        with pytest.raises(UsageError, match=f"frozen:{library}:resnet18"):
            make_trainer(f"{library}:resnet18")


def test_the_trainer_trains_nothing_and_keeps_the_network(images: Path, name: str, tmp_path: Path) -> None:
    from auditor.train.base import FitTask
    from auditor.train.crossval import run_tasks

    rows = open_rows(str(images), load_settings(), SilentProgress())
    trainer = make_trainer(name, "smoke", "cpu")
    assert isinstance(trainer, PublishedNetwork)
    task = FitTask("seed-0", np.zeros(0, np.int64), rows.test, 5)
    (result,) = run_tasks(trainer, rows.data, [task], folder=tmp_path)
    assert accuracy(result.probabilities, rows.data.labels[rows.test]) == 0.9
    assert result.details["weights"]["source"] == "tests"
    assert (result.details["epochs"], result.details["views"]) == (0, 1)
    kept = load_kept(tmp_path, "seed-0")
    assert np.allclose(kept.probabilities(rows.data.features, rows.test), result.probabilities, atol=1e-6)
    with pytest.raises(DataError, match="tells 3 classes apart; the data set has 4"):
        trainer.check_items(4, np.array(["test"]))


@pytest.mark.parametrize(
    ("more", "splits", "words"),
    [
        ("", ["test"], None),
        ("", ["validation", "test"], None),
        ("", ["test", "train", "train"], "2 items of the split 'train'"),
        ("", ["all", "all"], "2 items of the data set without splits"),
        ("&seen=test", ["train"], None),
        ("&seen=test", ["test", "train"], "1 items of the split 'test'"),
        ("&seen=none", ["train", "all"], None),
    ],
)
def test_what_a_network_was_trained_on_is_not_audited(
    name: str, more: str, splits: list[str], words: str | None
) -> None:
    trainer = PublishedNetwork(open_published(name + more), "cpu")
    if words is None:
        assert trainer.check_items(3, np.array(splits)) == []
        return
    with pytest.raises(UsageError, match=words) as caught:
        trainer.check_items(3, np.array(splits))
    assert "in_sample=yes" in str(caught.value)
    (note,) = PublishedNetwork(open_published(f"{name}{more}&in_sample=yes"), "cpu").check_items(3, np.array(splits))
    assert words in note
    assert "labels that it learnt look right" in note


def test_a_network_without_training_is_no_first_of_two(name: str) -> None:
    first = make_trainer(name, "smoke", "cpu")
    with pytest.raises(UsageError, match="Swap them"):
        choose_second("pixels", first, False, "smoke", "image")
    second, _ = choose_second(name, make_trainer("pixels"), False, "smoke", "image", "cpu")
    assert second is not None
    assert second.name == first.name


def test_an_entry_of_a_benchmark_predicts_once_for_all_seeds(images: Path, name: str, tmp_path: Path) -> None:
    rows = open_rows(str(images), load_settings(), SilentProgress())
    entry = final_network(name, "smoke", "cpu")
    assert isinstance(entry, PublishedFinal)
    trainers = {entry.name: ready(entry, rows.data, tmp_path)}
    results = fit_entries(trainers, 3, rows, tmp_path, 1, SilentProgress())[entry.name]
    assert len(results) == 1
    assert accuracy(results[0].probabilities, rows.data.labels[rows.test]) == 0.9
    details = results[0].details
    assert details["reproduction"] == "published weights, not trained here"
    assert (details["test_looks"], details["image_size"], details["validation_seen"]) == (1, [16, 16], True)
    assert trainers[entry.name].recipe()["weights"]["sha256"] == details["weights"]["sha256"]


def test_the_usual_names_of_cifar_resnets(tmp_path: Path) -> None:
    ours = build_model("resnet20", 3, 32, 4).eval()
    usual = {}
    for stage in (1, 2, 3):
        for block in range(3):
            for k in (1, 2):
                for part in ("conv", "bn"):
                    for leaf in ("weight", "bias", "running_mean", "running_var"):
                        theirs = f"layer{stage}.{block}.{part}{k}.{leaf}"
                        if ours.own_name(theirs) in ours.state_dict():
                            usual[f"module.{theirs}"] = ours.state_dict()[ours.own_name(theirs)]
    for theirs in ("conv1.weight", *(f"bn1.{x}" for x in ("weight", "bias", "running_mean", "running_var"))):
        usual[f"module.{theirs}"] = ours.state_dict()[ours.own_name(theirs)]
    usual |= {f"module.linear.{x}": ours.state_dict()[f"head.{x}"] for x in ("weight", "bias")}
    torch.save({"state_dict": usual, "best_prec1": 91.7}, tmp_path / "resnet20.th")
    network = open_network(f"resnet20@{tmp_path / 'resnet20.th'}?mean=imagenet&std=imagenet&size=32")
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network.logits(batch), ours(batch))
    with pytest.raises(UnreadableError, match="missing"):
        open_network(f"resnet32@{tmp_path / 'resnet20.th'}?mean=imagenet&std=imagenet&size=32")


OPTIONS = {"rule": "prune_by_noise_rate", "progress": False, "quality": False, "device": "cpu", "workers": 1}
OPTIONS |= {"near_duplicates": False}


def test_find_errors_with_published_weights(images: Path, name: str, tmp_path: Path) -> None:
    import auditor

    run = auditor.find_errors(images, model=name, out=tmp_path / "run", **OPTIONS)
    assert sorted(run.findings["id"]) == sorted(f"test/{c}/0.png" for c in ("blue", "green", "red"))
    manifest = run.manifest
    assert manifest["plan"]["scheme"] == "published"
    assert "nothing is trained" in manifest["plan"]["description"]
    assert manifest["model"]["recipe"]["sha256"] == manifest["model"]["details"]["weights"]["sha256"]
    assert manifest["model"]["recipe"]["source"] == "tests"
    with pytest.raises(UsageError, match="120 items of the split 'train'"):
        auditor.find_errors(images, model=name, split="train", out=tmp_path / "train", **OPTIONS)
    assert not (tmp_path / "train").exists()
    with pytest.raises(UsageError, match="is not trained"):
        auditor.improve(run, progress=False)


@pytest.mark.slow
def test_what_was_learnt_is_audited_where_asked_for_and_swapped_classes_never(
    images: Path, name: str, tmp_path: Path
) -> None:
    import auditor

    asked = auditor.find_errors(images, model=f"{name}&in_sample=yes", split="train", out=tmp_path / "asked", **OPTIONS)
    assert any("may have been trained on 120 items" in note for note in asked.manifest["notes"])
    swapped = save_network(tmp_path / "swapped.safetensors", order=(2, 0, 1))
    with pytest.raises(ClassOrderError):
        auditor.find_errors(images, model=f"{NETWORK}@{swapped}{INPUT}", out=tmp_path / "swapped", **OPTIONS)
