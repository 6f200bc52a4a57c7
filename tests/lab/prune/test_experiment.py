"""A whole pruning run on a small folder of images: table, comparisons, resumption, entries of a benchmark."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

from auditor.benchmark.training import make_entry, train_networks
from auditor.core.config import load_settings
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import read_json
from auditor.core.hashing import hash_file
from auditor.core.progress import SilentProgress
from auditor.lab.experiment.shell import MANIFEST, PLAN, RESULTS, Workplace
from auditor.lab.prune.dynamic import DynamicNetwork
from auditor.lab.prune.experiment import PruneExperiment, PruneOptions, compare, verdicts
from auditor.lab.prune.ftwt.gated import GatedNetwork
from auditor.lab.prune.pruned import PrunedNetwork
from auditor.lab.prune.report import FIGURE, SUMMARY
from auditor.lab.prune.settings import RD_SETTINGS, DenseSchedule, FtwtSettings, sparsity_path
from auditor.models.registry import build_model
from auditor.stats.seeds import mean_interval, paired
from auditor.train.base import FitTask
from auditor.train.batches import normalised
from auditor.train.final import FinalNetwork, slug
from auditor.train.many import open_rows, ready
from auditor.train.network_files import load_network, save_network
from auditor.train.networks import open_network
from tests.colours import INPUT, NETWORK, make_images
from tests.colours import save_network as save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours as classes."""
    root = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    for split, n in (("train", 24), ("test", 10)):
        for channel, name in enumerate(("red", "green", "blue")):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 160, (32, 32, 3))
                pixels[:, :, channel] += 90
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


def _run(folder: Path, out: Path, **options: object) -> dict:
    asked = PruneOptions(budget="smoke", device="cpu", data=str(folder), **options)  # type: ignore[arg-type]
    return PruneExperiment(asked).run(Workplace(out, load_settings(), workers=1))


def test_rd_beside_its_baselines(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _run(folder, tmp_path, network="resnet20", method="rd", sparsities=(0.75,), seeds=1)
    methods = [row["method"] for row in found["rows"]]
    assert methods == ["dense", "rd", "uniform", "uniform_plus", "erk", "lamp", "global"]
    budget = int(0.25 * 267_888)  # weights of ResNet-20 at three classes
    for row in found["rows"][1:]:
        details = found["fits"][row["name"]][0]
        assert details["nonzero_weights"] <= sum(details["kept"].values()) <= budget
        assert details["weights"] - details["nonzero_weights"] >= round(row["sparsity"] * details["weights"])
        assert row["sparsity"] == pytest.approx(0.75, abs=0.004)
        assert row["macs_masked"] < row["macs_dense"]
        assert row["macs_executable"] > row["macs_masked"]
        assert details["test_looks"] == 1
        assert details["reproduction"] == "not a reproduction"
        assert [step["sparsity"] for step in details["path"]] == sorted(step["sparsity"] for step in details["path"])
    # All fine-tune as often.
    assert len({len(found["fits"][row["name"]][0]["path"]) for row in found["rows"][1:]}) == 1
    assert "not a reproduction" in (tmp_path / SUMMARY).read_text()
    assert f"Expected before the run: {found['expectation']}" in (tmp_path / SUMMARY).read_text()
    assert "one seed" in found["verdict"][0]
    drawn = (tmp_path / FIGURE).read_text()
    assert all(f">{method}</text>" in drawn for method in methods)
    manifest = read_json(tmp_path / MANIFEST)
    assert manifest["schema"] == "auditor.prune-folder/1"
    assert set(manifest["files"]) == {RESULTS, SUMMARY, FIGURE, PLAN}
    assert read_json(tmp_path / PLAN)["expectation"] == found["expectation"]
    assert not re.search(r"speed.?up|faster than dense", (tmp_path / SUMMARY).read_text())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    before = (tmp_path / RESULTS).read_text()
    monkeypatch.setattr(PrunedNetwork, "fit", refuse)
    monkeypatch.setattr(FinalNetwork, "fit", refuse)
    again = _run(folder, tmp_path, network="resnet20", method="rd", sparsities=(0.75,), seeds=1)
    assert again["rows"] == found["rows"]
    assert (tmp_path / RESULTS).read_text() == before


def test_a_kept_network_is_the_one_that_predicted(folder: Path, tmp_path: Path) -> None:
    import torch

    name = "rd:resnet20@0.5"
    manifest = train_networks(
        str(folder),
        [name],
        tmp_path,
        seeds=1,
        budget="smoke",
        device="cpu",
        workers=1,
        settings=load_settings(),
        progress=SilentProgress(),
    )
    row = manifest["networks"][0]
    assert row["file"] == "predictions/rd-resnet20-0.5__seed0.npz"
    kept = tmp_path / "fits" / "shared-networks" / "pruned" / "rd-resnet20-0.5__seed0.safetensors"
    state, facts = load_network(kept)
    model = build_model("resnet20", 3, 32, 0)
    model.load_state_dict(state)
    zeros = sum(int((m.weight == 0).sum()) for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear))
    assert zeros == row["weights"] - row["nonzero_weights"]
    assert facts["sparsity"] == row["sparsity"]
    assert facts["name"] == name
    assert (facts["n_classes"], facts["input_size"], len(facts["input_mean"])) == (3, [16, 16], 3)


