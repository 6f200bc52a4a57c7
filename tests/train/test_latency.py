"""Times of modules and networks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.train import latency  # noqa: E402


class _Clocked(torch.nn.Module):
    """Takes as long as the clock's next pace says."""

    def __init__(self, clock: dict[str, float], cost: float, log: list[float]) -> None:
        super().__init__()
        self.clock, self.cost, self.log = clock, cost, log

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert torch.get_num_threads() == 1
        assert not self.training
        self.clock["now"] += self.cost * self.clock["pace"]
        self.log.append(self.cost)
        return x


def test_modules_are_timed_in_turns_after_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = {"now": 0.0, "pace": 1.0}, []
    monkeypatch.setattr(latency.time, "thread_time", lambda: clock["now"])
    monkeypatch.setattr(latency, "TURNS", 2)
    modules = [(_Clocked(clock, cost, log), (1, 3, 2, 2)) for cost in (1.0, 2.0)]
    times = latency.time_modules(modules, 4, "cpu", warmup=3)
    assert times.tolist() == [[1000.0] * 4, [2000.0] * 4]
    assert log == [1.0] * 3 + [2.0] * 3 + 2 * ([1.0] * 3 + [2.0] * 3), "each turn: one untimed pass, two timed"


def test_a_slow_spell_hits_all_modules_and_no_median(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = {"now": 0.0, "pace": 1.0}, []
    monkeypatch.setattr(latency.time, "thread_time", lambda: clock["now"])

    class Spell(_Clocked):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.clock["pace"] = 3.0 if 60 < len(self.log) < 100 else 1.0
            return super().forward(x)

    modules = [(Spell(clock, cost, log), (1, 3, 2, 2)) for cost in (1.0, 2.0, 3.0)]
    times = latency.time_modules(modules, 50, "cpu")
    assert (times > 3000).any(axis=1).sum() >= 2
    assert np.median(times, axis=1).tolist() == [1000.0, 2000.0, 3000.0]


def test_every_network_is_listed_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.models.registry import MODELS

    small = ("cifake_cnn", "resnet20", "eas")
    monkeypatch.setattr(latency, "latency", lambda network, size, device: 12.5)
    monkeypatch.setattr(type(MODELS), "__iter__", lambda self: iter(small))
    rows = latency.latencies()
    assert [row["name"] for row in rows] == list(small)
    assert rows[1] == {"name": "resnet20", "parameters": 269_722, "macs": 40_551_040, "image_ms": 12.5}


def test_the_latency_of_a_network_is_the_median_for_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = {"now": 0.0, "pace": 1.0}, []
    monkeypatch.setattr(latency.time, "thread_time", lambda: clock["now"])

    class Slower(_Clocked):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape == (1, 3, 6, 4)
            self.clock["pace"] = float(len(self.log) > 2)
            return super().forward(x)

    assert latency.latency(Slower(clock, 0.25, log), (6, 4), "cpu") == 250.0
