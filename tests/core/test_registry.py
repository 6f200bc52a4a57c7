from __future__ import annotations

import pytest

from auditor.core.errors import UnknownNameError
from auditor.core.registry import Registry


def _registry() -> Registry[object]:
    return Registry("shape", {"zeta": "math:pi", "alpha": "math:e"})


def test_order_is_insertion_order() -> None:
    assert _registry().names() == ["zeta", "alpha"]


def test_load_imports_the_target() -> None:
    import math

    assert _registry().load("zeta") == math.pi


def test_duplicate_raises() -> None:
    with pytest.raises(ValueError, match="duplicate shape 'zeta'"):
        _registry().register("zeta", "math:tau")


def test_target_must_name_an_attribute() -> None:
    with pytest.raises(ValueError, match="module:Attribute"):
        _registry().register("beta", "math")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        _registry().load("Alpa")
    assert caught.value.suggestions == ("alpha",)
    assert "Did you mean 'alpha'" in str(caught.value)


def test_third_party_entries_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    calls = []

    def fake(group: str) -> list[metadata.EntryPoint]:
        calls.append(group)
        return [metadata.EntryPoint("tau", "math:tau", group)]

    monkeypatch.setattr(metadata, "entry_points", fake)
    registry: Registry[float] = Registry("shape", {"pi": "math:pi"}, "auditor.shapes")
    assert "pi" in registry
    assert calls == []  # a built-in name needs no scan
    assert registry.names() == ["pi", "tau"]
    assert "tau" in registry
    assert calls == ["auditor.shapes"]
