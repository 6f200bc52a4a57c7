"""EAS's search on a few made-up images: inheritance, resuming, control, log; and its networks in the ordinary loop."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.lab.search.arms import SearchOutcome  # noqa: E402
from auditor.lab.search.children import ChildRecipe, Children, ChildScore  # noqa: E402
from auditor.lab.search.comparison import compare  # noqa: E402
from auditor.lab.search.data import SearchData  # noqa: E402
from auditor.lab.search.eas.controller import random_decision  # noqa: E402
from auditor.lab.search.eas.moves import grown, walk  # noqa: E402
from auditor.lab.search.eas.search import (  # noqa: E402
    BUDGETS,
    DENSE_BUDGETS,
    STARTS,
    EasSettings,
    Ground,
    Learner,
    score_reward,
    search,
)
from auditor.lab.search.eas.space import tokens  # noqa: E402
from auditor.models.eas import PAPER_DENSE, PAPER_PLAIN, SMALL_DENSE, SMALL_PLAIN, PlainNetwork  # noqa: E402
from auditor.models.genotype import DenseGenotype, PlainGenotype, write_genotype  # noqa: E402
from auditor.models.registry import build_model  # noqa: E402
from auditor.train.base import FitTask, TrainingData  # noqa: E402
from auditor.train.image_network import ImageNetwork  # noqa: E402
from auditor.train.recipe import Recipe, Stage  # noqa: E402
from tests.lab.search.eas.cases import draws, gap, plain  # noqa: E402

RECIPE = ChildRecipe(1, 16, 0.02, 1e-4)
TINY = EasSettings(40, 20, RECIPE, replace(RECIPE, rate=0.1), "plain", "small", (2,), 2, 1, 1)


def made_up(n: int = 60) -> SearchData:
    """Images whose class is their brightness."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 3
    images = (random.integers(0, 120, (n, 16, 16, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    data = TrainingData("image", images, labels.astype(np.int64), 3)
    return SearchData(data, np.arange(40), np.arange(40, n), np.array([f"train/{k}" for k in range(n)]))


def timeless(outcome: SearchOutcome) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in outcome.rows]
    return {"found": outcome.found, "control": outcome.control, "rows": rows, "facts": outcome.facts}


def run(folder: Path, settings: EasSettings = TINY, seed: int = 0) -> SearchOutcome:
    return search(made_up(), settings, folder, seed, "cpu", SilentProgress())


def notes(folder: Path, event: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == event]


@pytest.mark.parametrize("family", ["plain", "dense"])
def test_search_and_control_at_equal_cost(family: str, tmp_path: Path) -> None:
    settings = replace(TINY, family=family, episodes=(1, 1))
    outcome = run(tmp_path / "a", settings)
    kind = PlainGenotype if family == "plain" else DenseGenotype
    assert isinstance(outcome.found, kind)
    assert isinstance(outcome.control, kind)
    for arm in ("search", "control"):
        rows = [row for row in outcome.rows if row["arm"] == arm]
        assert [row["step"] for row in rows] == [0, 0, 1, 1]
        assert [[a[0] for a in row["actions"]] for row in rows] == [["wider", "deeper"]] * 4
        best = max(rows, key=lambda row: row["accuracy"])
        assert " ".join(tokens(outcome.found if arm == "search" else outcome.control)) == best["network"]
        assert len(outcome.facts["gains"][arm]) == 2
        # The second start is the best network so far, trained on: that is paid before its first child.
        first = outcome.facts["gains"][arm][1]["start"]
        assert first == max(rows[:2], key=lambda row: row["accuracy"])["network"]
        assert rows[2]["spent"] - rows[1]["spent"] > rows[2]["cost"]
        assert rows[3]["spent"] - rows[2]["spent"] == pytest.approx(rows[3]["cost"])
    assert outcome.facts["start"]["network"] == " ".join(tokens(STARTS[family, "small"]))
    assert compare(outcome.rows, 0)["verdict"]
    steps = notes(tmp_path / "a", "reinforce")
    assert [note["baseline_kind"] for note in steps] == ["average"] * 2
    assert steps[1]["baseline_before"] == steps[0]["baseline"] == pytest.approx(sum(steps[0]["rewards"]) / 2)
    assert len(notes(tmp_path / "a", "gain")) == 4


def test_known_architectures_cost_nothing_within_an_arm(tmp_path: Path) -> None:
    """One deeper step on three blocks: three architectures, which both arms meet again and again."""
    settings = replace(TINY, family="dense", episodes=(2,), networks=6, wider_steps=0)
    rows = run(tmp_path, settings).rows
    for arm in ("search", "control"):
        seen: dict[str, int] = {}
        for row in (row for row in rows if row["arm"] == arm):
            first = row["key"] not in seen
            assert (row["repeated"], row["cost"] == 0) == (not first, not first)
            assert seen.setdefault(row["key"], row["hits"]) == row["hits"]
        assert len(seen) in (2, 3)
    assert {row["key"] for row in rows if row["arm"] == "search"} & {
        row["key"] for row in rows if row["arm"] == "control"
    }


def test_seeds_and_resuming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TINY, episodes=(1, 1))
    whole = timeless(run(tmp_path / "whole", settings))
    assert timeless(run(tmp_path / "other", settings, seed=1))["rows"] != whole["rows"]

    trained: list[str] = []
    train = Children._train

    def stopping(self: Children, name: str, key: str, build: Any) -> ChildScore:
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(name)
        return train(self, name, key, build)

    monkeypatch.setattr(Children, "_train", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", settings)
    assert len(trained) == 4
    done = list(trained)
    trained[:] = [""] * 5  # no more stops
    assert timeless(run(tmp_path / "cut", settings)) == whole
    assert not set(done) & set(trained[5:])  # what was trained before is not trained again
    count = len(trained)
    assert timeless(run(tmp_path / "cut", settings)) == whole
    assert len(trained) == count


def ground(folder: Path, settings: EasSettings) -> Ground:
    return Ground(made_up(), settings, folder, 0, "cpu", SilentProgress())


@pytest.mark.parametrize("family", ["plain", "dense"])
def test_children_inherit_the_weights_of_their_start(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a child is before its own training computes what the trained start network computes."""
    settings = replace(TINY, family=family, replica_noise=0.0, identity_noise=0.0)
    shared = ground(tmp_path, settings)
    start = shared.train_start(STARTS[family, "small"])
    fresh = build_model("eas:start" if family == "plain" else "eas:start-dense", 3, 16, 0)
    assert gap(shared.load(start.genotype, start.state).eval(), fresh.eval()) > 1e-2
    random = draws(0)
    decisions = walk(lambda k, g: random_decision(k, g, "small", random), start.genotype, 2, 2, "small")
    built = []
    train = Children._train

    def watching(self: Children, name: str, key: str, build: Any) -> ChildScore:
        built.append(build())
        return train(self, name, key, build)

    monkeypatch.setattr(Children, "_train", watching)
    genotype, score = shared.raise_child(start, decisions)
    assert built[0].genotype == genotype == grown(decisions[-1], "small")
    assert gap(built[0].eval(), shared.load(start.genotype, start.state).eval()) < 1e-4
    assert not score.repeated
    # The same architecture by another way keeps its score; so does the second look.
    other = [decisions[0], decisions[-1]]
    assert grown(other[-1], "small") == genotype
    again = shared.raise_child(start, other)[1]
    assert (again.repeated, again.cost, again.hits) == (True, 0.0, score.hits)
    assert len(built) == 1
    # With noise the child differs a little; from another start it is another child.
    noisy = copy(shared)
    noisy.settings = replace(settings, replica_noise=1e-2, identity_noise=1e-3)
    moved = replace(start, score=replace(start.score, state="elsewhere"))
    noisy.raise_child(moved, decisions)
    assert len(built) == 2
    assert 1e-6 < gap(built[1].eval(), shared.load(start.genotype, start.state).eval()) < 1.0


def test_new_norms_are_measured_on_training_images(tmp_path: Path) -> None:
    shared = ground(tmp_path, TINY)
    assert shared.images.shape == (40, 3, 16, 16)  # all forty: fewer than 64
    assert float(shared.images.mean()) == pytest.approx(0.0, abs=1e-5)  # normalised by the training images
    assert shared.size == 16
    half = ground(tmp_path / "half", replace(TINY, child=replace(RECIPE, scale=0.5)))
    assert (half.images.shape[2:], half.size) == ((8, 8), 8)


def test_the_start_trained_longer_is_a_child_that_did_not_grow(tmp_path: Path) -> None:
    shared = ground(tmp_path, TINY)
    start = shared.train_start(SMALL_PLAIN)
    longer = shared.train_longer(start)
    assert longer.state == ""
    assert longer.parameters == start.score.parameters
    genotype, child = shared.raise_child(start, [])
    assert genotype == SMALL_PLAIN
    assert (child.repeated, child.hits) == (True, longer.hits)


def test_a_new_start_is_the_child_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that did not grow: it is not the first start again."""
    shared = ground(tmp_path, replace(TINY, episodes=(1, 1)))
    start = shared.train_start(SMALL_PLAIN)
    genotype, child = shared.raise_child(start, [])
    given: list[dict[str, torch.Tensor]] = []
    train = Children._train

    def watching(self: Children, name: str, key: str, build: Any) -> ChildScore:
        given.append({k: v.clone() for k, v in build().state_dict().items()})
        return train(self, name, key, build)

    monkeypatch.setattr(Children, "_train", watching)
    new = shared.train_start(genotype, child)
    assert new.score.state not in (start.score.state, child.state)
    assert all(torch.equal(v, given[0][k]) for k, v in shared.children.state(child).items())
    assert any(not torch.equal(v, given[0][k]) for k, v in new.state.items())


def test_official_baseline_holds_the_batch() -> None:
    learner = Learner(replace(TINY, baseline="official"), 0)
    learner.learn([[learner.decide("wider", SMALL_PLAIN)]] * 2, [1.0, 3.0])
    note = learner.learn([[learner.decide("deeper", SMALL_PLAIN)]] * 2, [4.0, 8.0])
    # From 0, as the authors' code: 0.95 2 = 1.9, then 1.9 + 0.95 (6 - 1.9) = 5.795.
    assert note["advantages"] == pytest.approx([-1.795, 2.205])
    assert note["baseline_kind"] == "official"
    assert Learner(TINY, 0).baseline.value is None


def test_a_step_of_learning_moves_the_controller() -> None:
    learner = Learner(TINY, 0)
    before = [p.detach().clone() for p in learner.controller.parameters()]
    trajectories = [[learner.decide("wider", SMALL_PLAIN), learner.decide("deeper", SMALL_PLAIN)] for _ in range(2)]
    note = learner.learn(trajectories, [1.0, 2.0])
    after = list(learner.controller.parameters())
    moved = [float((a - b).detach().abs().max()) for a, b in zip(after, before, strict=True)]
    assert max(moved) == pytest.approx(TINY.rate, rel=0.01)  # Adam's first step
    assert note["advantages"] == [-0.5, 0.5]


def test_rewards_are_finite() -> None:
    def score(hits: int) -> ChildScore:
        return ChildScore("", hits, 20, 1, 1, 1.0, 1.0)

    assert score_reward(score(10)) == pytest.approx(1.0)
    assert score_reward(score(20)) == pytest.approx(25.45, abs=0.01)  # tan of 0.975 of a right angle
    assert score_reward(score(20)) > score_reward(score(19)) > 0


def test_budgets() -> None:
    for budgets, family, steps in ((BUDGETS, "plain", (4, 5)), (DENSE_BUDGETS, "dense", (10, 5))):
        assert list(budgets) == ["smoke", "cpu", "gpu10", "paper"]
        assert {b.family for b in budgets.values()} == {family}
        paper = budgets["paper"]
        assert (paper.wider_steps, paper.deeper_steps) == steps
        assert (paper.networks, paper.train, paper.validation) == (10, None, 5000)
        assert [n * paper.networks for n in paper.episodes] == [300, 150]
        child = paper.child
        assert (child.epochs, child.batch, child.rate, child.decay, child.scale) == (20, 64, 0.02, 1e-4, 1.0)
        assert (paper.rate, paper.entropy, paper.baseline) == (2e-3, 1e-5, "average")
        assert (paper.replica_noise, paper.identity_noise) == (1e-2, 1e-3)
        json.dumps(paper.as_dict())
    assert STARTS["plain", "large"] == PAPER_PLAIN == plain("c16k3 p c32k3 p c64k3 p c128k3 m f256")
    assert plain("c4k3 p c4k3 p c4k3 p c4k3 m f8") == SMALL_PLAIN
    assert (SMALL_DENSE.stem, SMALL_DENSE.blocks) == (8, ((4,), (4,), (4,)))
    assert (PAPER_DENSE.stem, [len(b) for b in PAPER_DENSE.blocks]) == (80, [6, 6, 6])


@pytest.mark.parametrize(
    ("genotype", "size"),
    [
        (plain("c8k3 c8k5 p c12k1 p c16k3 m f16 f8"), 16),
        (plain("c8k3 p c8k3 p f8"), 32),
        (DenseGenotype(stem=8, blocks=((4, 6), (4,), (8, 4)), transitions=(9, 6)), 16),
    ],
)
def test_a_genotype_file_trains_in_the_ordinary_loop(
    genotype: PlainGenotype | DenseGenotype, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "found.json"
    write_genotype(path, genotype, seed=0)
    network = build_model(f"eas:{path}", 10, size, 0)
    assert network.genotype == genotype
    if isinstance(network, PlainNetwork):
        assert [m.weight.weight.shape[0] for m in network.layers if hasattr(m, "weight")] == [
            layer.width for layer in genotype.layers if layer.width
        ]
    found = made_up()
    recipe = Recipe(
        stages=(Stage(1.0, 6),),
        batch=10,
        optimiser="sgd",
        filter_rate=0.05,
        momentum=0.9,
        weight_decay=1e-4,
        label_smoothing=0.0,
        crop=0,
        heldout_from=1.0,
        seeds=1,
    )
    trainer = ImageNetwork(recipe, f"eas:{path}", "cpu", "fp32", 1, keep_weights=False)
    result = trainer.fit(found.data, FitTask("t", found.train, found.validation, 0), SilentProgress(), None)
    right = (result.probabilities.argmax(1) == found.data.labels[found.validation]).mean()
    assert right > 0.5  # brightness is easy: a third would be chance
