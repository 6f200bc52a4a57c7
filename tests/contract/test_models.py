"""Contract of every registered network: shapes, gradients, state, size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from auditor.models.counter import count  # noqa: E402
from auditor.models.registry import MODELS, build_model  # noqa: E402

NAMES = MODELS.names()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_classes", [2, 10, 100])
def test_logits_have_one_column_per_class(name: str, n_classes: int) -> None:
    model = build_model(name, n_classes, 32, seed=0).eval()
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, n_classes)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_parameter_receives_a_gradient(name: str) -> None:
    model = build_model(name, 10, 32, seed=0).train()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 3])).backward()
    dead = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert dead == []


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_the_weights_and_the_state_round_trips(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = build_model(name, 10, 32, seed=0), build_model(name, 10, 32, seed=0)
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


@pytest.mark.parametrize("name", NAMES)
def test_counter_equals_the_oracle(name: str) -> None:
    model = build_model(name, 10, 32, seed=0).eval()
    with FlopCounterMode(display=False) as oracle, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    ours = count(model, (3, 32, 32))
    assert ours.macs * 2 == oracle.get_total_flops()
    assert ours.macs == sum(ours.layers.values()) > 0
    assert ours.parameters == sum(p.numel() for p in model.parameters()) >= ours.trainable > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_is_the_forward_pass(name: str) -> None:
    model = build_model(name, 10, 32, seed=0).eval()
    if not hasattr(model, "chain"):
        pytest.skip("has no chain of steps")
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = images
        for step in model.chain():
            x = step(x)
        assert torch.equal(x, model(images))
