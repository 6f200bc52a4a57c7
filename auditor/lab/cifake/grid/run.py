"""The CIFAKE grid from data to results: 12 extractors, 24 heads on the best one, the best of all trained again and
tested once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings, load_settings
from auditor.core.errors import MissingExtraError
from auditor.core.files import write_json
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress, SilentProgress
from auditor.core.seeds import derive_seed
from auditor.core.version import __version__
from auditor.lab.cifake.grid.budgets import GridBudget
from auditor.lab.cifake.grid.data import GridData, open_cifake
from auditor.lab.cifake.grid.metrics import BinaryMetrics, binary_metrics
from auditor.runs.lock import locked
from auditor.stats.paired import holm, mcnemar
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.held_back import HeldBack

__all__ = ["PUBLISHED", "RESULTS", "SCHEMA", "run_grid"]

SCHEMA = "auditor.grid/1"
RESULTS = "results.json"
#: Accuracy of the best of 36 topologies (Bird and Lotfi 2024, abstract). How it was chosen there is not known.
PUBLISHED = 0.9298


@dataclass(frozen=True)
class Trained:
    """One network of the grid on the validation items."""

    topology: Any
    stage: int
    metrics: BinaryMetrics
    right: np.ndarray
    seconds: float

    @property
    def merit(self) -> tuple[float, float, int]:
        """Larger is better: accuracy, then loss, then fewer parameters."""
        return self.metrics.accuracy.value, -self.metrics.loss.value, -self.topology.parameters()


def run_grid(
    budget: GridBudget,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    command: str = "auditor grid cifake",
) -> dict[str, Any]:
    """Train the grid and write ``results.json`` into `folder`; finished fits found there are not repeated.

    Parameters
    ----------
    budget : GridBudget
    folder : Path
    seed : int
        Root of all random numbers: splits, weights, orders.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    workers : int, optional
        Processes that train side by side, by default one per core. Never changes a figure.
    settings, progress
        As everywhere.
    command : str
        Written into the results.

    Returns
    -------
    dict
        Schema ``auditor.grid/1``, see ``docs/cifake.md``.
    """
    from auditor.lab.cifake.grid.trainer import TopologyTrainer, plain_recipe

    settings, progress = settings or load_settings(), progress or SilentProgress()
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    progress.stage("data", "cifake, its validation split cut from train")
    data = open_cifake(settings, budget, seed)
    network = _network(plain_recipe(budget.epochs, budget.batch), device)
    with locked(folder):
        queue = _Queue(TopologyTrainer(network), data, folder / "grid", workers or cpu_count(), seed, progress)
        trained = _stages(queue, budget, progress)
        grid_seconds = time.perf_counter() - clock
        best = max(trained, key=lambda t: t.merit)
        progress.stage("final", f"{best.topology.name}, {len(data.final_train):,} items, {budget.seeds} seed(s)")
        final = _final(best.topology, data, budget, network, folder, workers or cpu_count(), seed, progress)
        results = {
            "schema": SCHEMA,
            "auditor": __version__,
            "command": command,
            "started": started,
            "budget": budget.as_dict(),
            "seed": seed,
            "published": {"accuracy": PUBLISHED, "source": "Bird and Lotfi 2024, abstract: best of 36 topologies"},
            "reproduction": budget.name == "paper",
            "items": {
                "grid_train": len(data.grid_train),
                "validation": len(data.validation),
                "final_train": len(data.final_train),
                "test": len(data.test),
            },
            "networks": _rows(trained, best),
            "extractor": _best_of(trained, 1).topology.name,
            "selected": best.topology.name,
            "final": final,
            "grid_seconds": round(grid_seconds, 1),
            "fit_seconds": round(sum(t.seconds for t in trained), 1),
            "seconds": round(time.perf_counter() - clock, 1),
            "machine": {**describe_machine(), "device": network.device, "precision": network.precision},
            "versions": package_versions(),
        }
        write_json(folder / RESULTS, results)
    return results


def _network(recipe: Any, device: str) -> Any:
    try:
        from auditor.train.device import choose_device, choose_precision
        from auditor.train.image_network import ImageNetwork
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "the grid") from error
    place = choose_device(device)
    return ImageNetwork(recipe, "cifake_cnn", place, choose_precision(place), keep_weights=False)


class _Queue:
    """The fits of the grid: one set of pixels, one seed, topology after topology."""

    def __init__(self, trainer: Any, data: GridData, folder: Path, workers: int, seed: int, progress: Progress) -> None:
        rows = np.concatenate([data.grid_train, data.validation])
        labels = data.dataset.labels[rows]
        self.data = TrainingData("image", data.pixels(rows, progress), labels, 2)
        self.train = np.arange(len(data.grid_train))
        self.validation = np.arange(len(data.grid_train), len(rows))
        self.trainer, self.folder, self.workers, self.progress = trainer, folder, workers, progress
        # One seed for all: every network sees the items in the same order.
        self.seed = derive_seed(seed, "grid")

    def fit(self, topologies: Sequence[Any], stage: int) -> list[Trained]:
        """Train them, the dearest first, so that no core ends with a long one alone."""
        dear = sorted(topologies, key=lambda t: -(t.macs() + 20 * t.parameters()))
        tasks = [FitTask(t.name, self.train, self.validation, self.seed) for t in dear]
        results = run_tasks(
            self.trainer, self.data, tasks, workers=self.workers, progress=self.progress, folder=self.folder
        )
        by_name = {task.name: result for task, result in zip(tasks, results, strict=True)}
        return [self._measure(t, stage, by_name[t.name]) for t in topologies]

    def _measure(self, topology: Any, stage: int, result: FitResult) -> Trained:
        labels = self.data.labels[self.validation]
        right = result.probabilities.argmax(axis=1) == labels
        return Trained(topology, stage, binary_metrics(result.probabilities, labels), right, result.seconds)


def _stages(queue: _Queue, budget: GridBudget, progress: Progress) -> list[Trained]:
    """Both stages; the second on the extractor that is best on the validation items."""
    from auditor.models.cifake_cnn import extractors, heads

    first = extractors()[: budget.extractors]
    progress.stage("extractors", f"{len(first)} networks, {len(queue.train):,} items, {budget.epochs} epoch(s)")
    trained = queue.fit(first, 1)
    best = _best_of(trained, 1).topology
    second = heads(best)[: budget.heads]
    progress.stage("heads", f"{len(second)} networks on {best.filters} filters x {best.convolutions}")
    return trained + queue.fit(second, 2)


def _best_of(trained: Sequence[Trained], stage: int) -> Trained:
    return max((t for t in trained if t.stage == stage), key=lambda t: t.merit)


def _rows(trained: Sequence[Trained], best: Trained) -> list[dict[str, Any]]:
    """One row a network, with the paired test against the chosen one (Holm over all others)."""
    others = [t for t in trained if t is not best]
    only_best = np.array([int((best.right & ~t.right).sum()) for t in others])
    only_other = np.array([int((t.right & ~best.right).sum()) for t in others])
    adjusted = dict(zip((t.topology.name for t in others), holm(mcnemar(only_best, only_other)), strict=True))
    return [
        {
            "topology": t.topology.name,
            "stage": t.stage,
            "parameters": t.topology.parameters(),
            "macs": t.topology.macs(),
            "validation": t.metrics.as_dict(),
            "p_against_selected": None if t is best else round(float(adjusted[t.topology.name]), 6),
            "seconds": round(t.seconds, 2),
        }
        for t in trained
    ]


def _final(
    topology: Any,
    data: GridData,
    budget: GridBudget,
    network: Any,
    folder: Path,
    workers: int,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Train the chosen topology again with every seed; each network predicts the test items once, at its end."""
    from dataclasses import replace

    from auditor.lab.cifake.grid.trainer import TopologyTrainer, plain_recipe

    names = [f"{topology.name}@seed-{s}" for s in range(budget.seeds)]
    held = HeldBack(data.pixels(data.test, progress))
    looks = [held.take(name) for name in names]
    rows = np.concatenate([data.final_train, data.test])
    pixels = np.concatenate([data.pixels(data.final_train, progress), looks[0]])
    train, test = np.arange(len(data.final_train)), np.arange(len(data.final_train), len(rows))
    final_network = replace(network, training=plain_recipe(budget.final_epochs, budget.batch), keep_weights=True)
    results = run_tasks(
        TopologyTrainer(final_network),
        TrainingData("image", pixels, data.dataset.labels[rows], 2),
        [FitTask(name, train, test, derive_seed(seed, "final", s)) for s, name in enumerate(names)],
        workers=workers,
        progress=progress,
        folder=folder / "final",
    )
    return {
        "tasks": names,
        "test_looks": dict(held.accesses),
        "tests": _tests([r.probabilities for r in results], data),
        "seconds": [round(r.seconds, 1) for r in results],
        "train_loss": [round(r.history[-1]["train_loss"], 5) for r in results],
        "epochs": budget.final_epochs,
    }


def _tests(probabilities: Sequence[np.ndarray], data: GridData) -> list[dict[str, Any]]:
    """The same predictions on all test items, without the leaked ones, and without any copy."""
    labels = data.dataset.labels[data.test]
    leaked, repeated = data.leaked(data.test), data.repeated(data.test)
    views = [
        ("all", np.ones(len(labels), bool)),
        ("without leaked", ~leaked),
        ("without leaked, one of each content", ~leaked & ~repeated),
        ("leaked only", leaked),
    ]
    told = []
    for name, kept in views:
        if not kept.any():
            continue
        each = [binary_metrics(p[kept], labels[kept]) for p in probabilities]
        values = [m.accuracy.value for m in each]
        told.append(
            {
                "items": name,
                "n": int(kept.sum()),
                "mean_accuracy": round(float(np.mean(values)), 6),
                "min_accuracy": round(min(values), 6),
                "max_accuracy": round(max(values), 6),
                "seeds": [m.as_dict() for m in each],
            }
        )
    return told
