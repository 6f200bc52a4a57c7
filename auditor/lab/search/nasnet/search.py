"""NASNet's search: minibatches of cells from the controller, children trained from scratch, PPO; and random cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed, generator
from auditor.lab.search.arms import Arm, SearchLog, SearchOutcome
from auditor.lab.search.baseline import Baseline, BaselineKind
from auditor.lab.search.children import ChildRecipe, Children, ChildScore, SearchSettings
from auditor.lab.search.data import SearchData
from auditor.lab.search.nasnet.controller import NasnetController, ppo_loss
from auditor.lab.search.nasnet.space import decode, random_actions
from auditor.models.genotype import NasnetGenotype
from auditor.models.nasnet import NASNET_A, NasnetNetwork
from auditor.train.device import torch_threads


@dataclass(frozen=True)
class NasnetSettings(SearchSettings):
    """One search.

    Attributes
    ----------
    train, validation, child
        See `SearchSettings`.
    cells, filters : int
        Size of the children: N and F0.
    final_cells, final_filters : int
        Size of the networks that the found cells are trained in at the end; as in the paper larger than the children's.
    minibatches, minibatch : int
        How often the controller is updated, and architectures between two updates.
    rate, entropy, clip : float
        Adam's rate, weight of the mean entropy of a decision, PPO's clip. The paper gives no clip: 0.2 is ours.
    passes : int
        Gradient steps on each minibatch (ours).
    baseline : str
    retrain : int
        So many of an arm's best cells are trained again by `retraining`, and the best of these is chosen; 0: the best
        child.
    retraining : ChildRecipe, optional
    """

    cells: int
    filters: int
    final_cells: int
    final_filters: int
    minibatches: int
    minibatch: int
    rate: float = 3.5e-4
    entropy: float = 1e-5
    clip: float = 0.2
    passes: int = 4
    baseline: BaselineKind = "average"
    retrain: int = 0
    retraining: ChildRecipe | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without retraining where nothing is trained again."""
        values = super().as_dict()
        return values if self.retrain else {k: v for k, v in values.items() if not k.startswith("retrain")}


def _child(epochs: int, batch: int, rate: float = 0.025, scale: float = 1.0) -> ChildRecipe:
    return ChildRecipe(epochs, batch, rate, 5e-4, 5.0, scale)


#: `cpu` and `gpu10` raise the controller's rate, `cpu` its passes too: with 70 children 3.5e-4 would not
#: move it. `paper`: the children's F0, PPO's clip and its passes are ours, as the paper does not say them; that the
#: best 250 of 20,000 are trained again for 300 epochs is what Liu et al. (2018) say of it.
BUDGETS = {
    "smoke": NasnetSettings(100, 50, _child(1, 32, scale=0.5), 1, 2, 1, 2, 2, 2, group=2),
    "cpu": NasnetSettings(2000, 2000, _child(4, 32, 0.05, 0.5), 1, 4, 1, 8, 14, 5, rate=5e-3, passes=8, group=5),
    "gpu10": NasnetSettings(None, 5000, _child(2, 256, 0.2), 2, 8, 2, 16, 4, 20, rate=1e-2, group=5),
    "paper": NasnetSettings(
        None,
        5000,
        replace(_child(20, 128), mirrored=False),
        2,
        32,
        6,
        32,
        1000,
        20,
        retrain=250,
        retraining=replace(_child(300, 128), mirrored=False),
    ),
}


def update(
    controller: NasnetController,
    optimiser: torch.optim.Optimizer,
    actions: torch.Tensor,
    old: torch.Tensor,
    advantages: list[float],
    settings: NasnetSettings,
) -> float:
    """PPO on one minibatch; the loss of the last pass."""
    gains = torch.tensor(advantages)
    value = 0.0
    for _ in range(settings.passes):
        new, entropies = controller.replay(actions)
        loss = ppo_loss(new, old, gains, settings.clip) - settings.entropy * entropies.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        value = float(loss.detach())
    return value


