"""Recipes of papers: which network has which, what the loop makes of them, and who may carry the label."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import ConfigError, UsageError  # noqa: E402
from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.models.eas import PAPER_PLAIN, SMALL_DENSE  # noqa: E402
from auditor.models.genotype import write_genotype  # noqa: E402
from auditor.models.nasnet import NASNET_A, NasnetNetwork  # noqa: E402
from auditor.models.nasnet_ops import DropPath  # noqa: E402
from auditor.train import loop  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.batches import cut_squares  # noqa: E402
from auditor.train.final import AMOUNTS, FinalNetwork, paper_training  # noqa: E402
from auditor.train.optim import CosineSgd, Optimiser, usual_optimiser  # noqa: E402
from auditor.train.recipe import Recipe, Stage  # noqa: E402


@pytest.fixture(scope="module")
def genotypes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of found architectures, by kind."""
    folder = tmp_path_factory.mktemp("genotypes")
    made = {"nasnet": NASNET_A, "eas": PAPER_PLAIN, "eas-dense": SMALL_DENSE}
    for name, genotype in made.items():
        write_genotype(folder / f"{name}.json", genotype)
    return {name: f"{name.partition('-')[0]}:{folder / name}.json" for name in made}


def test_nasnet_at_paper_is_the_papers_recipe(genotypes: dict[str, str]) -> None:
    for name in ("nasnet_a:n6-f32", "nasnet_a", genotypes["nasnet"]):
        made = FinalNetwork.of(name, "paper", "cpu")
        recipe = made.network.training
        assert recipe.stages == (Stage(1.0, 600),)
        assert (recipe.batch, recipe.filter_rate, recipe.weight_decay, recipe.momentum) == (32, 0.025, 5e-4, 0.9)
        assert (recipe.schedule, recipe.clip, recipe.cutout, recipe.warmup) == ("cosine", 5.0, 16, 0.0)
        assert (recipe.auxiliary, recipe.final_keep, recipe.label_smoothing) == (0.4, 0.6, 0.0)
        assert made.papers
    assert not FinalNetwork.of("nasnet_a:n2-f8", "paper", "cpu").papers  # of no table of the paper


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "rate", "decay", "smoothing", "papers"),
    [
        ("eas", 300, 64, 0.1, 1e-4, 0.0, False),
        ("eas-dense", 300, 64, 0.1, 1e-4, 0.0, True),
        ("proxyless", 300, 256, 0.05, 4e-5, 0.1, False),
    ],
)
def test_the_other_papers(
    name: str, epochs: int, batch: int, rate: float, decay: float, smoothing: float, papers: bool, genotypes: dict
) -> None:
    made = FinalNetwork.of(genotypes.get(name, name), "paper", "cpu")
    recipe = made.network.training
    assert (recipe.stages[0].epochs, recipe.batch, recipe.filter_rate) == (epochs, batch, rate)
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.schedule) == (decay, smoothing, "cosine")
    assert made.papers == papers
    published = paper_training(made.name)
    assert published is not None
    assert bool(published.open) != papers, "what is open is said, and takes the label away"


def test_a_budget_class_alone_is_no_papers_recipe() -> None:
    for name in ("resnet20", "fastnet", "vgg16_bn:w0.25", "mobilenet_v2"):
        assert not FinalNetwork.of(name, "paper", "cpu").papers
    for budget in ("smoke", "cpu", "gpu10"):
        made = FinalNetwork.of("nasnet_a:n6-f32", budget, "cpu")
        assert not made.papers
        assert made.network.training == FinalNetwork.of("resnet20", budget, "cpu").network.training
    asked = FinalNetwork.of("nasnet_a:n6-f32", "paper", "cpu")
    shorter = replace(asked.network.training, stages=(Stage(1.0, 599),))
    assert not replace(asked, network=replace(asked.network, training=shorter)).papers
    assert not FinalNetwork.of("eas:start-dense", "paper", "cpu").papers


def test_at_hour_a_network_is_trained_for_as_long_as_it_can_be_at_growing_sizes() -> None:
    epochs = {}
    for name in ("vgg16_bn:w0.25", "mobilenet_v1", "densenet121:g8", "nasnet_a:n1-f16", "proxyless:mobile", "eas"):
        made = FinalNetwork.of(name, "hour", "cpu")
        training = made.network.training
        assert [stage.scale for stage in training.stages] == [0.5, 0.75, 1.0]
        assert made.network.precision == "auto", "bf16 where the hardware has it"
        assert not made.papers
        epochs[name] = sum(stage.epochs for stage in training.stages)
        assert training.batch == 128
    assert epochs == dict(zip(epochs, (59, 18, 13, 11, 16, 50), strict=True))
    assert FinalNetwork.of("resnet20", "hour", "cpu").network.training.stages == AMOUNTS["hour"].stages
    narrow = paper_training("proxyless:cifar-w0.25")
    assert narrow is not None
    assert any("size" in reason for reason in narrow.open)


