"""Grad-CAM: captum's numbers, the closed form of a linear toy, the one-logit head, its invariances."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.explain.gradcam import class_score, coarse_maps, enlarge, grad_cam, last_convolution  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402


def images(n: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


class Score(nn.Module):
    """The class score as a network of its own, for captum."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return class_score(self.model(x), k)


@pytest.mark.parametrize(
    ("name", "n_classes"), [("cifake_cnn:f32-c2-d64-n1", 2), ("fastnet", 2), ("resnet18", 10), ("vgg11_bn", 10)]
)
def test_maps_equal_captum(name: str, n_classes: int) -> None:
    attribution = pytest.importorskip("captum.attr")
    model = build_model(name, n_classes, 32, seed=1).eval()
    x, classes = images(6), torch.arange(6) % n_classes
    oracle = attribution.LayerGradCam(Score(model), last_convolution(model))
    theirs = oracle.attribute(x, additional_forward_args=(classes,), relu_attributions=True)[:, 0].detach()
    ours = coarse_maps(model, x, classes)
    assert ours.any(), "a map of nothing would agree with anything"
    assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5)
    large = attribution.LayerAttribution.interpolate(theirs[:, None], (32, 32), "bilinear")[:, 0]
    peak = large.amax((1, 2), keepdim=True)
    assert torch.allclose(grad_cam(model, x, classes), torch.where(peak > 0, large / peak, large), atol=1e-5)


class Toy(nn.Module):
    """Logits = linear map of the mean of each channel: d s_k / d A_c is weight[k, c] / (h w) everywhere."""

    def __init__(self, n_out: int, shift: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.head = nn.Linear(5, n_out)
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.head(self.conv(x).mean((2, 3))) + self.shift
        return torch.cat([out, torch.zeros_like(out)], 1) if out.shape[1] == 1 else out


@pytest.mark.parametrize(
    ("n_out", "k", "weight"), [(4, 2, lambda w: w[2]), (1, 0, lambda w: w[0]), (1, 1, lambda w: -w[0])]
)
def test_linear_toy_equals_the_closed_form(n_out: int, k: int, weight) -> None:
    model = Toy(n_out).eval()
    x = images(3, side=8)
    with torch.no_grad():
        activation = model.conv(x)
        expected = torch.relu((weight(model.head.weight)[None, :, None, None] / 64 * activation).sum(1))
    found = coarse_maps(model, x, torch.full((3,), k))
    assert expected.any()
    assert torch.allclose(found, expected, atol=1e-7)


def _last_relu(model: nn.Module) -> nn.Module:
    """The last activation module that the network itself defines and uses on maps."""
    return [m for m in model.modules() if isinstance(m, nn.ReLU | nn.GELU)][-1]


@pytest.mark.parametrize(
    ("name", "n_classes", "target"),
    [
        ("cifake_cnn:f32-c2-d64-n1", 2, lambda m: [x for x in m.modules() if isinstance(x, nn.ReLU)][1]),
        ("vgg11_bn", 10, _last_relu),
        ("mobilenet_v1", 10, _last_relu),
    ],
)
def test_maps_after_the_activation_are_those_of_its_layer(name: str, n_classes: int, target) -> None:
    model = build_model(name, n_classes, 32, seed=1).eval()
    x, classes = images(3), torch.arange(3) % n_classes
    found = coarse_maps(model, x, classes, after_activation=True)
    assert torch.equal(found, coarse_maps(model, x, classes, target(model)))
    assert not torch.equal(found, coarse_maps(model, x, classes))
    assert torch.equal(grad_cam(model, x, classes, after_activation=True), enlarge(found, (32, 32)))


def test_after_the_activation_equals_the_closed_form_also_without_a_module() -> None:
    """With a function for ReLU there is no layer to name."""

    class Rectified(Toy):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.conv(x)).mean((2, 3)))

    model, x = Rectified(4).eval(), images(3, side=8)
    with torch.no_grad():
        positive = torch.relu(model.conv(x))
        expected = torch.relu((model.head.weight[2][None, :, None, None] / 64 * positive).sum(1))
    found = coarse_maps(model, x, torch.full((3,), 2), after_activation=True)
    assert torch.allclose(found, expected, atol=1e-7)
    assert expected.any()
    with pytest.raises(UsageError, match="no maps through an activation"):
        coarse_maps(Toy(4).eval(), x, torch.full((3,), 2), after_activation=True)
    with pytest.raises(UsageError, match="not both"):
        coarse_maps(model, x, torch.full((3,), 2), model.conv, after_activation=True)


def test_class_one_of_a_single_logit_is_minus_the_logit() -> None:
    """The column of class 1 is constant: taken as it is, its map would be empty."""
    model = build_model("cifake_cnn:f16-c2-d32-n1", 2, 32, seed=2).eval()
    x = images(8)
    logits = model(x)
    assert torch.equal(class_score(logits, torch.ones(8, dtype=torch.int64)), -logits[:, 0])
    fake, real = (coarse_maps(model, x, torch.full((8,), k)) for k in (0, 1))
    assert fake.any()
    assert real.any()
    # The two maps are the positive and the negative part of one sum: no place can speak for both.
    assert not ((fake > 0) & (real > 0)).any()


def test_adding_a_constant_to_the_logit_changes_nothing() -> None:
    x = images(4, side=8)
    classes = torch.tensor([0, 1, 0, 1])
    assert torch.equal(coarse_maps(Toy(1).eval(), x, classes), coarse_maps(Toy(1, 7.5).eval(), x, classes))


def test_items_do_not_influence_each_other_and_the_network_is_left_alone() -> None:
    model = build_model("resnet18", 10, 32, seed=0).eval()
    for p in model.parameters():
        p.requires_grad_(False)  # frozen weights must not cut the graph
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x, classes = images(5), torch.tensor([1, 2, 3, 4, 5])
    together = grad_cam(model, x, classes)
    alone = torch.cat([grad_cam(model, x[i : i + 1], classes[i : i + 1]) for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(grad_cam(model, x, classes, batch=2), together, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not last_convolution(model)._forward_hooks
    assert grad_cam(model, x[:0], classes[:0]).shape == (0, 32, 32)


def test_enlarged_maps_end_at_one_or_stay_empty() -> None:
    maps = torch.zeros(2, 4, 4)
    maps[0, 1, 2] = 0.3
    large = enlarge(maps, (32, 32))
    assert float(large[0].max()) == pytest.approx(1)
    assert not large[1].any()
    assert torch.isfinite(large).all()


def test_wrong_use_is_refused() -> None:
    model = build_model("fastnet", 2, 32, seed=0)
    with pytest.raises(UsageError, match="evaluation mode"):
        coarse_maps(model.train(), images(1), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(UsageError, match="has none"):
        last_convolution(nn.Linear(2, 2))
    shared = nn.Conv2d(3, 3, 3, padding=1)
    twice = nn.Sequential(shared, shared, nn.Flatten(), nn.Linear(3 * 64, 3)).eval()
    with pytest.raises(UsageError, match="2 times"):
        coarse_maps(twice, images(1, side=8), torch.zeros(1, dtype=torch.int64))
