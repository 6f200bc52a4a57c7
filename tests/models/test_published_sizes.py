"""Parameters and MACs of the networks, against published counts and against torchvision's ImageNet versions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.prune.layers import prunable_layers  # noqa: E402
from auditor.models.counter import count, count_pruned  # noqa: E402
from auditor.models.registry import build_model, kept_name, stored_name  # noqa: E402


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("vgg16_bn", 14_728_266, 313_201_664),
        ("resnet56", 853_018, 125_485_696),
        ("resnet56:average", 853_018, 125_485_696),
        # Table 6 of He et al.: 0.27, 0.46 and 0.66 million parameters.
        ("resnet20", 269_722, 40_551_040),
        ("resnet32", 464_154, 68_862_592),
        ("resnet44", 658_586, 97_174_144),
        ("mobilenet_v1", 3_217_226, 46_354_432),
        ("mobilenet_v2", 2_296_922, 91_154_944),
    ],
)
def test_counts_of_the_pruning_papers(name: str, parameters: int, macs: int) -> None:
    found = count(build_model(name, 10, 32, 0))
    assert (found.parameters, found.macs) == (parameters, macs)


@pytest.mark.parametrize(("name", "layers", "weights"), [("resnet32:conv", 34, 464_432), ("vgg16_bn", 14, 14_715_584)])
def test_prunable_weights_of_rd(name: str, layers: int, weights: int) -> None:
    model = build_model(name, 10, 32, 0)
    found = [layer.weight.numel() for layer in prunable_layers(model).values()]
    assert (len(found), sum(found)) == (layers, weights)
    assert count_pruned(model).weights == weights


def _conv(inputs: int, outputs: int, size: int) -> int:
    """Parameters of a convolution without bias and its BatchNorm."""
    return inputs * outputs * size * size + 2 * outputs


def _torchvision(name: str, **options: object) -> int:
    with torch.device("meta"):  # sizes alone
        model = getattr(torchvision.models, name)(num_classes=10, **options)
    return sum(p.numel() for p in model.parameters())


#: A 7x7 stem of 64 channels becomes a 3x3 one.
RESNET_STEM = 3 * 64 * 9 - 3 * 64 * 49
#: DenseNet's stem also loses its BatchNorm: the first layer brings its own.
DENSE_STEM = {growth: 3 * 2 * growth * (9 - 49) - 4 * growth for growth in (32, 48)}
#: The strided stem of Inception-v3 (five convolutions) becomes one.
INCEPTION_STEM = _conv(3, 192, 3) - sum(
    _conv(*c) for c in ((3, 32, 3), (32, 32, 3), (32, 64, 3), (64, 80, 1), (80, 192, 3))
)
#: MobileNet-v2 for CIFAR has 1x1 convolutions in four shortcuts and an expansion in the first block.
SHORTCUTS = sum(_conv(*c) for c in ((32, 16, 1), (16, 24, 1), (64, 96, 1), (160, 320, 1), (32, 32, 1)))
#: GoogLeNet: the stem, and a second 3x3 in each "5x5" branch.
GOOGLE = (
    _conv(3, 192, 3)
    - _conv(3, 64, 7)
    - _conv(64, 64, 1)
    - _conv(64, 192, 3)
    + sum(_conv(c, c, 3) for c in (32, 96, 48, 64, 64, 64, 128, 128, 128))
)


@pytest.mark.parametrize(
    ("name", "difference", "options"),
    [
        ("resnet18", RESNET_STEM, {}),
        ("resnet34", RESNET_STEM, {}),
        ("resnet50", RESNET_STEM, {}),
        ("densenet121", DENSE_STEM[32], {}),
        ("densenet161", DENSE_STEM[48], {}),
        ("densenet169", DENSE_STEM[32], {}),
        ("googlenet", GOOGLE, {"aux_logits": False, "init_weights": False}),
        ("inception_v3", INCEPTION_STEM, {"aux_logits": False, "init_weights": False}),
        ("mobilenet_v2", SHORTCUTS, {}),
    ],
)
def test_parameters_are_torchvisions_with_the_small_stem(name: str, difference: int, options: dict) -> None:
    ours = sum(p.numel() for p in build_model(name, 10, 32, 0).parameters())
    assert ours == _torchvision(name, **options) + difference


@pytest.mark.parametrize("name", ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"])
def test_vgg_features_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(num_classes=10).features
    ours = build_model(name, 10, 32, 0)
    assert [tuple(p.shape) for p in ours.body.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs.load_state_dict(ours.body.state_dict(), assign=True)
    with torch.no_grad():
        assert torch.equal(ours.eval().body(images), theirs.eval()(images))


def test_resnet18_computes_what_torchvisions_does() -> None:
    theirs = torchvision.models.resnet18(num_classes=10)
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    ours = build_model("resnet18", 10, 32, 0).eval()
    # Same parts in another nesting: shapes and order of the state line up once shortcuts are put behind the branch.
    state = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    theirs.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs.eval()(images), atol=1e-5)


@pytest.mark.parametrize("side", [6, 7])
def test_padded_shortcuts_halve_and_add_zeros(side: int) -> None:
    from auditor.models.resnet import PaddedShortcut

    x = torch.randn(2, 4, side, side, generator=torch.Generator().manual_seed(0))
    for average in (False, True):
        y = PaddedShortcut(4, average)(x)
        assert y.shape == (2, 8, (side + 1) // 2, (side + 1) // 2)
        assert not y[:, :2].any()
        assert not y[:, 6:].any()
        inner = y[:, 2:6]
        if average:
            assert torch.allclose(
                inner[:, :, :3, :3], x[:, :, :6, :6].unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5))
            )
        else:
            assert torch.equal(inner, x[:, :, ::2, ::2])


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_cifar_resnets_compute_what_the_paper_describes(depth: int) -> None:
    """Option A written out with torch's functions alone, from tensors by the names they have elsewhere."""
    ours = build_model(f"resnet{depth}", 10, 32, 3).eval()
    state = ours.state_dict()
    theirs = {}
    for stage in (1, 2, 3):
        for block in range((depth - 2) // 6):
            for k in (1, 2):
                for part, names in (("conv", ["weight"]), ("bn", ["weight", "bias", "running_mean", "running_var"])):
                    for name in names:
                        usual = f"layer{stage}.{block}.{part}{k}.{name}"
                        theirs[usual] = state[ours.own_name(usual)]
    assert len(theirs) == 5 * (depth - 2)
    functional = torch.nn.functional

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        own = [theirs[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *own)

    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = ours.stem(images)
        for stage in (1, 2, 3):
            for block in range((depth - 2) // 6):
                name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                y = functional.conv2d(x, theirs[f"{name}.conv1.weight"], stride=stride, padding=1)
                y = functional.conv2d(norm(y, f"{name}.bn1").relu(), theirs[f"{name}.conv2.weight"], padding=1)
                planes = 8 << stage
                short = x if stride == 1 else functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))
                x = (norm(y, f"{name}.bn2") + short).relu()
        logits = functional.linear(
            x.mean((2, 3)), state[ours.own_name("linear.weight")], state[ours.own_name("fc.bias")]
        )
        assert torch.allclose(ours(images), logits, atol=1e-5)


def test_the_other_shortcuts_are_variants() -> None:
    assert build_model("resnet20:a", 10, 32, 3).body[3].shortcut.average is False
    assert build_model("resnet44:average", 10, 32, 3).body[7].shortcut.average is True
    names = [name for name in build_model("resnet32:conv", 10, 32, 3).state_dict() if "shortcut" in name]
    assert len(names) == 2 * 6
    with pytest.raises(UsageError, match="resnet56:average"):
        build_model("resnet56:b", 10, 32, 0)


def test_stored_names_go_back_to_the_networks_they_were_made_for() -> None:
    networks = [f"resnet{depth}{kind}" for depth in (20, 32, 44, 56) for kind in ("", ":conv", ":average")]
    networks += ["resnet18", "vgg16_bn:w0.25"]
    stored = [stored_name(name) for name in networks]
    assert len(set(stored)) == len(stored)
    assert [kept_name(name) for name in stored] == networks
    assert [kept_name(name) for name in ("resnet20", "resnet32", "resnet56", "resnet18")] == [
        "resnet20:conv",
        "resnet32:conv",
        "resnet56:average",
        "resnet18",
    ]
