"""Net2Wider and Net2Deeper of DenseNets: exact in evaluation mode through blocks, transitions and classifier."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import UsageError  # noqa: E402
from auditor.lab.search.eas import dense, widen  # noqa: E402
from auditor.lab.search.eas.controller import random_decision  # noqa: E402
from auditor.lab.search.eas.dense import deeper_dense, widen_joints, wider_dense  # noqa: E402
from auditor.lab.search.eas.moves import grow, grown, walk  # noqa: E402
from auditor.lab.search.eas.space import GROWTHS, joints  # noqa: E402
from auditor.models.eas import PAPER_DENSE, SMALL_DENSE  # noqa: E402
from auditor.models.genotype import DenseGenotype  # noqa: E402
from tests.lab.search.eas.cases import draws, gap, images, random_dense, settled  # noqa: E402

GENOTYPE = DenseGenotype(stem=6, blocks=((4, 6), (4, 4, 8), (6, 4)), transitions=(5, 7))
EVERYWHERE = [(block, k) for block, growths in enumerate(GENOTYPE.blocks) for k in range(len(growths))]


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("block", "position"), EVERYWHERE)
def test_every_miniblock_can_grow_and_be_copied(block: int, position: int, dtype: torch.dtype, most: float) -> None:
    old = settled(GENOTYPE, 1, dtype)
    wide = wider_dense(old, block, position, 14, draws(2))
    assert wide.genotype.blocks[block][position] == 14
    miniblock = wide.blocks[block][position]
    assert (miniblock.squeeze.out_channels, miniblock.grow.out_channels) == (56, 14)
    assert gap(old, wide) <= most
    deep = deeper_dense(old, block, position, draws(2))
    assert len(deep.genotype.blocks[block]) == len(GENOTYPE.blocks[block]) + 1
    assert gap(old, deep) <= most


def test_grown_twice_then_joints() -> None:
    old = settled(GENOTYPE, 1)
    new = wider_dense(wider_dense(old, 1, 1, 10, draws(2)), 1, 1, 48, draws(3))
    new = widen_joints(new, draws(4))
    # Mean growth (4+6+4+48+8+6+4)/7 = 11.4, so the stem is 22 wide; (22+10)/2 = 16; (16+60)/2 = 38.
    assert (new.genotype.stem, new.genotype.transitions) == (22, (16, 38))
    assert new.stem.out_channels == 22
    assert gap(old, new) <= 1e-10
    again = widen_joints(new, draws(5))
    assert again.genotype == new.genotype


def test_joints_only_grow_and_the_start_networks_are_at_rest() -> None:
    wide = GENOTYPE.model_copy(update={"stem": 60, "transitions": (50, 60)})
    assert joints(wide) == wide
    assert joints(SMALL_DENSE) == SMALL_DENSE
    assert joints(PAPER_DENSE) == PAPER_DENSE


@pytest.mark.parametrize("sequences", [20, pytest.param(50, marks=pytest.mark.slow)])
def test_random_sequences(sequences: int) -> None:
    for seed in range(sequences):
        start, random = random_dense(seed), draws(seed)
        decisions = walk(lambda kind, g, r=random: random_decision(kind, g, "small", r), start, 2, 2, "small")
        old = settled(start, seed)
        new = grow(old, decisions, "small", images(), random, 0.0, 0.0)
        assert new.genotype == grown(decisions[-1], "small")
        assert gap(old, new, 2) <= 1e-10
        assert all(g in GROWTHS for block in new.genotype.blocks for g in block)


def test_a_copy_ignores_its_original() -> None:
    old = settled(GENOTYPE, 1)
    new = deeper_dense(old, 1, 0, draws(2))
    copy, original = new.blocks[1][1], new.blocks[1][0]
    inputs = original.squeeze.in_channels
    assert copy.squeeze.weight[:, inputs:].abs().max() == 0
    assert torch.equal(copy.squeeze.weight[:, :inputs], original.squeeze.weight)
    assert [float(getattr(copy.norm, part).data[-1]) for part in widen.NORM] == [1.0, 0.0, 0.0, 1.0]
    remap = torch.randint(4, (4,), generator=draws(2))
    assert torch.equal(copy.grow.weight, original.grow.weight[remap])
    assert torch.equal(new.blocks[1][2].grow.weight, old.blocks[1][1].grow.weight)


def test_forgetting_to_divide_changes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    old = settled(GENOTYPE, 1)
    monkeypatch.setattr(widen, "counts", lambda idx, old: torch.ones(len(idx)))
    assert gap(old, wider_dense(old, 0, 0, 14, draws(2))) > 0.05
    assert gap(old, deeper_dense(old, 0, 0, draws(2))) > 0.05
    assert gap(old, widen_joints(wider_dense(old, 2, 1, 48, draws(2)), draws(3))) > 0.05


def test_a_wrong_offset_changes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    old = settled(GENOTYPE, 1)
    inputs = dense._inputs
    monkeypatch.setattr(dense, "_inputs", lambda genotype, block: inputs(genotype, block) - 1)
    assert gap(old, wider_dense(old, 1, 1, 14, draws(2))) > 0.05
    assert gap(old, deeper_dense(old, 1, 1, draws(2))) > 0.05


@pytest.mark.parametrize("part", widen.NORM)
def test_forgetting_the_readers_norm_changes_the_function(part: str) -> None:
    old = settled(GENOTYPE, 1)
    new = wider_dense(old, 1, 0, 14, draws(2))
    norm = new.transitions[1].norm
    repeated = torch.arange(9, 19)  # behind the 5 inputs and the 4 first channels
    fresh = 0.0 if part in ("bias", "running_mean") else 1.0
    getattr(norm, part).data[repeated] = fresh
    assert gap(old, new) > 1e-3


def test_noise_changes_the_function_a_little() -> None:
    old = settled(GENOTYPE, 1)
    for make in (
        lambda noise: wider_dense(old, 1, 0, 14, draws(2), noise),
        lambda noise: deeper_dense(old, 1, 0, draws(2), noise),
        lambda noise: widen_joints(wider_dense(old, 1, 0, 48, draws(2)), draws(2), noise),
    ):
        assert gap(old, make(0.0)) <= 1e-10
        assert 1e-6 < gap(old, make(1e-2)) < 0.5


def test_refusals() -> None:
    old = settled(GENOTYPE, 1)
    with pytest.raises(UsageError, match="cannot be widened"):
        wider_dense(old, 0, 0, 4, draws(0))
    for position in (2, -1):
        with pytest.raises(UsageError, match="no miniblock"):
            deeper_dense(old, 0, position, draws(0))
