"""FTWT: targets by brute force, gradients that must be zero, counts, and gathered execution."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.prune.dynamic import _mask_facts  # noqa: E402
from auditor.lab.prune.ftwt.cost import bisect_share, measure_cost  # noqa: E402
from auditor.lab.prune.ftwt.gated import GatedNetwork, Mode  # noqa: E402
from auditor.lab.prune.ftwt.gathered import gathered_unit, gathering, time_gathered, time_network  # noqa: E402
from auditor.lab.prune.ftwt.targets import mass_targets, top_share  # noqa: E402
from auditor.lab.prune.ftwt.units import plan_of  # noqa: E402
from auditor.lab.prune.optim import GatedSteps  # noqa: E402
from auditor.lab.prune.settings import FtwtSettings  # noqa: E402
from auditor.models.counter import count  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.models.resnet import CifarResNet  # noqa: E402
from auditor.models.vgg import VGG  # noqa: E402

POSTER = [5.5, 7.9, 0.3, 8.6, 2.2, 3.1, 0.9]


def _images(n: int = 5, side: int = 16) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(3))


def _small(name: str, **options: object) -> torch.nn.Module:
    if name == "vgg":
        torch.manual_seed(0)
        return VGG((1, 1, 1, 1, 1), 10, 0.125)
    if name == "resnet":
        torch.manual_seed(0)
        return CifarResNet(8, 10, 8, **options)  # type: ignore[arg-type]
    return build_model("mobilenet_v1", 10, 32, 0, width=0.125)


FAMILIES = [("vgg", {}), *(("resnet", {"shortcut": kind}) for kind in ("a", "average", "conv")), ("mobilenet", {})]


def _brute(values: list[float], r: float) -> list[bool]:
    total, order = sum(values), sorted(range(len(values)), key=lambda i: -values[i])
    keep, running = [False] * len(values), 0.0
    for i in order:
        running += values[i] / total
        if running <= r + 1e-5:
            keep[i] = True
    keep[order[0]] = True
    return keep


def test_poster_example_gives_four() -> None:
    activation = torch.tensor(POSTER)[None, :, None, None] * torch.tensor([[0.5, -1.0]])
    found = mass_targets(activation, 0.95)
    assert found[0].tolist() == [True, True, False, True, False, True, False]


def test_targets_equal_a_loop_and_grow_with_r() -> None:
    random = torch.Generator().manual_seed(0)
    activation = torch.randn(30, 12, 4, 4, generator=random).relu() * torch.rand(30, 12, 1, 1, generator=random)
    activation[:, 3] = 0
    before = torch.zeros(30, 12, dtype=torch.bool)
    for r in (0.05, 0.2, 0.5, 0.8, 0.95, 0.999):
        found = mass_targets(activation, r)
        for row, values in zip(found, activation.abs().amax((2, 3)).double(), strict=True):
            assert row.tolist() == _brute(values.tolist(), r)
        assert (found.sum(1) >= 1).all()
        assert not (before & ~found).any()
        before = found
    everything = mass_targets(activation, 1.0)
    assert not everything[:, 3].any()
    assert torch.equal(everything, activation.abs().amax((2, 3)) > 1e-5 * activation.abs().amax((2, 3)).sum(1)[:, None])
    assert mass_targets(torch.zeros(2, 4, 3, 3), 0.9).sum(1).tolist() == [1, 1]
    assert top_share(activation, 0.25).sum(1).tolist() == [3] * 30


@pytest.mark.parametrize("coupling", ["decoupled", "joint"])
def test_which_loss_reaches_what(coupling: str) -> None:
    gated = GatedNetwork(_small("vgg"), 0.8, coupling).train()  # type: ignore[arg-type]
    with torch.no_grad():
        for predictor in gated.predictors:
            predictor.bias.normal_()  # some filters off
    logits = gated(_images())
    assert sum(int((~m).sum()) for m in gated.record.masks.values()) > 0
    task = F.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 4]))
    predictors, backbone = list(gated.predictors.parameters()), list(gated.backbone.parameters())
    assert all(g is None for g in torch.autograd.grad(task, predictors, retain_graph=True, allow_unused=True))
    assert any(
        g is not None and g.any() for g in torch.autograd.grad(task, backbone, retain_graph=True, allow_unused=True)
    )
    own = gated.predictor_loss()
    assert all(g.any() for g in torch.autograd.grad(own, predictors[1::2], retain_graph=True))
    reached = torch.autograd.grad(own, backbone, allow_unused=True)
    moved = any(g is not None and g.any() for g in reached)
    assert moved == (coupling == "joint")


@pytest.mark.parametrize(("family", "options"), FAMILIES)
def test_all_ones_is_the_dense_network_at_the_dense_cost(family: str, options: dict) -> None:
    images = _images()
    plain = _small(family, **options).eval()
    with torch.no_grad():
        expected = plain(images)
    gated = GatedNetwork(_small(family, **options), 0.9).eval()
    assert len(gated.plan.units) == sum(
        isinstance(m, torch.nn.Conv2d) and "shortcut" not in n for n, m in plain.named_modules()
    )
    with torch.no_grad():
        for predictor in gated.predictors:
            predictor.bias.fill_(100.0)
        assert torch.equal(gated(images), expected)
    oracle = FlopCounterMode(display=False)
    with oracle, torch.no_grad():
        plain(images[:1])
    cost = measure_cost(gated, images)
    assert cost.dense * 2 == oracle.get_total_flops()
    assert cost.flops_paper == pytest.approx(cost.dense, rel=1e-12)
    assert cost.macs_executable == pytest.approx(cost.dense + cost.predictors, rel=1e-12)
    assert cost.predictors == sum(u.conv.in_channels * u.conv.out_channels for u in gated.plan.units)
    gated.mode = "static"
    with torch.no_grad():
        assert torch.equal(gated(images), expected)


def test_masks_come_from_the_predictors_alone_and_leave_every_image_a_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    gated = GatedNetwork(_small("vgg"), 0.8).eval()
    assert gated.mode == "predict"

    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("targets were asked for")

    monkeypatch.setattr(gated, "targets_of", refuse)
    images = _images(8)
    with torch.no_grad():
        for predictor in gated.predictors:
            predictor.weight.normal_(std=30.0)
            predictor.bias.zero_()
        gated(images)
        masks = {name: mask.clone() for name, mask in gated.record.masks.items()}
        assert not gated.record.targets
        assert any((mask.any(0) & ~mask.all(0)).any() for mask in masks.values())
        # Whatever the convolution computes, its own mask stays: it depends on the input only.
        first = gated.plan.units[0]
        first.conv.weight.neg_()
        gated(images)
        assert torch.equal(gated.record.masks[first.name], masks[first.name])
        gated.r = 0.01
        gated(images)
        assert torch.equal(gated.record.masks[first.name], masks[first.name])
        for predictor in gated.predictors:
            predictor.bias.fill_(-1e4)
        gated(images)
    for unit, predictor in zip(gated.plan.units, gated.predictors, strict=True):
        assert gated.record.masks[unit.name].sum(1).tolist() == [1] * 8
        assert torch.equal(gated.record.masks[unit.name].int().argmax(1), gated.record.logits[unit.name].argmax(1))
        assert predictor.weight.shape == (unit.conv.out_channels, unit.conv.in_channels)


def test_few_steps_teach_a_predictor_to_tell_inputs_apart() -> None:
    """What the official SGD does not learn in as many steps."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 64, generator=random).softmax(1)
    targets = (inputs @ torch.randn(64, 32, generator=random) > 0.02).float()
    right = {}
    for by, rate in (("sgd", 0.1), ("adam", 0.3)):
        torch.manual_seed(0)
        predictor = torch.nn.Linear(64, 32)
        settings = FtwtSettings(epochs=1, decay=0, milestones=(), predictor_rate=rate, predictors_by=by)
        steps = GatedSteps([torch.zeros(1, requires_grad=True)], predictor.parameters(), 60, 256, settings)
        for done in range(60):
            steps.zero_grad()
            loss = F.binary_cross_entropy_with_logits(predictor(inputs), targets, reduction="none").mean(0).sum()
            (256 * loss).backward()
            steps.step(done)
        right[by] = float(((predictor(inputs) > 0) == targets.bool()).float().mean())
    assert right["adam"] > 0.9 > right["sgd"]