def test_pruning_starts_from_published_weights(tmp_path: Path) -> None:
    images = make_images(tmp_path / "colours", train=40, test=10)
    network = f"{NETWORK}@{save_colours(tmp_path / 'net.safetensors')}{INPUT}"
    found = _run(images, tmp_path / "out", network=network, method="global", sparsities=(0.5,), seeds=2, alone=True)
    dense, pruned = found["rows"]
    digest = hash_file(tmp_path / "net.safetensors").removeprefix("sha256:")[:8]
    assert [row["name"] for row in found["rows"]] == [f"{NETWORK}@{digest}", f"global:{NETWORK}@{digest}@0.5"]
    assert (dense["accuracy_by_seed"], dense["level"], pruned["level"]) == ([0.9], None, "0.5")
    assert len(pruned["accuracy_by_seed"]) == pruned["against_dense"]["seeds"] == 2
    assert len(found["fits"][dense["name"]]) == 1
    weights = found["recipes"][pruned["name"]]["dense"]["weights"]
    assert (weights["sha256"], weights["source"]) == (hash_file(tmp_path / "net.safetensors"), "tests")
    # Trained on at its own size and normalisation, not by the statistics of the training images.
    kept = open_network(
        str(tmp_path / "out" / "fits" / "shared-networks" / "pruned" / f"global-{slug(network)}-0.5__seed0.safetensors")
    )
    assert kept.size == (16, 16)
    assert kept.mean.flatten().tolist() == [127.5] * 3


