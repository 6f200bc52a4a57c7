"""EAS's search: a trained start network, grown by the controller without changing its function, its children trained a
little further, REINFORCE; and the same with a random policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed
from auditor.lab.search.arms import Arm, SearchLog, SearchOutcome
from auditor.lab.search.baseline import Baseline, BaselineKind
from auditor.lab.search.children import ChildRecipe, Children, ChildScore, SearchSettings
from auditor.lab.search.data import SearchData
from auditor.lab.search.eas.controller import EasController, EasDecision, random_decision, reinforce_loss, reward
from auditor.lab.search.eas.moves import Policy, grow, grown, walk
from auditor.lab.search.eas.space import EasGenotype, tokens
from auditor.lab.search.eas.widen import IDENTITY_NOISE, REPLICA_NOISE
from auditor.lab.search.groups import SEARCH, TOLERANCE, draw_equal
from auditor.models.counter import count
from auditor.models.eas import PAPER_DENSE, PAPER_PLAIN, SMALL_DENSE, SMALL_PLAIN, DenseNetwork, PlainNetwork, build
from auditor.stats.intervals import wilson
from auditor.train.batches import ImageTensor
from auditor.train.device import torch_threads

#: Images the statistics of a new BatchNorm are measured on, as in the authors' code.
MEASURED = 64

STARTS: dict[tuple[str, str], EasGenotype] = {
    ("plain", "small"): SMALL_PLAIN,
    ("plain", "large"): PAPER_PLAIN,
    ("dense", "small"): SMALL_DENSE,
    ("dense", "large"): PAPER_DENSE,
}


@dataclass(frozen=True)
class EasSettings(SearchSettings):
    """One search.

    Attributes
    ----------
    train, validation, child
        See `SearchSettings`; children are trained on from the weights they inherit.
    start : ChildRecipe
        Training of start networks.
    family : "plain" or "dense"
    sizes : "small" or "large"
        Start network and list of widths, see `STARTS` and `auditor.lab.search.eas.space.WIDTHS`.
    episodes : ints
        Episodes from each start. The first start is the start network, each later one the best network of the arm so
        far, trained by `start`.
    networks : int
        In one episode.
    wider_steps, deeper_steps : int
        Decisions on one network.
    rate, entropy : float
        Adam's rate and the weight of the entropy.
    replica_noise, identity_noise : float
        Of repeated filters and identity kernels, as a share of a weight's standard deviation.
    baseline : str
        ``official``: that of the authors' code, which begins at 0 and holds the batch it is compared with.
    """

    start: ChildRecipe
    family: Literal["plain", "dense"]
    sizes: Literal["small", "large"]
    episodes: tuple[int, ...]
    networks: int
    wider_steps: int
    deeper_steps: int
    rate: float = 2e-3
    entropy: float = 1e-5
    replica_noise: float = REPLICA_NOISE
    identity_noise: float = IDENTITY_NOISE
    baseline: BaselineKind = "average"


def _recipe(epochs: int, batch: int = 64, rate: float = 0.02, scale: float = 1.0) -> ChildRecipe:
    return ChildRecipe(epochs, batch, rate, 1e-4, None, scale)


#: Plain networks. `paper` is the authors' episode in the paper's schedule: 300 networks, a new start trained
#: for 100 epochs, 150 more. How long the first start is trained is ours. `cpu` raises the controller's rate: half a
#: dozen updates at 2e-3 would not move it; and that of its short trainings, of a start network trained until its few
#: filters are what limits it. `gpu10` raises batch and rates.
BUDGETS = {
    "smoke": EasSettings(
        100, 50, _recipe(1, scale=0.5), _recipe(1, 32, 0.1, 0.5), "plain", "small", (1, 1), 2, 1, 1, group=2
    ),
    "cpu": EasSettings(
        4000, 2000, _recipe(8, 64, 0.1), _recipe(20, 64, 0.1), "plain", "small", (6,), 5, 3, 2, rate=2e-2, group=5
    ),
    "gpu10": EasSettings(
        None, 5000, _recipe(5, 512, 0.08), _recipe(15, 512, 0.4), "plain", "large", (10,), 8, 4, 5, rate=5e-3, group=5
    ),
    "paper": EasSettings(
        None,
        5000,
        replace(_recipe(20), mirrored=False),
        replace(_recipe(100, 64, 0.1), mirrored=False),
        "plain",
        "large",
        (30, 15),
        10,
        4,
        5,
    ),
}
#: DenseNets.
DENSE_BUDGETS = {
    "smoke": replace(BUDGETS["smoke"], family="dense"),
    "cpu": EasSettings(
        4000,
        2000,
        _recipe(4, 64, 0.1, 0.5),
        _recipe(15, 64, 0.1, 0.5),
        "dense",
        "small",
        (5,),
        5,
        2,
        2,
        rate=2e-2,
        group=5,
    ),
    "gpu10": EasSettings(
        None, 5000, _recipe(2, 512, 0.08), _recipe(10, 512, 0.4), "dense", "small", (8,), 8, 10, 5, rate=5e-3, group=5
    ),
    "paper": replace(BUDGETS["paper"], family="dense", wider_steps=10),
}


@dataclass(frozen=True)
class StartNetwork:
    """A network that others are grown from; `state` are its weights."""

    genotype: EasGenotype
    score: ChildScore
    state: dict[str, torch.Tensor]


class Ground:
    """What both arms share.

    Attributes
    ----------
    children, starts : Children
        Scorers by the recipe of the children and by that of the start networks.
    classes, size : int
        Of the networks.
    images : float tensor (64, 3, H, W)
        Training images, normalised as for training, that new BatchNorms are measured on.
    """

    def __init__(
        self, split: SearchData, settings: EasSettings, folder: Path, seed: int, device: str, progress: Progress
    ) -> None:
        self.settings, self.seed, self.progress = settings, seed, progress
        self.log = SearchLog(folder / "log.jsonl")
        # The weights of children are wanted again only where one becomes a new start.
        keep = len(settings.episodes) > 1
        self.children = Children(split, settings.child, folder / "children", seed, device, keep)
        self.starts = Children(split, settings.start, folder / "children", seed, device, keep=True)
        images = ImageTensor(split.data.features, "cpu", split.train)
        size = images.size_at(settings.child.scale, build(STARTS[settings.family, settings.sizes], 2).min_size)
        random = torch.Generator().manual_seed(derive_seed(seed, "statistics"))
        rows = torch.from_numpy(split.train)[torch.randperm(len(split.train), generator=random)[:MEASURED]]
        self.classes, self.size, self.images = split.data.n_classes, min(size), images.plain(rows, size)

    def load(self, genotype: EasGenotype, state: dict[str, torch.Tensor]) -> PlainNetwork | DenseNetwork:
        """The network of an architecture with given weights, on the processor."""
        network = build(genotype, self.classes, self.size)
        network.load_state_dict(state)
        return network

    def train_start(self, genotype: EasGenotype, before: ChildScore | None = None) -> StartNetwork:
        """Train a start network by `EasSettings.start`: from scratch, or on from a child's weights."""
        if before is None:
            score = self.starts.score(genotype.key(), lambda: build(genotype, self.classes, self.size))
        else:
            inherited = self.children.state(before)
            score = self.starts.score(genotype.key(), lambda: self.load(genotype, inherited), before.state)
        return StartNetwork(genotype, score, self.starts.state(score))

    def raise_child(self, start: StartNetwork, decisions: list[EasDecision]) -> tuple[EasGenotype, ChildScore]:
        """Grow the start network by `decisions`, train the child on, score it. An architecture that was grown from the
        same start before keeps its score, by whatever way it was reached (as in the authors' code)."""
        settings = self.settings
        genotype = grown(decisions[-1], settings.sizes) if decisions else start.genotype
        random = torch.Generator().manual_seed(derive_seed(self.seed, "grow", genotype.key()))

        def make() -> PlainNetwork | DenseNetwork:
            with torch_threads(1):
                network = self.load(start.genotype, start.state)
                noise = settings.replica_noise, settings.identity_noise
                return grow(network, decisions, settings.sizes, self.images, random, *noise)

        return genotype, self.children.score(genotype.key(), make, start.score.state)

    def train_longer(self, start: StartNetwork) -> ChildScore:
        """A start network, not grown, trained on like a child: what more training alone gives."""
        return self.children.score(
            start.genotype.key(), lambda: self.load(start.genotype, start.state), start.score.state
        )