class _Truth(torch.nn.Module):
    """In place of a predictor: logits that are the target of this layer, read from the recorded truth."""

    def __init__(self, masks: torch.Tensor) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return torch.where(self.masks, 1.0, -1.0)


@pytest.mark.parametrize(("family", "options"), FAMILIES)
def test_cost_predicted_from_targets_is_the_cost_executed_with_them(family: str, options: dict) -> None:
    images = _images(6)
    gated = GatedNetwork(_small(family, **options), 0.7).eval()
    gated.mode = "truth"
    predicted = measure_cost(gated, images)
    with torch.no_grad():
        by_truth = gated(images)
    masks = dict(gated.record.masks)
    own = predicted.predictors
    assert own == 0
    for i, unit in enumerate(gated.plan.units):
        stand_in = _Truth(masks[unit.name])
        stand_in.in_features = stand_in.out_features = 0  # type: ignore[assignment]
        gated.predictors[i] = stand_in
    gated.mode = "predict"
    executed = measure_cost(gated, images)
    assert (executed.flops_paper, executed.macs_executable) == (predicted.flops_paper, predicted.macs_executable)
    assert executed.active == predicted.active
    with torch.no_grad():
        assert torch.equal(gated(images), by_truth)
    assert predicted.flops_paper < predicted.dense


