"""Masks, distortion, additivity and the other ways to share a budget."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.prune.baselines import BASELINES, lamp_scores  # noqa: E402
from auditor.lab.prune.layers import prunable_layers, steps_of  # noqa: E402
from auditor.lab.prune.masks import Masks, smallest_removed  # noqa: E402
from auditor.lab.prune.rd.allocate import allocate, choose_rates  # noqa: E402
from auditor.lab.prune.rd.distortion import additivity, measure_curves, noise_images  # noqa: E402
from auditor.lab.prune.settings import RD_SETTINGS  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402


def _resnet(seed: int = 0) -> nn.Module:
    return build_model("resnet20", 10, 32, seed, width=4).eval()


def test_rate_zero_costs_exactly_nothing_and_measuring_repeats() -> None:
    model, images = _resnet(), noise_images(8, (8, 8), 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = measure_curves(model, images, np.linspace(0, 1, 6))["mean"]
    again = measure_curves(model, images, np.linspace(0, 1, 6))["mean"]
    for name, curve in first.items():
        assert curve.distortion[0] == 0.0
        assert np.array_equal(curve.distortion, again[name].distortion)
        assert curve.distortion[-1] > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v1"])
@pytest.mark.parametrize("measure", ["mean", "worst"])
def test_prefix_caching_gives_what_the_whole_network_gives(name: str, measure: str) -> None:
    options = {"width": 4} if name == "resnet20" else {"width": 0.125}
    model = build_model(name, 10, 32, 1, **options).eval().to(memory_format=torch.channels_last)
    images = noise_images(6, (16, 16) if name == "mobilenet_v1" else (8, 8), 1)
    curves = measure_curves(model, images, np.linspace(0, 1, 4))[measure]
    with torch.no_grad():
        reference = model(images)
        for layer_name, layer in list(prunable_layers(model).items())[::6]:
            whole = layer.weight.clone()
            for i, kept in enumerate(curves[layer_name].kept):
                layer.weight.copy_(whole * smallest_removed(whole, int(kept)))
                each = (model(images) - reference).double().square().mean(1)
                layer.weight.copy_(whole)
                expected = each.mean() if measure == "mean" else each.max()
                assert curves[layer_name].distortion[i] == pytest.approx(float(expected), rel=1e-4, abs=1e-10)


def test_already_pruned_weights_cost_nothing() -> None:
    model = _resnet()
    masks = Masks(model)
    masks.shrink({name: size - int(0.4 * size) for name, size in masks.sizes.items()})
    images = noise_images(4, (8, 8), 0)
    curves = measure_curves(model, images, np.linspace(0, 1, 11))["mean"]
    for curve in curves.values():
        assert (curve.distortion[:5] == 0).all()
        assert curve.distortion[8] > 0
    # Over what is left: the same distortions at the same counts, and every point but the first removes something.
    left = measure_curves(model, images, np.linspace(0, 1, 5), left=masks.kept)["mean"]
    for name, now in masks.kept.items():
        assert left[name].kept.tolist() == [now - int(rate * now) for rate in (0, 0.25, 0.5, 0.75, 1)]
        assert left[name].distortion[0] == 0
        assert left[name].distortion[-1] == curves[name].distortion[-1] > 0


@pytest.mark.parametrize("grid", ["all", "left"])
def test_one_iteration_of_rd_only_shrinks_and_costs_what_it_says(grid: str) -> None:
    model, images = _resnet(4), noise_images(4, (8, 8), 0)
    masks = Masks(model)
    total = sum(masks.sizes.values())
    settings = RD_SETTINGS["smoke"].model_copy(update={"rates": 6, "grid": grid})
    for target in (0.5, 0.85):
        now, budget = masks.kept, int((1 - target) * total)
        kept, found = choose_rates(model, masks, images, budget, settings)
        assert sum(kept.values()) <= budget
        assert all(kept[name] <= now[name] for name in kept)
        curves = measure_curves(model, images, np.linspace(0, 1, 6), left=now if grid == "left" else None)["mean"]
        offered = {n: dict(zip(curves[n].kept.tolist(), curves[n].distortion, strict=True)) for n in kept}
        assert found.distortion == pytest.approx(sum(offered[n].get(k, 0.0) for n, k in kept.items()))
        masks.shrink(kept)


def test_noise_has_no_data_in_it_and_repeats() -> None:
    first = noise_images(400, (8, 8), 0)
    assert torch.equal(first, noise_images(400, (8, 8), 0))
    assert abs(float(first.mean())) < 0.01
    assert abs(float(first.std()) - 1) < 0.01


def test_every_layer_belongs_to_the_step_it_works_in() -> None:
    for name in ("resnet20", "vgg11_bn", "densenet121", "fastnet"):
        model = build_model(name, 10, 32, 0)
        chain, place = steps_of(model)
        assert list(place) == list(prunable_layers(model))
        assert max(place.values()) == len(chain) - 1
        assert list(place.values()) == sorted(place.values())


class _TwoBranches(nn.Module):
    """Each branch decides over logits of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 3), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.left(x[:, :6]), self.right(x[:, 6:])], 1)


def test_additivity_is_exact_for_branches_with_logits_of_their_own() -> None:
    torch.manual_seed(0)
    model = _TwoBranches()
    found = additivity(model, torch.randn(50, 12), {"left": 7, "right": 11})
    assert found["sum"] > 0
    assert found["ratio"] == pytest.approx(1, abs=1e-5)


