"""What a budget class means: recipes of the papers, networks a method starts from, input that is refused early."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UsageError  # noqa: E402
from auditor.core.files import read_json  # noqa: E402
from auditor.lab.experiment.shell import RESULTS  # noqa: E402
from auditor.lab.experiment.verdicts import page  # noqa: E402
from auditor.lab.prune.dense import PaperDense, dense_for  # noqa: E402
from auditor.lab.prune.dynamic import FTWT_NETWORKS, DynamicNetwork  # noqa: E402
from auditor.lab.prune.experiment import PruneExperiment, PruneOptions  # noqa: E402
from auditor.lab.prune.ftwt.units import plan_of  # noqa: E402
from auditor.lab.prune.optim import MeanAdamW, dense_optimiser  # noqa: E402
from auditor.lab.prune.pruned import PrunedNetwork  # noqa: E402
from auditor.lab.prune.settings import FTWT_SETTINGS, DenseSchedule, paper_schedule  # noqa: E402
from auditor.models.registry import MODELS, build_model  # noqa: E402
from auditor.train.final import FinalNetwork  # noqa: E402


@pytest.mark.parametrize(
    ("network", "dense", "tuning", "optimiser"),
    [
        ("resnet32:conv", 50_000, 80_000, "adamw"),
        ("vgg16_bn", 20_000, 40_000, "adamw-constant"),
        ("densenet121", 80_000, 60_000, "adamw-constant"),
    ],
)
def test_paper_is_the_recipe_of_rd(network: str, dense: int, tuning: int, optimiser: str) -> None:
    made = PrunedNetwork.of(FinalNetwork.of(network, "paper", "cpu"), "rd", 0.955)
    assert isinstance(made.dense, PaperDense)
    training, schedule = made.dense.network.training, made.dense.schedule
    assert (schedule.optimiser, schedule.rate, training.batch, training.label_smoothing) == (optimiser, 3e-4, 100, 0)
    assert [s.scale for s in training.stages] == [1.0]
    # 45,000 images, 450 steps an epoch, rounded up to whole epochs.
    assert 0 <= 450 * training.stages[0].epochs - dense < 450
    tuner = made.tuner.training
    assert 0 <= 450 * tuner.stages[0].epochs - tuning < 450
    assert (made.settings.rate, tuner.batch, made.settings.step, made.settings.rates) == (3e-4, 100, 0.2, 101)
    assert (made.settings.grid, made.settings.calibration, made.settings.measure) == ("all", 1024, "worst")
    assert made.recipe()["dense"]["schedule"]["optimiser"] == optimiser


def test_paper_is_the_recipe_of_ftwt() -> None:
    made = DynamicNetwork.of(FinalNetwork.of("vgg16_bn", "paper", "cpu"), "ftwt", r=0.92)
    assert isinstance(made.dense, PaperDense)
    assert made.dense.schedule == DenseSchedule(
        epochs=200, batch=128, optimiser="sgd", rate=0.1, decay=5e-4, milestones=(0.405, 0.61, 0.755)
    )
    settings = made.settings
    assert (settings.epochs, settings.rate, settings.predictor_rate, settings.cooldown) == (200, 0.01, 0.1, 0.5)
    assert (settings.pool, settings.predictors_by) == ("max", "sgd")
    assert {FTWT_SETTINGS[b].predictors_by for b in ("smoke", "cpu", "gpu10")} == {"adam"}
    assert made.tuner.training.label_smoothing == 0


@pytest.mark.parametrize("network", ["resnet32:conv", "vgg16_bn", "densenet121"])
def test_the_papers_name_takes_its_network_its_method_and_its_settings(network: str) -> None:
    def made(name: str = network, method: str = "rd", budget: str = "paper", **changes: object) -> PrunedNetwork:
        return PrunedNetwork.of(FinalNetwork.of(name, budget, "cpu"), method, 0.955, **changes)  # type: ignore[arg-type]

    assert made().papers
    assert made().dense.papers
    others = [
        *(made(method=method) for method in ("rd_noise", "uniform", "erk", "lamp", "global")),
        *(made(budget=budget) for budget in ("smoke", "cpu", "gpu10")),
        made("resnet20:conv"),
        made("resnet32"),
        made(step=0.5),
        made(measure="mean"),
    ]
    assert not any(other.papers for other in others)
    for method, label in (("rd", "the paper's recipe"), ("lamp", "not a reproduction")):
        assert PruneExperiment(PruneOptions(network, method, budget="paper")).reproduction() == label
    assert PruneExperiment(PruneOptions(network, "rd", budget="paper", step=0.5)).reproduction() == "not a reproduction"


def test_a_page_at_paper_says_what_it_looked_at_and_what_is_held_out() -> None:
    document = read_json(Path(__file__).parents[3] / "reports" / "rebenchmark" / "rd" / RESULTS)
    usual = page("prune", document)
    assert "mean over the image and its mirror image" in usual
    assert "An iteration removes 50 %" in usual
    assert "held out here" not in usual
    settings = next(r["settings"] for r in document["recipes"].values() if "settings" in r)
    settings |= {"step": 0.2, "measure": "worst"}
    document["recipes"][document["network"]]["average_mirrored"] = False
    text = page("prune", {**document, "reproduction": "the paper's recipe"})
    assert "of the image alone, as published ones are" in text
    assert "An iteration removes 20 % of what is left. RD's curves are of the worst of 64 calibration images." in text
    assert "of which 2,000 images are held out here" in text


@pytest.mark.parametrize(
    ("network", "papers"), [("vgg16_bn", True), ("resnet56:average", True), ("mobilenet_v1", True), ("resnet56", False)]
)
def test_the_name_of_ftwts_paper(network: str, papers: bool) -> None:
    for method in ("ftwt", "ftwt_joint", "ftwt_uniform", "ftwt_static"):
        made = DynamicNetwork.of(FinalNetwork.of(network, "paper", "cpu"), method, r=0.9)
        assert made.papers == (papers and method in ("ftwt", "ftwt_joint"))
        assert not DynamicNetwork.of(FinalNetwork.of(network, "cpu", "cpu"), method, r=0.9).papers


def test_step_and_curves_can_be_asked_for_and_are_the_officials_at_paper() -> None:
    def settings(**asked: object) -> list[tuple[float, str]]:
        entries = PruneOptions("resnet20", "rd", (0.8, 0.9), **asked).entries()  # type: ignore[arg-type]
        made = [trainer.settings for trainer in entries.values() if isinstance(trainer, PrunedNetwork)]
        assert len(made) == 2 * 6  # the baselines' steps too, so that all fine-tune as often
        return sorted({(each.step, each.measure) for each in made})

    assert settings(budget="paper") == [(0.2, "worst")]
    assert settings(budget="cpu") == [(0.5, "mean")]
    assert settings(budget="cpu", step=0.2, worst_case_curve=True) == [(0.2, "worst")]
    assert settings(budget="paper", step=0.3, worst_case_curve=False) == [(0.3, "mean")]


def test_below_paper_all_start_from_the_network_of_the_benchmark() -> None:
    dense = FinalNetwork.of("resnet20", "cpu", "cpu")
    assert dense_for(dense, dynamic=False) is dense
    paper = dense_for(FinalNetwork.of("resnet20", "paper", "cpu"), dynamic=False)
    assert dense_for(paper, dynamic=False) is paper


def test_dense_optimisers_follow_their_schedules() -> None:
    layer = torch.nn.Linear(3, 1)
    cosine = dense_optimiser(layer, paper_schedule("resnet32", dynamic=False), 10, 100)
    assert isinstance(cosine, MeanAdamW)
    for done in (0, 50, 99):
        layer(torch.ones(2, 3)).sum().backward()
        cosine.step(done)
        rate = 3e-4 * (1 + math.cos(math.pi * done / 100)) / 2
        assert cosine.parts["adamw"].param_groups[0]["lr"] == pytest.approx(rate)
    for network in ("vgg16_bn", "densenet121"):
        constant = dense_optimiser(layer, paper_schedule(network, dynamic=False), 10, 100)
        for done in (0, 50, 99):
            constant.step(done)
            assert constant.parts["adamw"].param_groups[0]["lr"] == 3e-4
            assert constant.parts["adamw"].param_groups[0]["weight_decay"] == 0.01
    falling = dense_optimiser(layer, paper_schedule("vgg16_bn", dynamic=True), 10, 200)
    for done, rate in ((80, 0.1), (81, 0.01), (122, 1e-3), (151, 1e-4)):
        falling.step(done)
        assert falling.parts["backbone"].param_groups[0]["lr"] * 10 == pytest.approx(rate)
    group = falling.parts["backbone"].param_groups[0]
    assert (group["momentum"], group["weight_decay"] / 10, group["nesterov"]) == (0.9, pytest.approx(5e-4), False)


def test_the_networks_of_ftwt_are_those_it_is_described_for() -> None:
    known = []
    for name in MODELS.names():
        if name.startswith(("densenet", "nasnet", "inception", "googlenet")):
            continue  # slow to build; one of them is refused below
        with torch.device("meta"):  # shapes only
            model = build_model(name, 10, 32, 0)
        try:
            plan_of(model)
        except UsageError:
            continue
        known.append(name)
    assert sorted(known) == sorted(FTWT_NETWORKS)


@pytest.mark.parametrize("name", ["resnet18", "fastnet", "densenet121"])
def test_ftwt_refuses_other_networks_before_anything_is_trained(name: str) -> None:
    with pytest.raises(UsageError, match="not described"):
        DynamicNetwork.of(FinalNetwork.of(name, "cpu", "cpu"), "ftwt", reduction=0.4)


def test_mass_and_reduction_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="both"):
        PruneOptions("vgg16_bn", "ftwt", reductions=(0.4,), masses=(0.9,))
    dense = FinalNetwork.of("vgg16_bn", "cpu", "cpu")
    with pytest.raises(UsageError, match=r"mass r lies in .0, 1., not 0\."):
        DynamicNetwork.of(dense, "ftwt", r=0.0)
    with pytest.raises(UsageError, match=r"not 1\.2"):
        DynamicNetwork.of(dense, "ftwt", reduction=1.2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet20", "--method", "rdd"], "Did you mean"),
        (["resnet20", "--method", "rd", "--sparsity", "1.2"], "between 0 and 1, not 1.2"),
        (["resnet20", "--method", "rd", "--flops", "0.4"], "--sparsity"),
        (["resnet20", "--method", "rd", "--step", "1.5"], "between 0 and 1, not 1.5"),
        (["vgg16_bn", "--method", "ftwt", "--step", "0.2"], "--step and --worst-case-curve are for weight pruning"),
        (["vgg16_bn", "--method", "ftwt", "--mean-curve"], "--step and --worst-case-curve are for weight pruning"),
        (["fastnet", "--method", "ftwt"], "not described for 'fastnet'"),
        (["vgg16_bn", "--method", "ftwt", "--flops", "0.4", "--mass", "0.9"], "both"),
        (["resnet99"], "resnet"),
        (["resnet20", "--budget", "huge"], "budget"),
        (["resnet20", "--seeds", "0"], "--seeds"),
    ],
)
def test_bad_input_ends_with_a_message_and_a_code(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from auditor.cli.main import run

    with pytest.raises(SystemExit) as stopped:
        run(["prune", *arguments])
    assert stopped.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
