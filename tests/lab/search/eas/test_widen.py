"""Net2Wider and Net2Deeper of plain networks: exact in evaluation mode, and not exact when a part is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.search.eas import widen  # noqa: E402
from auditor.lab.search.eas.controller import random_decision  # noqa: E402
from auditor.lab.search.eas.moves import grow, grown, walk  # noqa: E402
from auditor.lab.search.eas.space import WIDTHS  # noqa: E402
from auditor.lab.search.eas.widen import counts, deeper, replicate, wider  # noqa: E402
from auditor.models.eas import PlainNetwork, PlainUnit, build  # noqa: E402
from tests.lab.search.eas.cases import CLASSES, SIZE, draws, gap, images, plain, random_plain, settled  # noqa: E402

#: Network and the layer to change: a convolution, a fully connected layer, a convolution whose maps are flattened, the
#: last one before the mean, the last layer before the classifier, and maps that go flat into the classifier.
CHAIN = "c4k3 p c8k5 c4k1 p m f8 f16"
WIDER = {
    "conv": (CHAIN, 0, 12),
    "inner conv": (CHAIN, 2, 20),
    "fc": (CHAIN, 6, 24),
    "last fc": (CHAIN, 7, 40),
    "before the mean": (CHAIN, 3, 16),
    "flattened into fc": ("c4k3 p c4k3 p f8", 2, 12),
    "flattened into the classifier": ("c4k3 p", 0, 8),
    "with dropout": ("c4k3 p c4k3 m f8", 0, 8),
}
DEEPER = {
    "k1": (CHAIN, 0, 1),
    "k3": (CHAIN, 2, 3),
    "k5": (CHAIN, 3, 5),
    "fc": (CHAIN, 6, 1),
    "last": (CHAIN, 7, 3),
    "flattened": ("c4k3 p c4k3 p f8", 2, 3),
}


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", WIDER)
def test_wider_keeps_the_function(case: str, dtype: torch.dtype, most: float) -> None:
    text, layer, width = WIDER[case]
    old = settled(plain(text, dropout=0.2 if "dropout" in case else 0.0), 1, dtype)
    new = wider(old, layer, width, draws(2))
    assert new.genotype.layers[layer].width == width
    assert new.layers[layer].weight.weight.shape[0] == width
    assert gap(old, new) <= most
    assert gap(old, settled(new.genotype, 3, dtype)) > 0.1  # other weights of the same shape: another function


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", DEEPER)
def test_deeper_keeps_the_function(case: str, dtype: torch.dtype, most: float) -> None:
    text, layer, kernel = DEEPER[case]
    old = settled(plain(text), 1, dtype)
    new = deeper(old, layer, kernel, images(dtype=dtype), draws(2))
    assert len(new.genotype.layers) == len(old.genotype.layers) + 1
    weight = new.layers[layer + 1].weight.weight
    if weight.ndim == 4:
        assert weight.shape[2:] == (kernel, kernel)
    assert weight.count_nonzero() == len(weight) == weight.sum()
    assert gap(old, new) <= most


def test_wider_twice_and_conserved_sums() -> None:
    old = settled(plain(CHAIN), 1)
    once = wider(old, 2, 12, draws(2))
    twice = wider(once, 2, 40, draws(3))
    assert gap(old, twice) <= 1e-10
    for before, after, seed, width in ((old, once, 2, 12), (once, twice, 3, 40)):
        now = before.layers[2].weight.weight.shape[0]
        idx = replicate(now, width, draws(seed))
        summed = torch.zeros_like(before.layers[3].weight.weight)
        summed.index_add_(1, idx, after.layers[3].weight.weight.detach())
        assert torch.allclose(summed, before.layers[3].weight.weight, atol=1e-12)


def test_replicate_and_counts() -> None:
    idx = replicate(3, 8, draws(0))
    assert idx[:3].tolist() == [0, 1, 2]
    assert set(idx.tolist()) <= {0, 1, 2}
    assert counts(torch.tensor([0, 1, 2, 1, 1]), 3).tolist() == [1, 3, 1, 3, 3]
    spread = torch.bincount(replicate(4, 4004, draws(1))[4:], minlength=4)
    assert spread.min() > 850  # uniform: 1000 each, deviation 27
    for width in (3, 2):
        with pytest.raises(UsageError, match="cannot be widened"):
            replicate(3, width, draws(0))


def test_50_random_sequences() -> None:
    """Wider and deeper steps in a row, as a search makes them; the architecture is the one that was decided on, and all
    widths are of the list."""
    moved = 0
    for seed in range(50):
        start, random = random_plain(seed), draws(seed)
        decisions = walk(lambda kind, g, r=random: random_decision(kind, g, "small", r), start, 2, 2, "small")
        old = settled(start, seed)
        new = grow(old, decisions, "small", images(), random, 0.0, 0.0)
        assert new.genotype == grown(decisions[-1], "small")
        assert gap(old, new, 2) <= 1e-10
        for layer in new.genotype.layers:
            assert layer.kind in ("pool", "mean") or layer.width in WIDTHS["small"][layer.kind]
        moved += sum(sum(d.choice) > 0 for d in decisions if d.kind == "wider")
    assert moved > 60


def test_any_statistics_keep_the_function_but_only_measured_ones_in_training_mode() -> None:
    old = settled(plain("c8k3 c8k3 m f8"), 1)
    measured = deeper(old, 0, 3, images(64), draws(2))
    wrong = deeper(old, 0, 3, images(64, scale=5.0), draws(2))
    norm = measured.layers[1].norm
    assert torch.allclose(norm.running_var + 1e-5, norm.weight**2, atol=1e-12)
    assert gap(old, measured) <= 1e-10
    assert gap(old, wrong) <= 1e-10
    # The new layer alone in training mode, on the images it was measured on: the measured one changes nothing.
    with torch.no_grad():
        x = old.layers[0](images(64))
        for network, low, high in ((measured, 0.0, 1e-9), (wrong, 0.05, 1e9)):
            unit = network.layers[1].train()
            assert low <= float((unit(x) - x).abs().max()) <= high


def test_statistics_are_those_of_the_layer_s_output() -> None:
    old = settled(plain("c8k3 p c4k3 m f8"), 1)
    new = deeper(old, 2, 3, images(64), draws(0))
    with torch.no_grad():
        out = old.layers[2](old.layers[1](old.layers[0](images(64))))
    assert torch.allclose(new.layers[3].norm.running_mean, out.mean((0, 2, 3)), atol=1e-12)
    assert torch.allclose(new.layers[3].norm.running_var, out.var((0, 2, 3), unbiased=False), atol=1e-12)
    assert torch.equal(new.layers[3].norm.bias.data, new.layers[3].norm.running_mean)
    assert not old.training
    assert deeper(old.train(), 2, 3, images(64), draws(0)).training  # measured in evaluation mode all the same
    assert torch.equal(
        deeper(old, 2, 3, images(64), draws(0)).layers[3].norm.running_mean, new.layers[3].norm.running_mean
    )


def test_forgetting_to_divide_changes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    old = settled(plain(CHAIN), 1)
    monkeypatch.setattr(widen, "counts", lambda idx, old: torch.ones(len(idx)))
    for layer, width in ((0, 12), (6, 24), (7, 40)):
        assert gap(old, wider(old, layer, width, draws(2))) > 0.1


@pytest.mark.parametrize("part", widen.NORM)
def test_forgetting_a_vector_of_the_norm_changes_the_function(part: str) -> None:
    old = settled(plain(CHAIN), 1)
    new = wider(old, 2, 20, draws(2))
    fresh = getattr(nn.BatchNorm2d(20).double(), part).data
    getattr(new.layers[2].norm, part).data[8:] = fresh[8:]
    assert gap(old, new) > 1e-3


def _wrong_order(network: PlainNetwork) -> None:
    """Reader of flattened maps indexed by channel-last cells."""
    weight = network.layers[4].weight.weight
    weight.data = weight.data.reshape(len(weight), 12, -1).transpose(1, 2).reshape(len(weight), -1)


def _no_identity_norm(network: PlainNetwork) -> None:
    nn.init.ones_(network.layers[1].norm.weight)
    nn.init.zeros_(network.layers[1].norm.bias)


@pytest.mark.parametrize(
    ("make", "break_it"),
    [
        (lambda n: wider(n, 2, 12, draws(2)), _wrong_order),
        (lambda n: deeper(n, 0, 3, images(), draws(2)), _no_identity_norm),
    ],
)
def test_other_mutations_change_the_function(
    make: Callable[[PlainNetwork], PlainNetwork], break_it: Callable[[PlainNetwork], None]
) -> None:
    old = settled(plain("c4k3 p c4k3 p f8"), 1)
    new = make(old)
    assert gap(old, new) <= 1e-10
    break_it(new)
    assert gap(old, new) > 1e-3


def test_noise_is_on_the_repeated_filters_and_on_identity_kernels() -> None:
    old = settled(plain(CHAIN), 1)
    new = wider(old, 2, 20, draws(2), noise=1e-2)
    exact = wider(old, 2, 20, draws(2))
    assert gap(old, new) > 1e-6
    extra = (new.layers[2].weight.weight - exact.layers[2].weight.weight).detach()
    assert extra[:8].abs().max() == 0
    assert float(extra[8:].std() / old.layers[2].weight.weight.std()) == pytest.approx(1e-2, rel=0.1)
    assert torch.equal(new.layers[3].weight.weight, exact.layers[3].weight.weight)
    deep = deeper(old, 2, 5, images(), draws(2), noise=1e-3)
    flat = deeper(old, 2, 5, images(), draws(2))
    assert gap(old, deep) > 1e-9
    extra = (deep.layers[3].weight.weight - flat.layers[3].weight.weight).detach()
    assert float(extra.std() / flat.layers[3].weight.weight.std()) == pytest.approx(1e-3, rel=0.1)


def test_the_old_network_stays_as_it_is() -> None:
    old = settled(plain(CHAIN), 1)
    before = {k: v.clone() for k, v in old.state_dict().items()}
    wider(old, 2, 20, draws(2), noise=0.1)
    deeper(old, 2, 3, images(), draws(2), noise=0.1)
    assert all(torch.equal(v, before[k]) for k, v in old.state_dict().items())


@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
def test_other_activations_can_be_widened_not_deepened(activation: str) -> None:
    old = settled(plain(CHAIN, activation=activation), 1)
    assert gap(old, wider(old, 2, 20, draws(2))) <= 1e-10
    with pytest.raises(UsageError, match=f"{activation} cannot be deepened"):
        deeper(old, 0, 3, images(), draws(2))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


@pytest.mark.parametrize(
    ("layer", "module", "words"),
    [
        (0, PlainUnit(nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), "relu"), "groups"),
        (1, PlainUnit(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), "relu"), "groups"),
        (1, _Residual(), "may add its input"),
    ],
)
def test_depthwise_and_residual_readers_are_refused(layer: int, module: nn.Module, words: str) -> None:
    network = build(plain("c4k3 c4k3 m f8"), CLASSES, SIZE)
    network.layers[layer] = module
    with pytest.raises(UsageError, match=words):
        wider(network, 0, 8, draws(0))
    with pytest.raises(UsageError, match=words):
        deeper(network, 0, 3, images(dtype=torch.float32), draws(0))


def test_layers_without_width_are_refused() -> None:
    network = build(plain(CHAIN), CLASSES, SIZE)
    for layer in (1, 5, 8, -1):
        with pytest.raises(UsageError, match="has no width"):
            wider(network, layer, 40, draws(0))