def test_hour_and_paper_predict_by_the_image_alone() -> None:
    for name in ("resnet20", "fastnet", "nasnet_a:n6-f32", "eas", "proxyless"):
        views = {budget: FinalNetwork.of(name, budget, "cpu").network.training.mirrored_views for budget in AMOUNTS}
        assert views == {"smoke": True, "cpu": True, "hour": False, "gpu10": True, "paper": False}
        assert FinalNetwork.of(name, "paper", "cpu").network.training.mirror  # in training


def test_newer_fields_change_no_older_recipe() -> None:
    plain = Recipe((Stage(1.0, 1),), 8, "sgd")
    assert set(plain.as_dict()) == set(Recipe.__dataclass_fields__) - {
        "average_mirrored",
        "schedule",
        "clip",
        "cutout",
        "auxiliary",
        "final_keep",
    }
    assert replace(plain, cutout=4, average_mirrored=False).as_dict() == {
        **plain.as_dict(),
        "cutout": 4,
        "average_mirrored": False,
    }
    for wrong in ({"schedule": "cosine", "optimiser": "adam"}, {"clip": 1.0}, {"cutout": -1}, {"final_keep": 0.0}):
        with pytest.raises(ConfigError):
            replace(plain, **wrong)


def _toys(n: int = 60, side: int = 32) -> TrainingData:
    """Train split, then test split; the class is the colour."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 3
    pixels = random.integers(0, 160, (n, side, side, 3))
    pixels[np.arange(n), :, :, labels] += 90
    return TrainingData("image", pixels.astype(np.uint8), labels, 3)


def _fit(name: str, monkeypatch: pytest.MonkeyPatch, epochs: int, **changes: object) -> tuple[dict, FinalNetwork]:
    """A network of `name` by its paper's recipe, but for the length and `changes`, on a few images; its details."""
    asked = FinalNetwork.of(name, "paper", "cpu")
    training = replace(asked.network.training, stages=(Stage(1.0, epochs),), **changes)  # type: ignore[arg-type]
    made = replace(asked, network=replace(asked.network, training=training))
    monkeypatch.setitem(AMOUNTS, "paper", replace(AMOUNTS["paper"], validation=12))
    task = FitTask("net", np.arange(48), np.arange(48, 60), 0)
    return made.fit(_toys(), task, SilentProgress(), None).details, made