def test_executable_count_by_hand() -> None:
    """Channels that are zero by a mask are really zero, and only those are left out."""
    images = _images(4)
    for family, options in FAMILIES:
        gated = GatedNetwork(_small(family, **options), 0.5).eval()
        gated.mode = "truth"
        seen: dict[str, torch.Tensor] = {}
        hooks = [
            m.register_forward_pre_hook(lambda _, x, n=n, seen=seen: seen.__setitem__(n, x[0]))
            for n, m in gated.backbone.named_modules()
            if isinstance(m, torch.nn.Conv2d)
        ]
        with torch.no_grad():
            gated(images)
        flow = gated.plan.flow(gated.record.masks)
        for hook in hooks:
            hook.remove()
        masked = {name: present for name, present in flow.inputs.items() if name in seen and present is not None}
        assert masked, family
        for name, present in masked.items():
            assert not seen[name].abs().amax((2, 3))[~present].any(), (family, name)


def test_paper_counts_are_never_above_and_depthwise_counts_nothing() -> None:
    images = _images(4)
    gated = GatedNetwork(_small("mobilenet"), 0.6).eval()
    gated.mode = "truth"
    cost = measure_cost(gated, images)
    assert cost.flops_paper < cost.macs_executable < cost.dense
    flow, masks = gated.plan.flow(gated.record.masks), dict(gated.record.masks)
    depthwise = [u for u in gated.plan.units if u.conv.groups > 1 and not flow.paper[u.name].all(1).any()]
    assert depthwise
    by_hand = 0.0
    for name, macs in count(gated.backbone, (3, 16, 16)).layers.items():
        if name in {u.name for u in depthwise}:
            continue  # counts nothing as soon as one input channel is off
        before = flow.paper.get(name)
        share = masks[name].double().mean(1) if name in masks else torch.ones(4)
        grouped = gated.backbone.get_submodule(name)
        if name in masks and before is not None:
            share = share * (before.all(1) if getattr(grouped, "groups", 1) > 1 else before.double().mean(1))
        by_hand += macs * float(share.mean())
    assert cost.flops_paper == pytest.approx(by_hand)


def test_right_masks_are_counted_beside_the_best_constant_one() -> None:
    """By a loop; masks that are the majority of the targets have exactly the constant's share, the truth has all."""
    images = _images(9)
    gated = GatedNetwork(_small("vgg"), 0.8).eval()
    gated.mode = "truth"
    with torch.no_grad():
        gated(images)
        first = gated.record.masks[gated.plan.units[0].name].clone()
    gated.mode = "predict"
    with torch.no_grad():
        for predictor in gated.predictors:
            predictor.weight.zero_()
            predictor.bias.fill_(1.0)
        facts = _mask_facts(gated, images)
        gated.keep_targets = True
        gated(images)
        gated.keep_targets = False
    targets = [t.tolist() for t in gated.record.targets.values()]
    total = sum(len(t) * len(t[0]) for t in targets)
    assert facts["mask_accuracy"] == sum(sum(map(sum, t)) for t in targets) / total  # everything is on
    columns = [[row[c] for row in t] for t in targets for c in range(len(t[0]))]
    assert facts["constant_mask_accuracy"] == sum(max(sum(c), len(c) - sum(c)) for c in columns) / total
    assert facts["varying_filters"] == 0
    # The first layer's targets do not depend on any mask: its majority, and its truth.
    alone = GatedNetwork(_small("vgg"), 0.8).eval()
    share = first.double().mean(0)
    assert ((share > 0) & (share < 1)).any(), "targets must differ between images, or the case says nothing"
    by: dict[str, dict] = {}
    with torch.no_grad():
        for predictor in alone.predictors:
            predictor.weight.zero_()
            predictor.bias.fill_(1.0)
        alone.predictors[0].bias.copy_(torch.where(share >= 0.5, 1.0, -1.0))
        by["majority"] = _mask_facts(_only_first(alone), images)
        alone.predictors[0] = _Truth(first)
        by["truth"] = _mask_facts(_only_first(alone), images)
    assert by["majority"]["mask_accuracy"] == by["majority"]["constant_mask_accuracy"] < 1
    assert by["truth"]["mask_accuracy"] == 1 > by["truth"]["constant_mask_accuracy"]
    static = GatedNetwork(_small("vgg"), 0.8).eval()
    static.mode = "static"
    assert _mask_facts(static, images) | {"varying_filters": 0} == {
        "mask_accuracy": None,
        "constant_mask_accuracy": None,
        "varying_filters": 0,
    }


