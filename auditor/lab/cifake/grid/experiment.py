"""The CIFAKE grid from data to results: 12 extractors, 24 heads on the best one, the best of all trained again and
tested once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.core.errors import MissingExtraError
from auditor.core.machine import describe_machine
from auditor.core.seeds import derive_seed
from auditor.core.version import __version__
from auditor.lab.cifake.grid.budgets import GridBudget
from auditor.lab.cifake.grid.data import GridData, open_cifake
from auditor.lab.cifake.grid.metrics import BinaryMetrics, binary_metrics
from auditor.lab.experiment.shell import Experiment, ExperimentOptions, Workplace
from auditor.lab.experiment.verdicts import page
from auditor.stats.paired import holm, mcnemar
from auditor.train.base import FitTask, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.held_back import HeldBack

if TYPE_CHECKING:
    from auditor.lab.cifake.grid.trainer import TopologyTrainer
    from auditor.models.cifake_cnn import Topology

REPORT = "report.md"
#: Accuracy of the best of 36 topologies (Bird and Lotfi 2024, abstract). How it was chosen there is not known.
PUBLISHED = {"accuracy": 0.9298, "source": "Bird and Lotfi 2024, abstract: best of 36 topologies"}


@dataclass(frozen=True)
class GridFit:
    """One network of the grid on the validation items."""

    topology: Topology
    stage: int
    metrics: BinaryMetrics
    right: np.ndarray
    seconds: float

    @property
    def merit(self) -> tuple[float, float, int]:
        """Larger is better: accuracy, then loss, then fewer parameters."""
        return self.metrics.accuracy.value, -self.metrics.loss.value, -self.topology.parameters()


class GridExperiment(Experiment):
    """Both stages of the grid on validation items, and the test of the chosen topology.

    Parameters
    ----------
    budget : GridBudget
    seed : int
        Root of all random numbers: splits, weights, orders.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    schema = "auditor.grid/1"
    expectation = "The topology chosen on validation items reaches the published accuracy of the best of 36 on test."
    control = "Every other network of the grid, by McNemar's test with Holm's correction; the test split without leaks."

    def __init__(self, budget: GridBudget, seed: int = 0, device: str = "auto") -> None:
        self.budget, self.seed = budget, seed
        self.options = ExperimentOptions(data="cifake", budget=budget.name, seeds=budget.seeds, device=device)

    def measure(self, at: Workplace) -> dict[str, Any]:
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        budget, trainer = self.budget, _trainer(self.budget, self.options.device)
        at.progress.stage("data", "cifake, its validation split cut from train")
        data = open_cifake(at.settings, budget, self.seed)
        fits = self._grid(trainer, data, at)
        grid_seconds = time.perf_counter() - clock
        best = max(fits, key=lambda fit: fit.merit)
        at.progress.stage("final", f"{best.topology.name}, {len(data.final_train):,} items, {budget.seeds} seed(s)")
        parts = ("grid_train", "validation", "final_train", "test")
        return {
            "auditor": __version__,
            "started": started,
            "budget": asdict(budget),
            "seed": self.seed,
            "published": PUBLISHED,
            # Never: the paper's blocks, epochs and way to choose are not known.
            "reproduction": False,
            "items": {part: len(getattr(data, part)) for part in parts},
            "networks": _rows(fits, best),
            "extractor": _best_extractor(fits).topology.name,
            "selected": best.topology.name,
            "final": self._final(best.topology, data, trainer, at),
            "grid_seconds": round(grid_seconds, 1),
            "fit_seconds": round(sum(fit.seconds for fit in fits), 1),
            "seconds": round(time.perf_counter() - clock, 1),
            "machine": {**describe_machine(), "device": trainer.device, "precision": trainer.precision},
        }

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        return {REPORT: "# Grid of CIFAKE networks\n\n" + page("grid", document)}

    def _grid(self, trainer: TopologyTrainer, data: GridData, at: Workplace) -> list[GridFit]:
        """Both stages; the second on the extractor that is best on the validation items."""
        from auditor.models.cifake_cnn import extractors, heads

        rows = np.concatenate([data.grid_train, data.validation])
        images = TrainingData("image", data.pixels(rows, at.progress), data.dataset.labels[rows], 2)
        train, validation = np.split(np.arange(len(rows)), [len(data.grid_train)])
        # One seed for all: every network sees the items in the same order.
        seed = derive_seed(self.seed, "grid")

        def fit(topologies: Sequence[Topology], stage: int) -> list[GridFit]:
            # The dearest first, so that no core ends with a long one alone.
            tasks = [
                FitTask(t.name, train, validation, seed)
                for t in sorted(topologies, key=lambda t: -(t.macs() + 20 * t.parameters()))
            ]
            results = run_tasks(
                trainer, images, tasks, workers=at.processes, progress=at.progress, folder=at.folder / "grid"
            )
            by_name = {task.name: result for task, result in zip(tasks, results, strict=True)}
            fits = []
            for topology in topologies:
                result, labels = by_name[topology.name], images.labels[validation]
                right = result.probabilities.argmax(axis=1) == labels
                metrics = binary_metrics(result.probabilities, labels)
                fits.append(GridFit(topology, stage, metrics, right, result.seconds))
            return fits

        first = extractors()[: self.budget.extractors]
        what = f"{len(first)} networks, {len(train):,} items, {self.budget.epochs} epoch(s)"
        at.progress.stage("extractors", what)
        fits = fit(first, 1)
        best = _best_extractor(fits).topology
        second = heads(best)[: self.budget.heads]
        at.progress.stage("heads", f"{len(second)} networks on {best.filters} filters x {best.convolutions}")
        return fits + fit(second, 2)

    def _final(self, topology: Topology, data: GridData, trainer: TopologyTrainer, at: Workplace) -> dict[str, Any]:
        """Train the chosen topology again with every seed; each network predicts the test items once, at its end."""
        from auditor.lab.cifake.grid.trainer import plain_recipe

        budget = self.budget
        names = [f"{topology.name}@seed-{s}" for s in range(budget.seeds)]
        held = HeldBack(lambda: data.pixels(data.test, at.progress))
        looks = [held.take(name) for name in names]
        rows = np.concatenate([data.final_train, data.test])
        pixels = np.concatenate([data.pixels(data.final_train, at.progress), looks[0]])
        train, test = np.split(np.arange(len(rows)), [len(data.final_train)])
        recipe = plain_recipe(budget.final_epochs, budget.batch)
        results = run_tasks(
            replace(trainer, training=recipe, keep_weights=True),
            TrainingData("image", pixels, data.dataset.labels[rows], 2),
            [FitTask(name, train, test, derive_seed(self.seed, "final", s)) for s, name in enumerate(names)],
            workers=at.processes,
            progress=at.progress,
            folder=at.folder / "final",
        )
        return {
            "tasks": names,
            "test_looks": dict(held.accesses),
            "tests": _tests([r.probabilities for r in results], data),
            "seconds": [round(r.seconds, 1) for r in results],
            "train_loss": [round(r.history[-1]["train_loss"], 5) for r in results],
            "epochs": budget.final_epochs,
        }