def _trained_mlp() -> tuple[nn.Module, torch.Tensor]:
    """The toy of the specification: ReLU MLP without biases on ten Gaussian clusters."""
    random = torch.Generator().manual_seed(0)
    centres = 1.5 * torch.randn(10, 32, generator=random)
    labels = torch.arange(4000) % 10
    points = centres[labels] + torch.randn(4000, 32, generator=random)
    torch.manual_seed(0)
    widths = (32, 64, 64, 64, 10)
    parts: list[nn.Module] = []
    for a, b in pairwise(widths):
        parts += [nn.Linear(a, b, bias=False), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    sgd = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-3)
    for step in range(600):
        rows = torch.randint(0, 4000, (128,), generator=random)
        loss = nn.functional.cross_entropy(model(points[rows]), labels[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        assert step or loss > 1
    return model, points[:256]


def test_additivity_on_a_trained_network_holds_for_small_rates_only() -> None:
    model, points = _trained_mlp()
    ratios = {}
    for rate in (0.05, 0.1, 0.2, 0.5):
        kept = {
            n: layer.weight.numel() - int(rate * layer.weight.numel()) for n, layer in prunable_layers(model).items()
        }
        ratios[rate] = additivity(model, points, kept)["ratio"]
    assert all(0.75 <= ratios[rate] <= 1.35 for rate in (0.05, 0.1, 0.2)), ratios


def test_masks_are_monotone_and_the_sparsity_is_counted() -> None:
    model = _resnet()
    masks = Masks(model)
    before = {name: mask.clone() for name, mask in masks.masks.items()}
    random = torch.Generator().manual_seed(0)
    for rate in (0.3, 0.6, 0.9):
        masks.shrink({name: min(masks.kept[name], round((1 - rate) * size)) for name, size in masks.sizes.items()})
        for name, mask in masks.masks.items():
            assert not (mask & ~before[name]).any()
        before = {name: mask.clone() for name, mask in masks.masks.items()}
        assert masks.zeros() == sum(int((~mask).sum()) for mask in before.values())
        assert masks.sparsity == masks.zeros() / sum(masks.sizes.values())
        with torch.no_grad():  # what an optimiser does in between
            for layer in prunable_layers(model).values():
                layer.weight += 0.01 * torch.randn(layer.weight.shape, generator=random)
        masks.apply()
        assert masks.zeros() == sum(int((~mask).sum()) for mask in before.values())
    with pytest.raises(UsageError, match="left"):
        masks.shrink(masks.sizes)


def test_a_live_zero_never_takes_the_place_of_a_removed_weight() -> None:
    model = nn.Sequential(nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]))
    masks = Masks(model)
    masks.shrink({"0": 4})
    with torch.no_grad():
        model[0].weight[0, 0] = 0.0
    masks.shrink({"0": 4})
    assert masks.masks["0"].tolist() == [[True, True, True], [True, False, False]]
    masks.shrink({"0": 3})
    assert masks.masks["0"].tolist() == [[False, True, True], [True, False, False]]


def test_lamp_by_hand() -> None:
    # squares 1, 4, 4, 16: 1/25, 4/24 and 4/20 for the equal ones by position, 16/16.
    scores = lamp_scores(torch.tensor([[1.0, -2.0], [2.0, -4.0]]))
    assert torch.allclose(scores, torch.tensor([[1 / 25, 4 / 24], [4 / 20, 1.0]], dtype=torch.float64))
    assert not lamp_scores(torch.zeros(3)).any()


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_spend_the_budget_and_only_shrink(method: str) -> None:
    model = _resnet(2)
    masks = Masks(model)
    total = sum(masks.sizes.values())
    before = masks.kept
    for sparsity in (0.3, 0.8, 0.95, 0.99):
        budget = round((1 - sparsity) * total)
        kept = BASELINES[method](model, masks, budget)
        assert list(kept) == list(masks.sizes)
        assert budget - len(kept) <= sum(kept.values()) <= budget
        assert all(kept[name] <= before[name] for name in kept)
        masks.shrink(kept)
        before = kept


def test_what_sets_the_baselines_apart() -> None:
    model = _resnet(3)
    masks = Masks(model)
    names, sizes = list(masks.sizes), np.array(list(masks.sizes.values()))
    budget = int(0.2 * sizes.sum())
    share = {m: np.array(list(BASELINES[m](model, masks, budget).values())) / sizes for m in BASELINES}
    assert np.ptp(share["uniform"]) < 0.05
    assert share["uniform_plus"][0] == 1.0
    assert share["uniform_plus"][-1] >= 0.2
    shapes = [prunable_layers(model)[name].weight.shape for name in names]
    raw = np.array([sum(s) / np.prod(s) for s in shapes])
    free = share["erk"] < 0.99
    assert np.allclose(share["erk"][free] / raw[free], (share["erk"][free] / raw[free]).mean(), rtol=0.05)
    joined = torch.cat([layer.weight.abs().flatten() for layer in prunable_layers(model).values()])
    threshold = joined.sort(descending=True).values[budget - 1]
    counts = [int((layer.weight.abs() >= threshold).sum()) for layer in prunable_layers(model).values()]
    assert (share["global"] * sizes).round().astype(int).tolist() == counts


def test_rd_on_a_single_layer_is_global_magnitude_pruning() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 5, bias=False))
    curves = measure_curves(model, torch.randn(30, 8), np.linspace(0, 1, 41))["mean"]
    found = allocate([curves["0"]], 12)
    masks = Masks(model)
    kept = BASELINES["global"](model, masks, 12)
    assert kept == {"0": int(found.kept[0])} == {"0": 12}
    weight = model[0].weight.detach().clone()
    masks.shrink(kept)
    assert torch.equal(masks.masks["0"], smallest_removed(weight, 12))
