"""Contract of every registered network: shapes, gradients, state, size."""

from __future__ import annotations

import copy
from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from auditor.models.counter import count, count_pruned  # noqa: E402
from auditor.models.registry import MODELS, build_model  # noqa: E402

NAMES = MODELS.names()
#: Each of them takes longer than ten of the others; their families have smaller ones, except the two of 2,000 modules.
#: That they answer and are counted is asked where their initial weights are checked.
LARGE = (
    *("densenet161", "densenet169", "googlenet", "inception_v3", "nasnet_a", "proxyless", "resnet34", "resnet50"),
    *("vgg13_bn", "vgg16_bn", "vgg19_bn"),
)


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in NAMES], ids=NAMES
)
def name(request: pytest.FixtureRequest) -> str:
    """Every network in turn: all its tests run before the next one is built."""
    return request.param


@pytest.fixture(scope="module")
def built(name: str) -> nn.Module:
    """The network for ten classes, built once; what changes more than its mode takes a `model`."""
    return build_model(name, 10, 32, seed=0)


@pytest.fixture
def model(built: nn.Module) -> nn.Module:
    """A copy of the network, in training mode."""
    return copy.deepcopy(built).train()


@pytest.mark.parametrize("n_classes", [2, 100])
def test_logits_have_one_column_per_class(name: str, n_classes: int) -> None:
    with torch.device("meta"), torch.no_grad():  # shapes alone
        logits = build_model(name, n_classes, 32, seed=0).eval()(torch.empty(2, 3, 32, 32))
    assert logits.shape == (2, n_classes)


def test_logits_are_finite_and_those_of_the_image(built: nn.Module) -> None:
    with torch.no_grad():
        logits = built.eval()(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])


def test_every_trainable_parameter_receives_a_gradient(model: nn.Module) -> None:
    model.train()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 3])).backward()
    dead = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert dead == []


def test_seed_decides_the_weights_and_the_state_round_trips(name: str, model: nn.Module) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = model, build_model(name, 10, 32, seed=0)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random state must stay as it was"
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for p in first.parameters():
            p += 0.01
        first(images)  # moves the running statistics off their start too
        first, second = first.eval(), second.eval()
        assert not torch.equal(first(images), second(images))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(images), second(images))


def test_counter_equals_the_oracle(built: nn.Module) -> None:
    model = built.eval()
    with FlopCounterMode(display=False) as oracle, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    ours = count(model, (3, 32, 32))
    assert ours.macs * 2 == oracle.get_total_flops()
    assert ours.macs == sum(ours.layers.values()) > 0
    assert ours.parameters == sum(p.numel() for p in model.parameters()) >= ours.trainable > 0


def _smaller(layer: nn.Conv2d | nn.Linear, shape: torch.Size, oracle: FlopCounterMode) -> tuple[int, int]:
    """By the oracle: MACs of the layer for an output of `shape`, and with its live filters and inputs alone."""
    live = layer.weight != 0
    live = live.flatten(2).any(2) if live.ndim > 2 else live
    found = []
    for present in (torch.ones_like(live), live):
        total = 0
        parts = present.unflatten(0, (getattr(layer, "groups", 1), -1))
        sizes = torch.stack([parts.any(2).sum(1), parts.any(1).sum(1)], 1).tolist()
        for (rows, columns), times in Counter(map(tuple, sizes)).items():  # groups of a size share one question
            if not rows:
                continue
            with oracle:
                if isinstance(layer, nn.Linear):
                    torch.empty(*shape[:-1], columns, device="meta") @ torch.empty(columns, rows, device="meta")
                else:
                    # Padding is left to the layer (one of ours pads by itself): an input that gives this output.
                    sides = [n + k - 1 for n, k in zip(shape[2:], layer.kernel_size, strict=True)]
                    kernel = torch.empty(rows, columns, *layer.kernel_size, device="meta")
                    nn.functional.conv2d(torch.empty(1, columns, *sides, device="meta"), kernel)
            total += times * oracle.get_total_flops() // 2
        found.append(total)
    return found[0], found[1]


def test_pruned_counts_equal_the_oracle_on_smaller_kernels(model: nn.Module) -> None:
    model.eval()
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in layers.values():
            layer.weight.fill_(1.0)
    whole = count_pruned(model)
    assert whole.masked == whole.executable == whole.dense
    with torch.no_grad():
        for layer in layers.values():
            layer.weight[torch.rand(len(layer.weight), generator=random) < 0.3] = 0
            layer.weight[:, torch.rand(layer.weight.shape[1], generator=random) < 0.3] = 0
            layer.weight[torch.rand(layer.weight.shape, generator=random) < 0.5] = 0
    seen: list[tuple[nn.Conv2d | nn.Linear, torch.Size]] = []
    for layer in layers.values():
        layer.register_forward_hook(lambda m, _, y: seen.append((m, y.shape)))
    found = count_pruned(model)
    oracle = FlopCounterMode(display=False)
    both = [_smaller(layer, shape, oracle) for layer, shape in seen]
    assert found.dense == sum(dense for dense, _ in both)
    assert found.executable == sum(executable for _, executable in both)
    share = [int((layer.weight != 0).sum()) / layer.weight.numel() for layer, _ in seen]
    assert found.masked == pytest.approx(sum(s * dense for s, (dense, _) in zip(share, both, strict=True)), rel=1e-9)
    assert found.masked <= found.executable < found.dense


def test_a_chain_is_the_forward_pass(built: nn.Module) -> None:
    model = built.eval()
    if not hasattr(model, "chain"):
        pytest.skip("has no chain of steps")
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = images
        for step in model.chain():
            x = step(x)
        assert torch.equal(x, model(images))
