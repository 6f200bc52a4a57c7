"""The noise null of a search: the same updates, and nothing that any image says."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from auditor.lab.search.proxyless.cost import path_cost  # noqa: E402
from auditor.lab.search.proxyless.settings import BUDGETS  # noqa: E402
from auditor.lab.search.proxyless.steps import NOISE_RUNS, ArchitectureStepper, noise_null  # noqa: E402
from auditor.lab.search.proxyless.supernet import Supernet  # noqa: E402
from tests.lab.search.proxyless.conftest import batch_for, make, table_of  # noqa: E402


def _real(supernet: Supernet, kind: str, steps: int = 3, **changes: object) -> ArchitectureStepper:
    """A search of a few steps."""
    values = {"architecture_rate": 0.1, "weight": 0.0, "samples": 3, **changes}
    side = 8 if supernet.min_size == 8 else 16
    settings = replace(BUDGETS["smoke"], kind=kind, **values)
    stepper = ArchitectureStepper(supernet, table_of(supernet), path_cost(supernet, 3, side), settings)
    torch.manual_seed(0)
    for _ in range(steps):
        stepper.step(*batch_for(supernet))
    return stepper


@pytest.mark.parametrize("kind", ["two", "full", "reinforce"])
def test_noise_makes_a_search_more_certain_too(supernet: Supernet, kind: str) -> None:
    real = _real(supernet, kind)
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    state = torch.get_rng_state()
    runs = noise_null(real, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in supernet.state_dict().items())
    largest = make("tree" if supernet.min_size == 8 else "mbconv").entropy()
    assert len(runs) == NOISE_RUNS
    assert all(run.supernet.entropy() < largest - 1e-4 for run in runs)
    assert len({run.path for run in runs}) == NOISE_RUNS
    assert [run.path for run in noise_null(real, 0)] == [run.path for run in runs]
    assert all(len(run.path) == len(supernet.edges) for run in runs)
    supernet.genotype(runs[0].path)


def test_the_noise_is_as_large_as_the_gates_gradients_and_points_nowhere() -> None:
    real = _real(make("mbconv").double().train(), "full", steps=2)
    run = noise_null(real, 0)[0]
    drawn = torch.stack([run._gradient_of(1) for _ in range(4000)]).double()
    size = (real.signal.squares[1] / real.signal.times[1]).sqrt()
    assert torch.allclose(drawn.square().mean(0).sqrt(), size, rtol=0.1)
    assert bool((drawn.mean(0).abs() <= 5 * size / 4000**0.5 + 1e-12).all())
    assert size[-1] == 0  # Zero's gate never had a gradient
    assert bool((size[:-1] > 0).all())


def test_latency_is_no_noise() -> None:
    """With a latency that outweighs everything, noise finds the fastest network: the null knows the table."""
    supernet = make("mbconv").double().train()
    real = _real(supernet, "full", steps=12, weight=1e4, architecture_rate=0.5)
    fastest = tuple(int(row.argmin()) for row in real.rows)
    assert {run.path for run in noise_null(real, 0)} == {fastest}


def test_a_gate_that_never_took_part_has_no_size() -> None:
    """Of two paths only the drawn gates are counted."""
    real = _real(make("tree").double().train(), "two", steps=1)
    assert all(float(times.sum()) == 2 for times in real.signal.times)
    for squares, times in zip(real.signal.squares, real.signal.times, strict=True):
        assert not squares[times == 0].any()


def test_the_signal_survives_a_checkpoint() -> None:
    real = _real(make("mbconv").double().train(), "reinforce")
    assert real.signal.steps == 3
    again = ArchitectureStepper(make("mbconv").double(), real.table, real.cost, real.settings)
    again.load_state_dict(real.state_dict())
    assert again.signal == real.signal
    assert 0 < real.signal.accuracy / 3 < 1