def search(
    split: SearchData, settings: NasnetSettings, folder: Path, seed: int, device: str, progress: Progress
) -> SearchOutcome:
    """Search, then as many uniform random children, trained alike; see `auditor.lab.search.experiment`."""
    log = SearchLog(folder / "log.jsonl")
    children = Children(split, settings.child, folder / "children", seed, device)
    total = settings.minibatches * settings.minibatch

    def play(arm: Arm[NasnetGenotype], actions: list[int], step: int) -> ChildScore:
        """Train and score one child."""
        genotype = decode(actions, settings.cells, settings.filters)
        score = children.score(genotype.key(), lambda: NasnetNetwork(genotype, split.data.n_classes))
        arm.add(genotype, score, step, actions=actions)
        return score

    with torch.random.fork_rng(devices=[]), torch_threads(1):
        torch.manual_seed(derive_seed(seed, "controller"))
        controller = NasnetController()
    optimiser = torch.optim.Adam(controller.parameters(), settings.rate)
    draws = torch.Generator().manual_seed(derive_seed(seed, "controller", "draws"))
    baseline = Baseline(kind=settings.baseline)
    arm: Arm[NasnetGenotype] = Arm("search", log, progress, total)
    for step in range(settings.minibatches):
        with torch_threads(1):
            actions, old = controller.sample(settings.minibatch, draws)
        advantages = baseline.advantages([play(arm, row, step).accuracy for row in actions.tolist()])
        with torch_threads(1):
            loss = update(controller, optimiser, actions, old, advantages, settings)
        log.note("ppo", step=step, loss=loss, baseline=baseline.value, baseline_kind=baseline.kind)
    arm.finish()
    children.forget()
    random = generator(seed, "random control")
    control: Arm[NasnetGenotype] = Arm("control", log, progress, total)
    for number in range(total):
        play(control, random_actions(random), number // settings.minibatch)
    control.finish()
    again = {each.name: _retrain(each, split, settings, folder, seed, device) for each in (arm, control)}
    size = {"cells": settings.final_cells, "filters": settings.final_filters}
    final, other = (again[each.name][0].model_copy(update=size) for each in (arm, control))
    searched_at = {"cells": settings.cells, "filters": settings.filters}
    facts: dict[str, Any] = {"baseline": settings.baseline, "searched_at": searched_at}
    if settings.retrain:
        facts["retrained"] = {name: rows for name, (_, rows) in again.items()}
    groups: dict[str, list[NasnetGenotype]] = {}
    if settings.group:
        best = {each.name: [g for g, _ in each.ranked(settings.group)] for each in (arm, control)}
        groups = {name: [g.model_copy(update=size) for g in own] for name, own in best.items()}
        groups["published"] = [NASNET_A.model_copy(update=size)]
    return SearchOutcome(final, other, log.rows, facts, groups=groups)


def _retrain(
    arm: Arm[NasnetGenotype], split: SearchData, settings: NasnetSettings, folder: Path, seed: int, device: str
) -> tuple[NasnetGenotype, list[dict[str, Any]]]:
    """What an arm chooses: its best child or, with `NasnetSettings.retrain`, the best of its best cells trained again;
    and a row for each of those. Their first score has been chosen by; the second is by the same validation items."""
    if settings.retraining is None or not settings.retrain:
        return arm.best[0], []
    again = Children(split, settings.retraining, folder / "retrained", seed, device)
    rows: list[tuple[NasnetGenotype, dict[str, Any]]] = []
    arm.progress.start(f"{arm.name}, trained again", settings.retrain, "child")
    for genotype, first in arm.ranked(settings.retrain):
        score = again.score(genotype.key(), lambda g=genotype: NasnetNetwork(g, split.data.n_classes))  # type: ignore[misc]
        row = {"key": score.key, "accuracy_before": first.accuracy, "accuracy": score.accuracy, "cost": score.cost}
        rows.append((genotype, row))
        arm.log.note("retrained", arm=arm.name, **row)
        arm.progress.advance(f"{arm.name}, trained again", len(rows), f"accuracy {score.accuracy:.3f}")
    arm.progress.finish(f"{arm.name}, trained again")
    return max(rows, key=lambda each: each[1]["accuracy"])[0], [row for _, row in rows]