Learn = Callable[[list[list[EasDecision]], list[float]], dict[str, Any]]


def run_arm(
    ground: Ground, name: str, policy: Policy, start: StartNetwork, learn: Learn | None = None
) -> tuple[EasGenotype, list[dict[str, Any]]]:
    """All episodes of one policy.

    Parameters
    ----------
    ground : Ground
    name : "search" or "control"
    policy : Policy
    start : StartNetwork
    learn : callable, optional
        Takes the trajectories and the rewards of an episode; gives what is to be noted.

    Returns
    -------
    best : genotype
        By validation items.
    gains : list of dict
        Over each start.
    """
    settings, log = ground.settings, ground.log
    arm: Arm[EasGenotype] = Arm(name, log, ground.progress, sum(settings.episodes) * settings.networks)
    step, owed, gains = 0, 0.0, []
    for phase, episodes in enumerate(settings.episodes):
        if phase:
            start = ground.train_start(*arm.best)
            owed = start.score.cost
        scores: list[ChildScore] = []
        for _ in range(episodes):
            trajectories = []
            for _ in range(settings.networks):
                with torch_threads(1):
                    decisions = walk(
                        policy, start.genotype, settings.wider_steps, settings.deeper_steps, settings.sizes
                    )
                genotype, score = ground.raise_child(start, decisions)
                trajectories.append(decisions)
                scores.append(score)
                network, actions = " ".join(tokens(genotype)), [[d.kind, *d.choice] for d in decisions]
                arm.add(genotype, score, step, owed, reward=score_reward(score), network=network, actions=actions)
                owed = 0.0
            if learn is not None:
                rewards = [score_reward(score) for score in scores[-settings.networks :]]
                with torch_threads(1):
                    log.note("reinforce", step=step, **learn(trajectories, rewards))
            step += 1
        gains.append(_gain(start, ground.train_longer(start), scores))
        log.note("gain", arm=name, **gains[-1])
    return arm.finish(), gains