def _trainer(budget: GridBudget, device: str) -> TopologyTrainer:
    try:
        from auditor.lab.cifake.grid.trainer import TopologyTrainer, plain_recipe
        from auditor.train.device import choose_device, choose_precision
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "the grid") from error
    chosen = choose_device(device)
    recipe = plain_recipe(budget.epochs, budget.batch)
    return TopologyTrainer(recipe, device=chosen, precision=choose_precision(chosen), keep_weights=False)


def _best_extractor(fits: Sequence[GridFit]) -> GridFit:
    return max((fit for fit in fits if fit.stage == 1), key=lambda fit: fit.merit)


def _rows(fits: Sequence[GridFit], best: GridFit) -> list[dict[str, Any]]:
    """One row a network, with the paired test against the chosen one (Holm over all others)."""
    others = [fit for fit in fits if fit is not best]
    only_best = np.array([int((best.right & ~fit.right).sum()) for fit in others])
    only_other = np.array([int((fit.right & ~best.right).sum()) for fit in others])
    adjusted = dict(zip((fit.topology.name for fit in others), holm(mcnemar(only_best, only_other)), strict=True))
    return [
        {
            "topology": fit.topology.name,
            "stage": fit.stage,
            "parameters": fit.topology.parameters(),
            "macs": fit.topology.macs(),
            "validation": fit.metrics.as_dict(),
            "p_against_selected": None if fit is best else round(float(adjusted[fit.topology.name]), 6),
            "seconds": round(fit.seconds, 2),
        }
        for fit in fits
    ]


def _tests(probabilities: Sequence[np.ndarray], data: GridData) -> list[dict[str, Any]]:
    """The same predictions on all test items, without the leaked ones, and without any copy."""
    labels = data.dataset.labels[data.test]
    leaked, repeated = data.leaked(data.test), data.repeated(data.test)
    views = {
        "all": np.ones(len(labels), bool),
        "without leaked": ~leaked,
        "without leaked, one of each content": ~leaked & ~repeated,
        "leaked only": leaked,
    }
    tests = []
    for name, view in views.items():
        if view.any():
            metrics = [binary_metrics(p[view], labels[view]) for p in probabilities]
            values = [m.accuracy.value for m in metrics]
            tests.append(
                {
                    "items": name,
                    "n": int(view.sum()),
                    "mean_accuracy": round(float(np.mean(values)), 6),
                    "min_accuracy": round(min(values), 6),
                    "max_accuracy": round(max(values), 6),
                    "seeds": [m.as_dict() for m in metrics],
                }
            )
    return tests
