"""The CIFAKE family: 36 distinct topologies, sizes by formula, one logit for two classes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from auditor.core.errors import UnknownNameError, UsageError  # noqa: E402
from auditor.models.cifake_cnn import CifakeCnn, Topology, extractors, heads  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402


def all_36(best: Topology) -> list[Topology]:
    return [*extractors(), *heads(best)]


@pytest.mark.parametrize("best", extractors(), ids=lambda t: t.name)
def test_a_grid_holds_36_distinct_topologies(best: Topology) -> None:
    found = all_36(best)
    assert (len(extractors()), len(heads(best))) == (12, 24)
    assert len({t.name for t in found}) == 36
    assert {(t.filters, t.convolutions) for t in extractors()} == {(f, c) for f in (16, 32, 64, 128) for c in (1, 2, 3)}
    assert {(t.neurons, t.dense) for t in heads(best)} == {(2**k, n) for k in range(5, 13) for n in (1, 2, 3)}
    assert all(Topology.parse(t.name) == t for t in found)


@pytest.mark.parametrize("topology", all_36(Topology(32, 2, 16, 1)), ids=lambda t: t.name)
def test_parameters_follow_the_formula(topology: Topology) -> None:
    with torch.device("meta"):  # the largest head has 42 million parameters; sizes need no memory
        model = CifakeCnn(topology, 2)
    assert sum(p.numel() for p in model.parameters()) == topology.parameters()
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == topology.convolutions
    assert sum(isinstance(m, nn.Linear) for m in model.modules()) == topology.dense + 1


def test_flat_sizes_and_macs_of_the_specification() -> None:
    assert [Topology(32, c, 64, 1).flat() for c in (1, 2, 3)] == [8192, 2048, 512]
    for topology in extractors():
        assert count(build_model(topology.network, 2, 32, 0)).macs == topology.macs()
    # "Stage 1 sums to 132 MMAC per image" (models specification, 2.5): the convolutions do.
    convolutions = sum(t.macs() - t.flat() * t.neurons - t.neurons for t in extractors())
    assert convolutions // 10**6 == 132
    ten = build_model("cifake_cnn:f16-c3-d32-n2", 10, 32, 0)
    assert count(ten).parameters == Topology(16, 3, 32, 2).parameters(n_classes=10)
    assert count(ten).macs == Topology(16, 3, 32, 2).macs(n_classes=10)


def test_two_classes_are_one_logit_with_the_binary_loss() -> None:
    model = build_model("cifake_cnn:f16-c2-d32-n1", 2, 32, seed=3)
    assert model.head[-1].out_features == 1
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 0, 1, 1])
    logits = model(images)
    assert not logits[:, 1].any()
    s = logits[:, 0]
    assert torch.allclose(logits.softmax(1)[:, 0], s.sigmoid())
    # Class 0 (FAKE) is the positive one of the binary cross-entropy.
    binary = F.binary_cross_entropy_with_logits(s, (labels == 0).float())
    assert torch.allclose(F.cross_entropy(logits, labels), binary)


def test_pooling_before_relu_is_the_block_of_the_specification() -> None:
    model = build_model("cifake_cnn:f16-c3-d32-n1", 2, 32, seed=1)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = images
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            x = F.max_pool2d(F.relu(layer(x)), 2)
    assert torch.equal(x, model.features(images))


def test_wrong_names_and_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="f32-c2-d64-n1"):
        build_model("cifake_cnn:32-2", 2, 32, 0)
    with pytest.raises(UsageError, match="at least 1"):
        Topology(0, 1, 32, 1)
    with pytest.raises(UsageError, match="too few"):
        build_model("cifake_cnn:f16-c3-d32-n1", 2, 4, 0)
    with pytest.raises(UsageError, match="built for images of 32x32"):
        build_model("cifake_cnn", 2, 32, 0)(torch.zeros(1, 3, 32, 40))
    with pytest.raises(UnknownNameError, match="fastnet"):
        build_model("fastnet:f16", 2, 32, 0)