def score_reward(score: ChildScore) -> float:
    """Reward of a child; one without a mistake counts half an item as wrong, as tan has no value at 1."""
    return reward(min(score.accuracy, 1 - 0.5 / score.n))


def _gain(start: StartNetwork, longer: ChildScore, scores: list[ChildScore]) -> dict[str, Any]:
    """Children beside their start trained for equally many epochs more, so that a gain is not only more training.

    ``best_gain`` has a 95 % interval (Newcombe 1998, unpaired); the best is chosen by the same validation items, which
    favours it, ``mean_gain`` is not.
    """
    best = max(scores, key=lambda score: score.accuracy)
    interval, other = wilson(best.hits, best.n), wilson(longer.hits, longer.n)
    value = best.accuracy - longer.accuracy
    return {
        "start": " ".join(tokens(start.genotype)),
        "start_accuracy": start.score.accuracy,
        "start_longer_accuracy": longer.accuracy,
        "best_accuracy": best.accuracy,
        "n": best.n,
        "mean_gain": float(np.mean([score.accuracy for score in scores])) - longer.accuracy,
        "best_gain": {
            "value": value,
            "low": value - math.hypot(best.accuracy - interval.low, other.high - longer.accuracy),
            "high": value + math.hypot(interval.high - best.accuracy, longer.accuracy - other.low),
        },
    }


