"""EAS's controller: what it reads, what it may choose, log probabilities, and the arithmetic of REINFORCE."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.search.baseline import Baseline  # noqa: E402
from auditor.lab.search.eas.controller import EasController, EasDecision, random_decision, reinforce_loss, reward  # noqa: E402
from auditor.lab.search.eas.moves import grown, walk  # noqa: E402
from auditor.lab.search.eas.space import (  # noqa: E402
    GROWTHS,
    MAX_STEPS,
    PAD,
    WIDTHS,
    deepened,
    next_width,
    places,
    tokens,
    vocabulary,
    wide_mask,
    widened,
)
from auditor.models.eas import PAPER_DENSE, PAPER_PLAIN, SMALL_DENSE, SMALL_PLAIN  # noqa: E402
from auditor.models.genotype import DenseGenotype  # noqa: E402
from tests.lab.search.eas.cases import draws, plain, random_dense, random_plain  # noqa: E402

FULL = plain("c40k3 p c8k3 c40k5 p c4k1 m f80 f8")


def make(dense: bool = False, sizes: str = "small", seed: int = 0) -> EasController:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EasController(sizes, dense)


def test_what_the_controller_reads() -> None:
    assert tokens(SMALL_PLAIN) == ["conv-4-3", "pool"] * 4 + ["fc-8"]
    assert tokens(PAPER_PLAIN)[::2] == ["conv-16-3", "conv-32-3", "conv-64-3", "conv-128-3", "fc-256"]
    assert tokens(SMALL_DENSE) == ["g4", "t", "g4", "t", "g4"]
    assert len(tokens(PAPER_DENSE)) == 20
    words = vocabulary()
    assert len(set(words)) == len(words)
    assert words[0] == PAD
    for genotype in (SMALL_PLAIN, PAPER_PLAIN, SMALL_DENSE, PAPER_DENSE):
        assert set(tokens(genotype)) <= set(words)
    controller = make()
    assert (controller.embedding.embedding_dim, controller.encoder.hidden_size) == (16, 50)
    assert controller.encoder.bidirectional
    assert controller.decoder.hidden_size == 100
    out, (h, c) = controller.encode(SMALL_PLAIN)
    assert (out.shape, h.shape, c.shape) == ((9, 100), (1, 100), (1, 100))
    # The final state holds both directions: forward after the last layer, backward after the first.
    assert torch.equal(h[0, :50], out[-1, :50])
    assert torch.equal(h[0, 50:], out[0, 50:])


def test_networks_it_cannot_read() -> None:
    controller = make()
    with pytest.raises(UsageError, match="51 layers, at most 50"):
        controller.encode(plain(" ".join(["c4k3"] * (MAX_STEPS + 1))))
    controller.encode(plain(" ".join(["c4k3"] * MAX_STEPS)))
    with pytest.raises(UsageError, match="no token for conv-5-3"):
        controller.encode(plain("c5k3"))


def test_widths_of_the_lists() -> None:
    assert WIDTHS["large"]["conv"] == (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512)
    assert WIDTHS["large"]["fc"] == (64, 128, 256, 384, 512, 640, 768, 896, 1024)
    assert WIDTHS["small"]["conv"] == (4, 8, 12, 16, 20, 24, 28, 32, 36, 40)
    assert WIDTHS["small"]["fc"] == (8, 16, 24, 32, 40, 48, 56, 64, 72, 80)
    assert (GROWTHS[0], GROWTHS[1], GROWTHS[-1]) == (4, 6, 48)
    assert next_width(PAPER_PLAIN, 4, "large") == 96
    assert next_width(SMALL_DENSE, 0, "small") == 6


def test_pools_and_largest_layers_are_masked() -> None:
    mask = wide_mask(FULL, "small")
    names = tokens(FULL)
    assert len(names) == len(FULL.layers)  # the classifier is none of them
    assert [n for n, m in zip(names, mask, strict=True) if m] == ["conv-8-3", "conv-4-1", "fc-8"]
    assert wide_mask(DenseGenotype(stem=8, blocks=((48,), (4,), (46,)), transitions=(6, 5)), "small") == [
        False,
        False,
        True,
        False,
        True,
    ]
    with pytest.raises(UsageError, match="no next width"):
        widened(FULL, (1,) + (0,) * 8, "small")


def test_wider_log_probability_by_hand_and_masked_positions_get_no_gradient() -> None:
    controller = make()
    bits, log_p, entropy = controller.wider(FULL, draws(0))
    mask = wide_mask(FULL, "small")
    assert not any(b and not m for b, m in zip(bits, mask, strict=True))
    out, _ = controller.encode(FULL)
    logits = controller.wide(out)[:, 0].detach()
    p = [1 / (1 + math.exp(-float(x))) for x in logits]
    free = [(b, q) for b, q, m in zip(bits, p, mask, strict=True) if m]
    assert float(log_p.detach()) == pytest.approx(sum(math.log(q if b else 1 - q) for b, q in free), abs=1e-5)
    assert len(free) == 3
    assert float(entropy.detach()) == pytest.approx(
        -sum(q * math.log(q) + (1 - q) * math.log(1 - q) for _, q in free) / 3, abs=1e-5
    )
    seen: list[torch.Tensor] = []

    def watch(module: torch.nn.Module, given: object, out: torch.Tensor) -> None:
        out.retain_grad()
        seen.append(out)

    controller.wide.register_forward_hook(watch)
    _, log_p, entropy = controller.wider(FULL, None, bits)
    (log_p + entropy).backward()
    got = seen[0].grad[:, 0]
    assert all((float(g) != 0) == m for g, m in zip(got, mask, strict=True))


def test_wider_draws_follow_their_probabilities() -> None:
    controller = make()
    with torch.no_grad():
        controller.wide.weight.zero_()
        controller.wide.bias.fill_(math.log(3.0))  # p = 3/4
    random = draws(1)
    drawn = torch.tensor([controller.decide("wider", FULL, random).choice for _ in range(600)]).double().mean(0)
    mask = torch.tensor(wide_mask(FULL, "small"))
    assert drawn[~mask].max() == 0
    assert torch.all((drawn[mask] - 0.75).abs() < 0.08)  # 4.5 standard deviations


@pytest.mark.parametrize("choice", [(0, 0, 0), (1, 1, 2), (1, 0, 1), (2, 1, 0)])
def test_deeper_log_probability_by_hand(choice: tuple[int, int, int]) -> None:
    """Each decision knows the one before; missing blocks and layers are left out and the rest renormalised."""
    genotype = plain("c4k3 c4k3 p c4k3 c4k3 m f8 f8")
    controller, (block, layer, kernel) = make(), choice
    with torch.no_grad():
        _, state = controller.encode(genotype)
        h, c = controller.decoder(controller.start[None], state)
        first = torch.softmax(controller.block_head(h)[0, :3], 0)
        h, c = controller.decoder(controller.block_embedding(torch.tensor([block])), (h, c))
        second = torch.softmax(controller.layer_head(h)[0, :2], 0)
        h, c = controller.decoder(controller.layer_embedding(torch.tensor([layer])), (h, c))
        third = torch.softmax(controller.kernel_head(h)[0], 0)
        _, log_p, entropy = controller.deeper(genotype, None, choice)
    counted = [(first, block), (second, layer)] + [(third, kernel)] * (block < 2)  # block 2 is fully connected
    assert float(log_p) == pytest.approx(sum(math.log(p[k]) for p, k in counted), abs=1e-5)
    mean = -sum(float((p * p.log()).sum()) for p, _ in counted) / len(counted)
    assert float(entropy) == pytest.approx(mean, abs=1e-5)


def test_kernels_of_fully_connected_blocks_are_masked_out_of_the_loss() -> None:
    controller = make()
    flat = places(SMALL_PLAIN).flat
    assert flat == 4
    for block, counted in ((0, True), (flat, False)):
        controller.zero_grad()
        _, log_p, entropy = controller.deeper(SMALL_PLAIN, None, (block, 0, 2))
        (log_p + entropy).backward()
        grad = controller.kernel_head.weight.grad
        assert (grad is not None and float(grad.abs().sum()) > 0) == counted
        same = [controller.deeper(SMALL_PLAIN, None, (block, 0, k))[1].item() for k in range(3)]
        assert (len(set(same)) == 1) == (not counted)


def test_deeper_never_names_a_missing_layer() -> None:
    """Even with a controller that wants nothing else."""
    controller, random = make(), draws(0)
    with torch.no_grad():
        controller.layer_head.bias.copy_(torch.arange(10.0) * 20)
        controller.block_head.bias.copy_(torch.arange(5.0) * 20)
    dense = make(dense=True)
    with torch.no_grad():
        dense.layer_head.bias.copy_(torch.arange(20.0) * 20)
    for seed in range(40):
        for genotype, actor in ((random_plain(seed), controller), (random_dense(seed), dense)):
            where = places(genotype)
            for _ in range(3):
                for decision in (
                    actor.decide("deeper", genotype, random),
                    random_decision("deeper", genotype, "small", random),
                ):
                    block, layer = decision.choice[:2]
                    assert layer < len(where.positions[block])
                    assert len(tokens(grown(decision, "small"))) == len(tokens(genotype)) + 1
                assert math.isfinite(actor.decide("deeper", genotype, random).log_p)


def test_layers_that_do_not_exist_get_no_gradient() -> None:
    controller = make()
    _, log_p, entropy = controller.deeper(plain("c4k3 c4k3 p c4k3 m f8"), None, (0, 1, 1))
    (log_p + entropy).backward()
    assert controller.layer_head.bias.grad[2:].abs().max() == 0
    assert controller.layer_head.bias.grad[:2].abs().min() > 0
    assert controller.block_head.bias.grad[3:].abs().max() == 0


def test_blocks_end_with_pools_and_can_be_full() -> None:
    genotype = plain("c4k3 c4k3 p " + "c4k3 " * 10 + "m f8")
    where = places(genotype)
    assert where.positions == ((0, 1), tuple(range(3, 13)), (14,))
    assert (where.flat, where.open) == (2, [True, False, True, False, False])
    longest = plain(" ".join(["c4k3 c4k3 p"] * 16 + ["m", "f8"]))
    assert len(tokens(longest)) == MAX_STEPS
    assert not places(longest).room
    for refuse in (
        lambda: make().deeper(longest, draws(0)),
        lambda: random_decision("deeper", longest, "small", draws(0)),
    ):
        with pytest.raises(UsageError, match="cannot be deepened"):
            refuse()
    done = walk(lambda kind, g: random_decision(kind, g, "small", draws(0)), longest, 0, 3, "small")
    assert done == []
    assert places(DenseGenotype(stem=8, blocks=((4,) * 20, (4,), (4,)), transitions=(6, 5))).open == [False, True, True]


def test_new_layers_go_behind_the_chosen_one() -> None:
    genotype = plain("c4k3 c8k5 p c12k1 m f8")
    assert tokens(deepened(genotype, (0, 1, 0))) == [
        "conv-4-3",
        "conv-8-5",
        "conv-8-1",
        "pool",
        "conv-12-1",
        "pool",
        "fc-8",
    ]
    assert tokens(deepened(genotype, (2, 0, 0)))[-2:] == ["fc-8", "fc-8"]
    assert deepened(SMALL_DENSE, (1, 0)).blocks == ((4,), (4, 4), (4,))
    assert widened(genotype, (1, 0, 0, 1, 0, 1), "small") == plain("c8k3 c8k5 p c16k1 m f16")


@pytest.mark.parametrize("dense", [False, True])
def test_a_replayed_trajectory_has_the_stored_log_probability(dense: bool) -> None:
    controller, random = make(dense), draws(4)
    start = SMALL_DENSE if dense else SMALL_PLAIN
    decisions = walk(lambda kind, g: controller.decide(kind, g, random), start, 4, 5, "small")
    assert [d.kind for d in decisions] == ["wider"] * 4 + ["deeper"] * 5
    assert len(decisions[-1].choice) == (2 if dense else 3)
    for decision in decisions:
        log_p, _ = controller.replay(decision)
        assert float(log_p.detach()) == pytest.approx(decision.log_p, abs=1e-6)
        assert decision.log_p < 0
    again, other = draws(4), draws(5)
    assert walk(lambda kind, g: controller.decide(kind, g, again), start, 4, 5, "small") == decisions
    assert walk(lambda kind, g: controller.decide(kind, g, other), start, 4, 5, "small") != decisions


def test_reward() -> None:
    assert reward(0.5) == pytest.approx(1.0, abs=1e-12)
    assert reward(0.0) == 0.0
    assert reward(0.95) == pytest.approx(12.7062, abs=1e-4)


def test_advantages_by_hand() -> None:
    """Rewards 1 and 3, then 4 and 8, then 0 and 0."""
    average = Baseline()
    assert average.advantages([1.0, 3.0]) == [-1.0, 1.0]
    assert average.advantages([4.0, 8.0]) == [2.0, 6.0]  # b = 2
    assert average.advantages([0.0, 0.0]) == pytest.approx([-2.2, -2.2])  # b = 0.95 2 + 0.05 6
    official = Baseline(kind="official")
    assert official.advantages([1.0, 3.0]) == [-1.0, 1.0]
    assert official.advantages([4.0, 8.0]) == pytest.approx([-1.8, 2.2])  # b = 2 + 0.95 (6 - 2)
    assert official.advantages([0.0, 0.0]) == pytest.approx([-0.29, -0.29])  # b = 5.8 - 0.95 5.8


def test_reinforce_by_hand() -> None:
    controller = make()
    one = [
        EasDecision("wider", SMALL_PLAIN, (1, 0, 0, 0, 1, 0, 0, 0, 0)),
        EasDecision("deeper", SMALL_PLAIN, (1, 0, 2)),
    ]
    two = [EasDecision("deeper", SMALL_PLAIN, (4, 0, 0))]
    parts = {d: tuple(float(x.detach()) for x in controller.replay(d)) for d in (*one, *two)}
    loss = reinforce_loss(controller, [one, two], [2.0, -3.0], 0.01)
    by_hand = -(2.0 / 2) * sum(parts[d][0] for d in one) - (-3.0 / 2) * parts[two[0]][0]
    by_hand -= 0.01 * sum(entropy for _, entropy in parts.values()) / 3  # their mean
    assert float(loss.detach()) == pytest.approx(by_hand, abs=1e-5)


def test_a_step_makes_rewarded_decisions_likelier() -> None:
    controller = make()
    good = [
        EasDecision("wider", SMALL_PLAIN, (1, 0, 1, 0, 1, 0, 1, 0, 1)),
        EasDecision("deeper", SMALL_PLAIN, (1, 0, 2)),
    ]
    bad = [EasDecision("wider", SMALL_PLAIN, (0,) * 9), EasDecision("deeper", SMALL_PLAIN, (3, 0, 0))]
    optimiser = torch.optim.Adam(controller.parameters(), 2e-3)

    def likely(decisions: list[EasDecision]) -> list[float]:
        return [float(controller.replay(d)[0].detach()) for d in decisions]

    before = likely(good), likely(bad)
    for _ in range(3):
        optimiser.zero_grad()
        reinforce_loss(controller, [good, bad], [1.0, -1.0], 1e-5).backward()
        optimiser.step()
    assert all(new > old for new, old in zip(likely(good), before[0], strict=True))
    assert all(new < old for new, old in zip(likely(bad), before[1], strict=True))


def test_the_random_policy_is_uniform_over_what_exists() -> None:
    random = draws(7)
    genotype = plain("c4k3 c4k3 p c40k3 m f8")
    bits = torch.tensor([random_decision("wider", genotype, "small", random).choice for _ in range(400)]).double()
    assert (bits.mean(0) > 0).tolist() == wide_mask(genotype, "small")
    assert torch.all((bits.mean(0)[[0, 1, 5]] - 0.5).abs() < 0.12)
    deeper = [random_decision("deeper", genotype, "small", random).choice for _ in range(600)]
    for block in range(3):
        assert sum(d[0] == block for d in deeper) / 600 == pytest.approx(1 / 3, abs=0.1)
    assert {d[1] for d in deeper if d[0] == 0} == {0, 1}
    assert {d[2] for d in deeper} == {0, 1, 2}
