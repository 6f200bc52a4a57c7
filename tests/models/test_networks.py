"""Networks: published sizes, the fast net's parts, errors of the builder, the counter's reach."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UnknownNameError, UsageError  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.fastnet import FastNet  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402


def test_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        build_model("resnet81", 10, 32, 0)
    assert "resnet18" in caught.value.suggestions


@pytest.mark.parametrize(
    ("name", "n_classes", "size", "options", "words"),
    [
        ("fastnet", 1, 32, {}, "at least 2"),
        ("vgg11_bn", 10, 8, {}, "16 px"),
        ("fastnet", 10, 32, {"widths": (1, 2)}, "three positive"),
        ("resnet18", 10, 32, {"widths": (1, 2, 3)}, "cannot be built"),
    ],
)
def test_builder_refuses(name: str, n_classes: int, size: int, options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build_model(name, n_classes, size, 0, **options)


def test_known_sizes() -> None:
    # ResNet-18 with a 3x3 stem at 10 classes, and the prunable weights of VGG-16 (models specification, 4.2).
    assert count(build_model("resnet18", 10, 32, 0)).parameters == 11_173_962
    vgg = build_model("vgg16_bn", 10, 32, 0)
    assert sum(p.numel() for p in vgg.parameters() if p.ndim > 1) == 14_715_584


def test_fastnet_follows_its_description() -> None:
    net = build_model("fastnet", 7, 32, 0, widths=(32, 64, 128))
    trainable = {name for name, p in net.named_parameters() if p.requires_grad}
    assert "whiten.weight" not in trainable
    assert "whiten.bias" in trainable
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 6
    assert all(m.momentum == 0.4 and not m.weight.requires_grad and m.bias.requires_grad for m in norms)
    first = net.body[0].weight  # 24 -> 32: the first 24 filters hand their input channel on
    assert torch.equal(first[:24, :, 1, 1], torch.eye(24))
    assert first[:24].count_nonzero() == 24
    assert net.head.weight.std().item() == pytest.approx(1, abs=1e-5)
    shapes = []
    for layer in net.body:
        if isinstance(layer, torch.nn.MaxPool2d):
            layer.register_forward_hook(lambda m, i, o: shapes.append((i[0].shape[2], o.shape[2])))
    net.eval()(torch.zeros(1, 3, 32, 32))
    assert shapes == [(31, 15), (15, 7), (7, 3)]


def test_whitening_makes_patches_white() -> None:
    random = torch.Generator().manual_seed(0)
    base = torch.randn(200, 1, 16, 16, generator=random)
    images = torch.nn.functional.avg_pool2d(base, 3, 1, 1) + 0.3 * torch.randn(200, 3, 16, 16, generator=random)
    net = FastNet(2)
    net.fit_input(images)
    with torch.no_grad():
        out = torch.nn.functional.conv2d(images, net.whiten.weight)[:, :12]
    out = out.permute(1, 0, 2, 3).reshape(12, -1)
    moment = out @ out.T / out.shape[1]
    assert torch.allclose(moment, torch.eye(12), atol=0.02)
    assert torch.equal(net.whiten.weight[12:], -net.whiten.weight[:12])


def test_counter_counts_groups_strides_and_reuse() -> None:
    shared = torch.nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=True)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), shared, shared)
    net.train()
    found = count(net, (3, 10, 10))
    assert found.macs == 25 * 8 * 27 + 2 * 25 * 8 * (2 * 9)
    assert found.parameters == 8 * 27 + 8 + 8 * 18 + 8  # the shared layer once
    assert net.training
    assert not net[0]._forward_hooks


def test_counter_leaves_frozen_norms_frozen() -> None:
    net = build_model("resnet18", 2, 32, 0).train()
    frozen = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    statistics = frozen.running_mean.clone()
    count(net)
    assert net.training
    assert not frozen.training
    assert torch.equal(frozen.running_mean, statistics)


def test_pruned_count_by_hand() -> None:
    from auditor.models.counter import count_pruned

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.nn.Conv2d(4, 2, 1, bias=False))
    with torch.no_grad():
        for layer in net:
            layer.weight.fill_(1.0)
        net[0].weight[1] = 0  # a whole filter
        net[0].weight[0, 0, 0, 0] = 0  # one weight
        net[1].weight[:, 2:] = 0  # two input channels
    found = count_pruned(net, (3, 5, 5))
    assert (found.weights, found.nonzero) == (108 + 8, 108 - 27 - 1 + 4)
    assert found.dense == 25 * 116
    assert found.masked == 25 * 84
    assert found.executable == 25 * (3 * 3 * 9 + 2 * 2)


def test_networks_in_smaller_sizes() -> None:
    narrow = build_model("densenet121:g8", 10, 32, 0)
    assert sum(p.numel() for p in narrow.parameters()) == 452_682
    tree = build_model("proxyless:cifar-w0.1", 10, 32, 0)
    assert (tree.genotype.stem, tree.genotype.end, len(tree.genotype.cells)) == (2, 10, 54)
    with pytest.raises(UsageError, match="densenet121:g12"):
        build_model("densenet121:w0.5", 10, 32, 0)
    with pytest.raises(UsageError, match="published network"):
        build_model("proxyless:mobile-w0.5", 10, 32, 0)


def test_vgg_in_a_width() -> None:
    assert build_model("vgg16_bn:w0.25", 10, 32, 0).body[0].out_channels == 16
    with pytest.raises(UsageError, match="variant"):
        build_model("vgg16_bn:0.25", 10, 32, 0)
