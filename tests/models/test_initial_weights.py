"""Every network has the state names and the initial weights it always had: kept networks and stored fits load.

``initial_weights.json`` holds, by network: a hash of the names and shapes of its state, a checksum of its initial
values at seed 7 in which every position counts, and its parameters, trainable parameters and MACs at 32 px.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from auditor.models.counter import count  # noqa: E402
from auditor.models.registry import MODELS, build_model  # noqa: E402
from tests.contract.test_models import LARGE  # noqa: E402

RECORDED: dict[str, list[Any]] = json.loads((Path(__file__).parent / "initial_weights.json").read_text())
#: Recorded under a name of their own: networks with options.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet56 conv w8": ("resnet56:conv", {"width": 8}),
    "mobilenet_v1 half": ("mobilenet_v1", {"width": 0.5}),
    "nasnet_a aux": ("nasnet_a:n2-f8", {"auxiliary": True}),
}


@cache
def _waves(bits: int) -> torch.Tensor:
    """Cosines of the whole numbers below 2 ** bits: weights with which every position of a checksum counts."""
    return torch.cos(torch.arange(1 << bits, dtype=torch.float64))


def test_every_registered_network_is_recorded() -> None:
    assert set(LARGE) <= set(MODELS.names()) <= set(RECORDED)


@pytest.mark.parametrize("recorded", RECORDED)
def test_names_shapes_and_initial_weights_stay(recorded: str) -> None:
    name, options = OPTIONS.get(recorded, (recorded, {}))
    model = build_model(name, 10, 32, 7, **options)
    state = model.state_dict()
    layout = hashlib.sha256(json.dumps([[n, list(v.shape)] for n, v in state.items()]).encode()).hexdigest()[:16]
    checksum = 0.0
    waves = _waves((max(v.numel() for v in state.values()) + len(state)).bit_length())
    for number, value in enumerate(state.values()):
        flat = value.double().flatten()
        checksum += float((flat * waves[number : number + len(flat)]).sum())
    size = count(model)
    assert [layout, size.parameters, size.trainable, size.macs] == [RECORDED[recorded][0], *RECORDED[recorded][2:]]
    # Not to the last bit: torch draws normal numbers with other instructions on other processors.
    assert checksum == pytest.approx(RECORDED[recorded][1], abs=1e-3)
    if recorded in LARGE:  # what the quick contract leaves out for them
        assert size.parameters == sum(p.numel() for p in model.parameters())
        with torch.no_grad():
            logits = model.eval()(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        assert logits.shape == (2, 10)
        assert torch.isfinite(logits).all()
        assert not torch.equal(logits[0], logits[1])
