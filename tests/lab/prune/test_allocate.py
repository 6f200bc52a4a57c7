"""The dynamic programme: equal to brute force, within the budget, never beaten."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from auditor.core.errors import UsageError
from auditor.lab.prune.rd.allocate import LayerOptions, allocate


def _instance(seed: int) -> tuple[list[LayerOptions], int, int]:
    """Random layers (non-monotone, non-convex distortions), a budget, and the least that must be kept."""
    random = np.random.default_rng(seed)
    layers = []
    for _ in range(random.integers(1, 6)):
        size = int(random.integers(1, 40))
        rates = np.sort(random.random(random.integers(1, 10)))
        rates = rates[rates >= random.choice([0.0, 0.3])]  # rates below an earlier one are not offered
        rates = rates if len(rates) else np.array([0.9])
        kept = size - (rates * size).astype(np.int64)
        layers.append(LayerOptions(kept, np.round(random.normal(0.5, 1.0, len(kept)) ** 2, 2)))
    least, most = (sum(int(f(layer.kept)) for layer in layers) for f in (np.min, np.max))
    budget = [least, most, int(random.integers(least, most + 1)), most + 5][seed % 4]
    return layers, budget, least


def _brute(layers: list[LayerOptions], budget: int) -> float:
    best = np.inf
    for picks in product(*(range(len(layer.kept)) for layer in layers)):
        if sum(int(layer.kept[p]) for layer, p in zip(layers, picks, strict=True)) <= budget:
            best = min(best, sum(float(layer.distortion[p]) for layer, p in zip(layers, picks, strict=True)))
    return best


@pytest.mark.parametrize("block", range(5))
def test_equals_brute_force_and_keeps_the_budget(block: int) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        layers, budget, _ = _instance(seed)
        found = allocate(layers, budget)
        assert found.unit == 1
        assert found.kept.sum() <= budget, seed
        assert found.distortion == pytest.approx(_brute(layers, budget), abs=1e-12), seed
        picked = [(layer.kept[c], layer.distortion[c]) for layer, c in zip(layers, found.choice, strict=True)]
        assert [k for k, _ in picked] == found.kept.tolist()
        assert sum(d for _, d in picked) == pytest.approx(found.distortion, abs=1e-12)


def test_budget_nothing_and_everything() -> None:
    layers = [
        LayerOptions(np.array([4, 2, 0]), np.array([0.0, 1.0, 5.0])),
        LayerOptions(np.array([3, 0]), np.array([0.0, 2.0])),
    ]
    assert allocate(layers, 0).kept.tolist() == [0, 0]
    assert allocate(layers, 7).distortion == 0
    assert allocate(layers, 5).kept.tolist() == [2, 3]


def test_quantised_lies_between_the_exact_solutions() -> None:
    coarse = 0
    for seed in range(60):
        layers, budget, least = _instance(4 * seed + 2)
        unit = 3
        states = -(-budget // unit)
        if budget < 8 or sum(-(-int(layer.kept.min()) // unit) for layer in layers) > budget // unit:
            continue
        found = allocate(layers, budget, most_states=states)
        unit = found.unit
        assert found.kept.sum() <= budget
        assert found.distortion >= allocate(layers, budget).distortion - 1e-12
        smaller = budget - len(layers) * unit
        if smaller >= least:
            assert found.distortion <= allocate(layers, smaller).distortion + 1e-12
            coarse += unit > 1
    assert coarse >= 10


def test_no_lagrangian_solution_beats_it() -> None:
    for seed in range(40):
        layers, _, _ = _instance(seed)
        for slope in np.geomspace(1e-4, 10, 25):
            picks = [int((layer.distortion + slope * layer.kept).argmin()) for layer in layers]
            kept = sum(int(layer.kept[p]) for layer, p in zip(layers, picks, strict=True))
            cost = sum(float(layer.distortion[p]) for layer, p in zip(layers, picks, strict=True))
            assert allocate(layers, kept).distortion <= cost + 1e-12


def test_one_layer_keeps_as_much_as_the_budget_allows_when_distortion_falls_with_it() -> None:
    kept = np.arange(100, -1, -1)
    found = allocate([LayerOptions(kept, (100 - kept) ** 2.0)], 37)
    assert found.kept.tolist() == [37]


def test_impossible_or_undefined_problems_are_refused() -> None:
    layer = LayerOptions(np.array([4, 2]), np.array([0.0, 1.0]))
    with pytest.raises(UsageError, match="at most 1"):
        allocate([layer], 1)
    with pytest.raises(UsageError, match="finite"):
        allocate([LayerOptions(np.array([4, 2]), np.array([0.0, np.nan]))], 9)


def test_resnet32_sized_problem_is_solved() -> None:
    random = np.random.default_rng(0)
    sizes = random.integers(432, 36_864, 34)
    sizes = (sizes * 464_432 / sizes.sum()).astype(int)
    rates = np.linspace(0, 1, 21)
    layers = [LayerOptions(size - (rates * size).astype(int), np.sort(random.random(21))) for size in sizes]
    found = allocate(layers, int(0.2 * sizes.sum()))
    assert found.kept.sum() <= int(0.2 * sizes.sum())


def test_only_large_networks_are_quantised() -> None:
    def at(weights: int, density: float) -> tuple[int, int, int]:
        layers = [LayerOptions(np.array([weights // 2, weights // 4, 0]), np.array([0.0, 1.0, 3.0]))] * 2
        found = allocate(layers, int(density * weights))
        return found.unit, int(found.kept.sum()), found.choice.tolist()

    assert at(464_432, 0.8) == (1, 464_432 * 3 // 4, [1, 0])  # ResNet-32, first iteration
    unit, kept, choice = at(14_715_584, 0.8)  # VGG-16
    assert unit > 1
    assert (kept, choice) == (14_715_584 * 3 // 4, [1, 0])