class _Killed(SilentProgress):
    """Ends the process' work at the n-th finished epoch, as a kill would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, task: str, done: float, note: str = "") -> None:
        self.left -= note.startswith("accuracy")
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "entry", [pytest.param("rd:resnet20@0.8", marks=pytest.mark.slow), "ftwt:vgg11_bn:w0.125@f0.3"]
)
def test_a_killed_fit_continues_to_the_same_result(folder: Path, tmp_path: Path, entry: str) -> None:
    rows = open_rows(str(folder), load_settings(), SilentProgress())

    def fit(place: Path, progress: SilentProgress) -> tuple[np.ndarray, dict]:
        trainer = ready(make_entry(entry, "smoke", "cpu"), rows.data, place)
        found = trainer.fit(rows.data, FitTask("net", rows.train, rows.test, 0), progress, None)
        return found.probabilities, found.details

    whole, facts = fit(tmp_path / "whole", SilentProgress())
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", _Killed(1))  # the dense epoch is done, the next one is not
    again, details = fit(tmp_path / "killed", SilentProgress())
    assert np.array_equal(again, whole)
    drop = {"seconds", "image_ms", "whole_network"}
    assert {k: v for k, v in details.items() if k not in drop} == {k: v for k, v in facts.items() if k not in drop}
    assert details["test_looks"] == 1
    if entry.startswith("ftwt"):
        state, kept = load_network(tmp_path / "killed" / "shared-networks" / "pruned" / "net.safetensors")
        gated = GatedNetwork(build_model("vgg11_bn:w0.125", 3, 32, 5), kept["r"]).eval()
        gated.load_state_dict(state)
        import torch

        mean, std = (torch.tensor(kept[f"input_{what}"])[None, :, None, None] for what in ("mean", "std"))
        images = normalised(torch.from_numpy(rows.data.features[rows.test]), tuple(kept["input_size"]), mean, std)
        with torch.no_grad():
            logits = (gated(images) + gated(images.flip(3))) / 2
        assert np.allclose(logits.softmax(1).numpy(), whole, atol=0.05)


def test_ftwt_beside_its_controls(folder: Path, tmp_path: Path) -> None:
    found = _run(folder, tmp_path, network="vgg11_bn:w0.125", method="ftwt", reductions=(0.3,), seeds=2)
    rows = {row["method"]: row for row in found["rows"]}
    assert list(rows) == ["dense", "ftwt", "ftwt_joint", "ftwt_uniform", "ftwt_static"]
    assert 0.3 <= rows["ftwt"]["reduction_estimated"] < 0.4
    assert rows["ftwt_uniform"]["reduction_estimated"] == pytest.approx(rows["ftwt"]["reduction_estimated"], abs=0.1)
    assert rows["ftwt_static"]["reduction_achieved"] == pytest.approx(rows["ftwt_static"]["reduction_estimated"])
    assert rows["ftwt_static"]["varying_filters"] == 0
    assert rows["ftwt_static"]["mask_accuracy"] is None
    assert rows["ftwt_static"]["constant_mask_accuracy"] is None
    text = (tmp_path / SUMMARY).read_text()
    for method in ("ftwt", "ftwt_joint", "ftwt_uniform"):
        details = found["fits"][rows[method]["name"]]
        for key in ("mask_accuracy", "constant_mask_accuracy"):  # what they are: tests/lab/prune/test_ftwt.py
            assert rows[method][key] == pytest.approx(np.mean([d[key] for d in details]))
        assert f"{100 * rows[method]['mask_accuracy']:.2f} | {100 * rows[method]['constant_mask_accuracy']:.2f}" in text
    assert found["gathered_execution"]["difference"] < 1e-4
    assert len(found["comparisons"]) == 3


def test_a_predictor_stays_as_it_is_after_the_cooldown() -> None:
    import torch

    from auditor.lab.prune.optim import GatedSteps

    backbone, predictor = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    settings = FtwtSettings(epochs=1, rate=0.1, predictor_rate=0.1, predictors_by="sgd", milestones=(0.5,))
    steps = GatedSteps(backbone.parameters(), predictor.parameters(), 10, 4, settings)
    x = torch.ones(4, 3)
    (backbone(x).sum() + predictor(x).sum()).backward()
    steps.step(0)
    frozen = predictor.weight.detach().clone()
    for done in range(1, 10):
        steps.zero_grad()
        backbone(x).sum().backward()
        steps.step(done)
    assert torch.equal(predictor.weight, frozen)


@pytest.mark.parametrize("momentum", [False, True])
def test_an_optimiser_keeps_zeros_only_with_masks(momentum: bool) -> None:
    import torch

    from auditor.lab.prune.masks import Masks
    from auditor.lab.prune.optim import GatedSteps, MeanAdamW

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    masks = Masks(model)
    masks.shrink({name: size // 2 for name, size in masks.sizes.items()})
    steps: GatedSteps | MeanAdamW = MeanAdamW(model, 0.01, 8)
    if momentum:
        steps = GatedSteps(model.parameters(), (), 5, 8, DenseSchedule(milestones=()))
    for done in range(5):
        steps.zero_grad()
        model(torch.randn(8, 6)).square().sum().backward()
        steps.step(done)
        assert masks.zeros() < 20  # decay and moments move them
        masks.apply()
        assert masks.zeros() == 20


@pytest.mark.parametrize(
    ("entry", "kind", "name"),
    [
        ("rd:resnet32@0.90", PrunedNetwork, "rd:resnet32@0.9"),
        ("global:resnet20@0.5", PrunedNetwork, "global:resnet20@0.5"),
        ("ftwt:vgg16_bn@r0.92", DynamicNetwork, "ftwt:vgg16_bn@r0.92"),
        ("ftwt_joint:vgg16_bn:w0.25@f0.4", DynamicNetwork, "ftwt_joint:vgg16_bn:w0.25@f0.4"),
    ],
)
def test_pruned_networks_are_entries(entry: str, kind: type, name: str) -> None:
    made = make_entry(entry, "cpu", "cpu")
    assert isinstance(made, kind)
    assert made.name == name


@pytest.mark.parametrize(
    "entry",
    ["rd:resnet32", "rd:resnet32@much", "rd:resnet32@1.5", "ftwt:vgg16_bn@0.92", "ftwt:vgg16_bn@r0", "rd:resnet99@0.5"],
)
def test_impossible_entries_are_refused(entry: str) -> None:
    with pytest.raises(UsageError):
        make_entry(entry, "cpu", "cpu")


def test_options_that_do_not_belong_together() -> None:
    with pytest.raises(UnknownNameError, match="lamp"):
        PruneOptions("resnet20", "lampp")
    with pytest.raises(UsageError, match="--flops"):
        PruneOptions("resnet20", "rd", reductions=(0.4,))
    with pytest.raises(UsageError, match="--sparsity"):
        PruneOptions("vgg16_bn", "ftwt", sparsities=(0.4,))


def test_the_schedule_is_monotone_and_ends_at_the_target() -> None:
    for settings in RD_SETTINGS.values():
        for target in (0.5, 0.8, 0.9, 0.955, 0.9885):
            path = sparsity_path(target, settings.step)
            assert path[-1] == target
            assert path == sorted(set(path))
            # None removes more of what is left than the step says, beyond what rounding a published sparsity makes.
            left = [1.0, *(1 - sparsity for sparsity in path)]
            assert all(1 - b / a <= settings.step + 0.05 for a, b in pairwise(left))
    official = [1 - 0.8**t for t in range(1, 21)]
    # The published sparsities, rounded as they are printed, take the official iterations: 14 and 20.
    for printed, iterations in ((official[-1], 20), (0.9885, 20), (0.955, 14), (0.2, 1), (0.36, 2), (0.3, 2)):
        path = sparsity_path(printed, 0.2)
        assert np.allclose(path[:-1], official[: iterations - 1])
        assert len(path) == iterations
    assert [len(sparsity_path(target, 0.5)) for target in (0.5, 0.75, 0.8, 0.9, 0.95)] == [1, 2, 3, 4, 5]


def test_intervals_and_verdicts() -> None:
    mean, low, high = mean_interval([0.7, 0.72, 0.74])
    assert mean == pytest.approx(0.72)
    assert high - mean == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)
    assert mean - low == pytest.approx(high - mean)
    rows = [
        {"method": m, "level": "0.9", "accuracy": float(np.mean(v)), "accuracy_by_seed": v}
        for m, v in (("rd", [0.60, 0.61, 0.62]), ("lamp", [0.70, 0.71, 0.721]), ("erk", [0.5, 0.6, 0.7]))
    ]
    compared = compare(rows, "rd")
    assert [row["other"] for row in compared] == ["lamp", "erk"]
    assert paired([1.0, 2.0], [0.5, 1.5]) == {"difference": 0.5, "interval": [0.5, 0.5], "seeds": 2}
    assert "is worse than the best of the others (lamp)" in verdicts(compared, "rd")[0]
    assert "not distinguishable" in verdicts([row for row in compared if row["other"] == "erk"], "rd")[0]


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    from auditor.core.errors import UnreadableError

    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="as a network kept by auditor"):
        load_network(tmp_path / "a.safetensors")
    model = build_model("resnet20", 3, 32, 0, width=4)
    save_network(tmp_path / "b.safetensors", model, {"sparsity": 0.5})
    state, facts = load_network(tmp_path / "b.safetensors")
    assert facts == {"sparsity": 0.5}
    assert set(state) == set(model.state_dict())