class Learner:
    """The controller, its optimiser and its baseline."""

    def __init__(self, settings: EasSettings, seed: int) -> None:
        with torch.random.fork_rng(devices=[]), torch_threads(1):
            torch.manual_seed(derive_seed(seed, "controller"))
            self.controller = EasController(settings.sizes, settings.family == "dense")
        self.entropy = settings.entropy
        self.optimiser = torch.optim.Adam(self.controller.parameters(), settings.rate)
        self.draws = torch.Generator().manual_seed(derive_seed(seed, "controller", "draws"))
        self.baseline = Baseline(kind=settings.baseline, value=0.0 if settings.baseline == "official" else None)

    def decide(self, kind: Literal["wider", "deeper"], genotype: EasGenotype) -> EasDecision:
        """One decision of the controller as it is now."""
        return self.controller.decide(kind, genotype, self.draws)

    def learn(self, trajectories: list[list[EasDecision]], rewards: list[float]) -> dict[str, Any]:
        """One step of REINFORCE on an episode."""
        before = self.baseline.value
        advantages = self.baseline.advantages(rewards)
        loss = reinforce_loss(self.controller, trajectories, advantages, self.entropy)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {
            "rewards": rewards,
            "advantages": advantages,
            "loss": float(loss.detach()),
            "baseline_before": before,
            "baseline": self.baseline.value,
            "baseline_kind": self.baseline.kind,
        }


def search(
    split: SearchData, settings: EasSettings, folder: Path, seed: int, device: str, progress: Progress
) -> SearchOutcome:
    """Search, then as many networks of the random policy from the same start; see `auditor.lab.search.experiment`.

    ``facts["start"]`` describes the start network, ``facts["gains"]`` holds, by arm and start, the children beside the
    start trained on for equally long.
    """
    ground = Ground(split, settings, folder, seed, device, progress)
    start = ground.train_start(STARTS[settings.family, settings.sizes])
    described = {
        "network": " ".join(tokens(start.genotype)),
        **{name: getattr(start.score, name) for name in ("accuracy", "cost", "parameters", "macs")},
    }
    ground.log.note("start", **described)
    learner = Learner(settings, seed)
    best, gains = run_arm(ground, "search", learner.decide, start, learner.learn)
    ground.children.forget()
    ground.starts.forget()
    random = torch.Generator().manual_seed(derive_seed(seed, "random control"))

    def coin(kind: Literal["wider", "deeper"], genotype: EasGenotype) -> EasDecision:
        return random_decision(kind, genotype, settings.sizes, random)

    control, control_gains = run_arm(ground, "control", coin, start)
    facts = {
        "baseline": settings.baseline,
        "family": settings.family,
        "start": described,
        "gains": {"search": gains, "control": control_gains},
    }
    groups: dict[str, list[EasGenotype]] = {}
    if settings.group:
        equal, facts["equal"] = _equal(ground, best, seed)
        groups = {SEARCH: [best], "equal": equal}
    return SearchOutcome(best, control, ground.log.rows, facts, start.genotype, groups=groups)


def _equal(ground: Ground, found: EasGenotype, seed: int) -> tuple[list[EasGenotype], dict[str, Any]]:
    """Networks that the random policy grows from the first start, in walks of up to twice the search's steps, with the
    MACs of the found one."""
    settings, phases = ground.settings, len(ground.settings.episodes)
    random = torch.Generator().manual_seed(derive_seed(seed, "random networks of equal MACs"))

    def coin(kind: Literal["wider", "deeper"], genotype: EasGenotype) -> EasDecision:
        return random_decision(kind, genotype, settings.sizes, random)

    def draw() -> EasGenotype:
        most = [2 * phases * steps + 1 for steps in (settings.wider_steps, settings.deeper_steps)]
        wider, deeper = (int(torch.randint(n, (1,), generator=random)) for n in most)
        start = STARTS[settings.family, settings.sizes]
        decisions = walk(coin, start, wider, deeper, settings.sizes)
        return grown(decisions[-1], settings.sizes) if decisions else start

    def macs(genotype: EasGenotype) -> float:
        return float(count(build(genotype, ground.classes, ground.size), (3, ground.size, ground.size)).macs)

    target = macs(found)
    with torch_threads(1):
        drawn = draw_equal(draw, macs, target, settings.group)
    facts = {"cost": "MACs", "found": target, "networks": list(drawn.costs), "tolerance": TOLERANCE}
    return list(drawn.networks), {**facts, "draws": drawn.draws, "wanted": settings.group}