def _only_first(gated: GatedNetwork) -> GatedNetwork:
    """With the targets of its first unit, and with everything on as the target of all others."""
    targets_of, calls = type(gated).targets_of, [0]
    units = len(gated.plan.units)

    def first(activation: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        if calls[0] % units == 1:
            return targets_of(gated, activation)
        return torch.ones(activation.shape[:2], dtype=torch.bool)

    gated.targets_of = first  # type: ignore[method-assign]
    return gated


@pytest.mark.parametrize(("family", "options"), FAMILIES)
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_is_gated_by_itself(family: str, options: dict, way: str) -> None:
    images = _images()
    gated = GatedNetwork(_small(family, **options), 0.8).eval()
    with torch.no_grad():
        for predictor in gated.predictors:
            predictor.bias.normal_(generator=torch.Generator().manual_seed(1))
        expected = gated(images)
    masks = {name: mask.clone() for name, mask in gated.record.masks.items()}
    again = copy.deepcopy(gated) if way == "deepcopy" else pickle.loads(pickle.dumps(gated))
    own = dict(again.backbone.named_modules())
    assert all(own[unit.name] is unit.conv for unit in again.plan.units)
    with torch.no_grad():
        assert torch.equal(again(images), expected)
        for predictor in again.predictors:
            predictor.weight.zero_()
            predictor.bias.fill_(1.0)
        again.mode = "predict"
        whole = again(images)
        assert not torch.equal(whole, expected)  # the copy's predictors decide over the copy
        assert all(mask.all() for mask in again.record.masks.values())
        assert all(torch.equal(gated.record.masks[name], mask) for name, mask in masks.items())
        again.mode = "dense"
        assert torch.equal(gated(images), expected)
        gated.mode = "static"
        assert torch.equal(again(images), whole)
    assert again.record.mass
    assert not gated.record.mass
    shared = {id(hook.func.__self__) for m in again.modules() for hook in m._forward_hooks.values()}
    assert shared == {id(again)}


def test_bisection_reaches_a_reduction_and_the_saving_falls_with_r() -> None:
    images = _images(16)
    gated = GatedNetwork(_small("vgg"), 0.9).eval()
    gated.mode = "truth"
    saved = []
    for r in (0.3, 0.6, 0.9, 1.0):
        gated.r = r
        saved.append(measure_cost(gated, images).reduction_paper)
    assert saved == sorted(saved, reverse=True)
    cost = bisect_share(gated, images, "r", 0.4)
    assert 0 < gated.r < 1
    assert 0.4 <= cost.reduction_paper < 0.45


def test_gathered_execution_equals_the_masked_result() -> None:
    gated = GatedNetwork(_small("vgg"), 0.7).eval()
    gated.mode = "truth"
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for unit in gated.plan.units:
        unit.conv.register_forward_pre_hook(lambda _, x, n=unit.name: seen.__setitem__(n, (x[0], x[0])))
        unit.end.register_forward_hook(lambda _, __, y, n=unit.name: seen.__setitem__(n, (seen[n][0], y)))
    images = _images(3)
    with torch.no_grad():
        gated(images)
    flow = gated.plan.flow(gated.record.masks)
    for unit in gated.plan.units:
        x, y = seen[unit.name]
        for i in range(3):
            present = flow.inputs[unit.name]
            mine = gathered_unit(
                unit.conv,
                unit.norm,
                x[i : i + 1],
                gated.record.masks[unit.name][i],
                None if present is None else present[i],
            )
            assert torch.allclose(mine, y[i : i + 1], atol=1e-5)


@pytest.mark.parametrize(("name", "options"), FAMILIES)
@pytest.mark.parametrize("mode", ["predict", "static"])
def test_a_whole_network_gathered_answers_as_masked(name: str, options: dict[str, str], mode: Mode) -> None:
    gated = GatedNetwork(_small(name, **options), 0.7).eval()
    random = torch.Generator().manual_seed(1)
    for i, (unit, predictor) in enumerate(zip(gated.plan.units, gated.predictors, strict=True)):
        predictor.weight.data.normal_(std=30.0, generator=random)  # type: ignore[union-attr]
        predictor.bias.data.zero_()  # type: ignore[union-attr]
        gated.fixed_mask(i).copy_(torch.rand(unit.conv.out_channels, generator=random) < 0.6)
        unit.norm.bias.data.normal_(std=0.3, generator=random)  # type: ignore[union-attr]
    gated.mode = mode
    images, seen = _images(4), list[tuple[int, int]]()
    computed = torch.nn.functional.conv2d
    with torch.no_grad():
        masked = gated(images)
        cost = measure_cost(gated, images)
        with gathering(gated), pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.nn.functional, "conv2d", lambda x, w, *a, **k: seen.append(w.shape[:2]) or computed(x, w, *a, **k)
            )
            one_by_one = torch.cat([gated(x) for x in images.split(1)])
        assert torch.equal(gated(images), masked)  # as before
        gated.plan.units[1].norm.bias.fill_(-100.0)  # type: ignore[union-attr, operator]
        with gathering(gated):
            black = gated(images[:1])
        assert torch.allclose(black, gated(images[:1]), atol=1e-5)
    assert torch.allclose(one_by_one, masked, atol=1e-5)
    assert cost.reduction > 0.1
    layers = [unit.conv.weight.shape[:2] for unit in gated.plan.units] * len(images)
    asked = sum(rows * columns for rows, columns in layers)
    assert sum(rows * columns for rows, columns in seen) < 0.9 * asked  # not computed and thrown away
    gated.mode = "truth"
    with pytest.raises(UsageError, match="gathered"), gathering(gated):
        pass


