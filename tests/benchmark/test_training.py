"""Own networks for the benchmark: split, one look at the test items, resumption, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

from auditor.benchmark.training import MANIFEST, make_entry, parse_names, read_manifest, train_networks
from auditor.core.config import load_settings
from auditor.core.errors import EmptyDataError, UnknownNameError, UsageError
from auditor.core.files import load_npz, read_json
from auditor.core.progress import SilentProgress
from auditor.train.base import FitTask, TrainingData
from auditor.train.final import AMOUNTS, Amount, FinalNetwork, split_training, without_test
from auditor.train.image_network import ImageNetwork


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours as classes, 40 training and 12 test images each."""
    root = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    for split, n in (("train", 40), ("test", 12)):
        for channel, name in enumerate(("red", "green", "blue")):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 160, (32, 32, 3))
                pixels[:, :, channel] += 90
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


def _train(folder: Path, out: Path, names: list[str], **options: object) -> dict:
    arguments = {"seeds": 2, "budget": "smoke", "device": "cpu", "workers": 1, **options}
    return train_networks(str(folder), names, out, settings=load_settings(), progress=SilentProgress(), **arguments)


def test_files_conditions_and_resumption(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = _train(folder, tmp_path, ["fastnet", "resnet20"])
    files = sorted(p.name for p in (tmp_path / "predictions").iterdir())
    assert files == [f"{n}__seed{k}.npz" for n in ("fastnet", "resnet20") for k in (0, 1)]
    stored = {name: load_npz(tmp_path / "predictions" / name) for name in files}
    first = stored["resnet20__seed0.npz"]
    assert first["pred_probs"].shape == (36, 3)
    assert first["pred_probs"].dtype == np.float32
    assert np.allclose(first["pred_probs"].sum(1), 1, atol=1e-5)
    assert len(set(first["ids"].tolist())) == 36
    assert all(str(i).startswith("test/") for i in first["ids"])
    assert not np.array_equal(first["pred_probs"], stored["resnet20__seed1.npz"]["pred_probs"])
    assert manifest["reproduction"] == "not a reproduction"
    for row in manifest["networks"]:
        assert row["test_looks"] == 1
        assert row["reproduction"] == "not a reproduction"
        assert row["budget"] == "smoke"
        assert (row["images"], row["validation_images"]) == (60, 60)
        assert row["parameters"] > 0
        assert row["macs_per_image"] > 0
        assert row["precision"] in ("fp32", "bf16")
    assert read_manifest(tmp_path) == read_json(tmp_path / MANIFEST)
    assert read_manifest(tmp_path)["networks"] == manifest["networks"]

    trained: list[str] = []
    fit = FinalNetwork.fit

    def counted(self: FinalNetwork, data: object, task: FitTask, *rest: object) -> object:
        trained.append(task.name)
        return fit(self, data, task, *rest)

    monkeypatch.setattr(FinalNetwork, "fit", counted)
    again = _train(folder, tmp_path, ["resnet20", "fastnet"], seeds=1)
    assert trained == []
    assert sorted(p.name for p in (tmp_path / "predictions").iterdir()) == ["fastnet__seed0.npz", "resnet20__seed0.npz"]
    assert np.array_equal(load_npz(tmp_path / "predictions" / "resnet20__seed0.npz")["pred_probs"], first["pred_probs"])
    assert [row["sha256"] for row in again["networks"]] == [manifest["networks"][i]["sha256"] for i in (2, 0)]
    _train(folder, tmp_path, ["fastnet"], seeds=3)
    assert trained == ["fastnet__seed2"]


@pytest.mark.slow
def test_workers_do_not_change_a_result(folder: Path, tmp_path: Path) -> None:
    one = _train(folder, tmp_path / "one", ["fastnet", "resnet20"], seeds=1)
    two = _train(folder, tmp_path / "two", ["fastnet", "resnet20"], seeds=1, workers=2)
    assert [r["sha256"] for r in one["networks"]] == [r["sha256"] for r in two["networks"]]


def test_validation_comes_from_the_train_split_and_is_the_same_for_every_amount() -> None:
    labels = np.arange(1000) % 10
    rows = np.arange(800)
    small = split_training(labels, rows, Amount(200, 100, (), 1, 0.1))
    large = split_training(labels, rows, Amount(None, 100, (), 1, 0.1))
    for train, validation in (small, large):
        assert not np.intersect1d(train, validation).size
        assert max(train.max(), validation.max()) < 800
        assert (np.bincount(labels[validation]) == 10).all()
    assert np.array_equal(small[1], large[1])
    assert (np.bincount(labels[small[0]]) == 20).all()
    assert len(large[0]) == 700


def test_training_never_sees_a_test_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TrainingData("image", np.zeros((150, 16, 16, 3), np.uint8), np.arange(150) % 3, 3)
    seen: list[TrainingData] = []

    def spy(self: ImageNetwork, inner: TrainingData, task: FitTask, *_: object) -> None:
        seen.append(inner)
        assert max(task.train.max(), task.predict.max()) < 120
        raise InterruptedError

    monkeypatch.setattr(ImageNetwork, "fit_network", spy)
    trainer = FinalNetwork.of("resnet20", "smoke", "cpu")
    with pytest.raises(InterruptedError):
        trainer.fit(data, FitTask("a", np.arange(120), np.arange(120, 150), 0), SilentProgress(), None)
    assert len(seen[0]) == len(seen[0].features) == 120
    with pytest.raises(UsageError, match="behind"):
        without_test(data, FitTask("a", np.arange(30, 150), np.arange(30), 0), AMOUNTS["smoke"])


def test_names_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="resnet18"):
        _train(tmp_path / "absent", tmp_path, ["resnet81"])
    with pytest.raises(UnknownNameError, match="method"):
        make_entry("nothing:resnet18", "cpu")
    with pytest.raises(UnknownNameError, match="budget class"):
        make_entry("resnet18", "quick")  # type: ignore[arg-type]
    assert parse_names(" resnet18, vgg11_bn,") == ["resnet18", "vgg11_bn"]
    for text in ("", "resnet18,resnet18"):
        with pytest.raises(UsageError, match="--train"):
            parse_names(text)


def test_data_without_a_test_split_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyDataError, match="train and test"):
        _train(folder / "train", tmp_path, ["fastnet"])


def test_every_budget_class_trains_every_network_alike() -> None:
    for budget in AMOUNTS:
        recipes = [make_entry(name, budget).recipe() for name in ("resnet18", "vgg11_bn", "mobilenet_v2")]
        assert len({str({k: v for k, v in r.items() if k != "network"}) for r in recipes}) == 1