def test_every_part_of_nasnets_recipe_is_exercised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop path moves along its schedule, the auxiliary head learns, squares are cut, the rate falls by a cosine."""
    shares: list[float] = []
    keeps: list[float] = []
    dropped: list[bool] = []
    cut: list[float] = []
    rates: list[float] = []
    heads: list[torch.Tensor] = []
    moved, forward, cutting, stepped = NasnetNetwork.set_progress, DropPath.forward, cut_squares, CosineSgd.step

    def set_progress(self: NasnetNetwork, share: float) -> None:
        moved(self, share)
        shares.append(share)
        last = [m for m in self.cells[-1].modules() if isinstance(m, DropPath)]
        keeps.append(last[0].keep)
        assert self.auxiliary is not None
        heads.append(next(self.auxiliary.parameters()).detach().clone())

    def drop(self: DropPath, x: torch.Tensor) -> torch.Tensor:
        y = forward(self, x)
        if self.training:
            dropped.append(bool(((y == 0).flatten(1).all(1) & ~(x == 0).flatten(1).all(1)).any()))
        return y

    def squares(images: torch.Tensor, *others: object) -> torch.Tensor:
        out = cutting(images, *others)  # type: ignore[arg-type]
        cut.append(float((out == 0).float().mean()))
        return out

    def step(self: CosineSgd, done: int) -> None:
        stepped(self, done)
        rates.append(self.parts["sgd"].param_groups[0]["lr"] * self.batch)
        assert self.clip == 5.0

    monkeypatch.setattr(NasnetNetwork, "set_progress", set_progress)
    monkeypatch.setattr(DropPath, "forward", drop)
    monkeypatch.setattr(loop, "cut_squares", squares)
    monkeypatch.setattr(CosineSgd, "step", step)
    details, made = _fit("nasnet_a:n1-f2", monkeypatch, 2)
    steps = len(rates)
    assert steps == 2 * (36 // 16)
    assert shares == [k / steps for k in range(steps)]
    assert keeps == pytest.approx([1 - k / steps * 0.4 for k in range(steps)])
    assert any(dropped)
    assert rates == pytest.approx([0.025 * (1 + math.cos(math.pi * k / steps)) / 2 for k in range(steps)])
    assert all(0.05 < share < 0.3 for share in cut)  # a quarter, less what lies outside
    assert not torch.equal(heads[0], heads[-1])
    # The auxiliary head is in training only: it is no part of the network that is counted and predicts.
    assert details["parameters"] == sum(p.numel() for p in NasnetNetwork(made_genotype(), 3).parameters())
    assert details["views"] == 1
    assert details["reproduction"] == "not a reproduction"  # two epochs of a size that is in no table
    assert not made.papers


@pytest.mark.parametrize("side", [20, 28, 32])
def test_the_auxiliary_head_fits_the_images_or_refuses_them(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = FinalNetwork.of("nasnet_a:n1-f2", "paper", "cpu")
    network = replace(asked.network, training=replace(asked.network.training, stages=(Stage(1.0, 1),)))
    data, task = _toys(40, side), FitTask("net", np.arange(30), np.arange(30, 40), 0)
    assert network.fit(data, task, SilentProgress(), None).details["views"] == 1
    with pytest.raises(UsageError, match="at most 32 px; these have 40 px"):
        network.fit(_toys(40, 40), task, SilentProgress(), None)


def made_genotype() -> object:
    return NASNET_A.model_copy(update={"cells": 1, "filters": 2})


def test_the_auxiliary_loss_is_weighed_as_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of the head's own parameters is 0.4 times that of its mean loss."""
    seen: list[torch.Tensor] = []

    def keep(self: CosineSgd, done: int) -> None:
        seen.append(self.parameters[-1].grad.clone() / self.batch)  # type: ignore[union-attr]

    monkeypatch.setattr(CosineSgd, "step", keep)
    for weight in (0.4, 0.8):
        _fit("nasnet_a:n1-f2", monkeypatch, 1, auxiliary=weight, final_keep=1.0, clip=0.0)
    first, second = seen[0], seen[len(seen) // 2]
    assert first.abs().sum() > 0
    assert torch.allclose(2 * first, second, rtol=1e-3, atol=1e-7)


def test_the_label_of_a_fit_follows_its_recipe(monkeypatch: pytest.MonkeyPatch, genotypes: dict[str, str]) -> None:
    """Of all the paper's recipe in everything but what a test can wait for: the label is compared with the recipe."""
    monkeypatch.setattr(FinalNetwork, "papers", property(lambda self: self.name == genotypes["eas-dense"]))
    for name, label in ((genotypes["eas-dense"], "the paper's recipe"), ("eas:start", "not a reproduction")):
        assert _fit(name, monkeypatch, 1)[0]["reproduction"] == label


def test_squares_are_a_function_of_seed_and_step_and_have_their_size() -> None:
    images = torch.ones(64, 3, 32, 32)
    out = cut_squares(images.clone(), 0.5, 3, 7)
    assert torch.equal(out, cut_squares(images.clone(), 0.5, 3, 7))
    assert not torch.equal(out, cut_squares(images.clone(), 0.5, 3, 8))
    assert not torch.equal(out, cut_squares(images.clone(), 0.5, 4, 7))
    for image in out:
        assert torch.equal(image[0], image[1])
        rows, columns = (image[0] == 0).any(1).nonzero()[:, 0], (image[0] == 0).any(0).nonzero()[:, 0]
        height, width = len(rows), len(columns)
        assert 8 <= height <= 16
        assert 8 <= width <= 16
        assert int((image[0] == 0).sum()) == height * width == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    areas = (out[:, 0] == 0).flatten(1).sum(1)
    assert areas.max() == 256  # whole where it lies inside
    half = cut_squares(torch.ones(8, 3, 16, 16), 0.5, 0, 0)
    assert int((half[:, 0] == 0).flatten(1).sum(1).max()) <= 64


def test_a_cosine_is_asked_for_by_the_recipe() -> None:
    model = torch.nn.Linear(2, 2)
    plain = Recipe((Stage(1.0, 1),), 8, "sgd")
    assert isinstance(usual_optimiser(model, plain, 8, 10, 5), Optimiser)
    cosine = usual_optimiser(
        model, replace(plain, schedule="cosine", filter_rate=0.2, clip=3.0, momentum=0.8), 8, 10, 5
    )
    assert isinstance(cosine, CosineSgd)
    assert (cosine.rate, cosine.clip) == (0.2, 3.0)
    assert cosine.parts["sgd"].param_groups[0]["momentum"] == 0.8


def test_a_killed_training_continues_with_its_drop_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(SilentProgress):
        left = 1

        def advance(self, task: str, done: float, note: str = "") -> None:
            if note:
                self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    asked = FinalNetwork.of("nasnet_a:n1-f2", "paper", "cpu")
    network = replace(asked.network, training=replace(asked.network.training, stages=(Stage(1.0, 3),)))
    data, task = _toys(48), FitTask("net", np.arange(36), np.arange(36, 48), 0)
    whole = network.fit(data, task, SilentProgress(), None).probabilities
    with pytest.raises(KeyboardInterrupt):
        network.fit(data, task, Killed(), tmp_path)
    assert np.array_equal(network.fit(data, task, SilentProgress(), tmp_path).probabilities, whole)