def test_a_whole_network_is_timed_on_a_copy() -> None:
    gated = GatedNetwork(_small("vgg"), 0.7).eval()
    found = time_network(gated, _images(2), repeats=1)
    assert set(found) == {"dense_ms", "masked_ms", "gathered_ms", "difference"}
    assert min(found.values()) >= 0 < found["gathered_ms"]
    assert found["difference"] < 1e-4
    assert gated.record.masks == {}


def test_gathered_execution_is_timed_beside_masking() -> None:
    found = time_gathered(channels=128, side=8, active=0.3, repeats=7)
    assert found["difference"] < 1e-4
    assert found["gathered_ms"] > 0
    assert found["gathered_ms"] < found["masked_ms"]


def test_other_families_and_impossible_rates_are_refused() -> None:
    with pytest.raises(UsageError, match="FTWT"):
        plan_of(build_model("fastnet", 10, 32, 0))
    with pytest.raises(UsageError, match="0, 1"):
        GatedNetwork(_small("vgg"), 0.0)


def test_resnet56_by_the_papers_count_at_a_uniform_active_rate() -> None:
    """58 % active: about 66 % saved by the paper's count, about 54 % executable (the specification's derivation)."""
    gated = GatedNetwork(build_model("resnet56", 10, 32, 0), 0.9).eval()
    random = torch.Generator().manual_seed(0)
    masks = {}
    for unit in gated.plan.units:
        k = round(0.58 * unit.conv.out_channels)
        masks[unit.name] = torch.zeros(unit.conv.out_channels, dtype=torch.bool)
        masks[unit.name][torch.randperm(unit.conv.out_channels, generator=random)[:k]] = True
    gated.fix(masks)
    gated.mode = "static"
    cost = measure_cost(gated, _images(1, 32))
    assert np.isclose(cost.reduction_paper, 0.66, atol=0.02)
    assert 0.40 < cost.reduction < cost.reduction_paper - 0.08
