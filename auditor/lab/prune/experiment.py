"""`auditor prune`: a method beside its baselines or controls, several seeds, same budget of weights or MACs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import atomic_write, write_json
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.lab.prune.dense import dense_for
from auditor.lab.prune.dynamic import FTWT_METHODS, DynamicNetwork
from auditor.lab.prune.figure import rate_accuracy_svg
from auditor.lab.prune.pruned import RD_METHODS, PrunedNetwork
from auditor.lab.prune.summary import compare, mean_interval, paired, verdict
from auditor.train.base import FitResult, FitTask, Trainer
from auditor.train.budget import BudgetClass, check_budget_class, reproduction_label
from auditor.train.final import FinalNetwork, accuracy, slug
from auditor.train.many import TestRows, fit_many, open_rows, ready

__all__ = ["FIGURE", "FITS", "RESULTS", "SUMMARY", "PruneOptions", "run_pruning"]

RESULTS, SUMMARY, FIGURE, FITS = "results.json", "results.md", "rate-accuracy.svg", "fits"
SCHEMA = "auditor.prune/1"
#: Levels without options.
SPARSITIES, REDUCTIONS = (0.8, 0.9, 0.95), (0.4,)


@dataclass(frozen=True)
class PruneOptions:
    """What is asked for.

    Attributes
    ----------
    network : str
    method : str
        A name in `RD_METHODS` or `FTWT_METHODS`.
    sparsities : tuple of float
        Of weight pruning.
    reductions, masses : tuples of float
        Of FTWT: shares of MACs to save (r found by bisection), or r itself.
    budget : str
        Budget class.
    seeds : int
    alone : bool
        Only the method itself, without what it is compared with.
    data : str
        Image data set with train and test.
    device : str
    """

    network: str
    method: str
    sparsities: tuple[float, ...] = ()
    reductions: tuple[float, ...] = ()
    masses: tuple[float, ...] = ()
    budget: BudgetClass = "cpu"
    seeds: int = 3
    alone: bool = False
    data: str = "cifar10"
    device: str = "auto"

    def __post_init__(self) -> None:
        check_budget_class(self.budget)
        if self.method not in (*RD_METHODS, *FTWT_METHODS):
            known = [*RD_METHODS, *FTWT_METHODS]
            raise UnknownNameError("pruning method", self.method, known, [n for n in known if n[:2] == self.method[:2]])
        if self.seeds < 1:
            raise UsageError(f"--seeds must be at least 1, not {self.seeds}.")
        if self.dynamic and self.sparsities:
            raise UsageError("--sparsity is for weight pruning.", "FTWT takes --flops or --mass.")
        if not self.dynamic and (self.reductions or self.masses):
            raise UsageError("--flops and --mass are for FTWT.", "Weight pruning takes --sparsity.")
        if self.reductions and self.masses:
            raise UsageError("--flops and --mass were both given.", "--flops finds r by itself; give one of them.")

    @property
    def dynamic(self) -> bool:
        """Whether filters are switched per image."""
        return self.method in FTWT_METHODS

    @property
    def methods(self) -> tuple[str, ...]:
        """The method, and what it is shown beside."""
        if self.alone:
            return (self.method,)
        if self.dynamic:
            return tuple(dict.fromkeys((self.method, *FTWT_METHODS)))
        return tuple(dict.fromkeys((self.method, "rd", *(m for m in RD_METHODS if m != "rd_noise"))))


def run_pruning(
    options: PruneOptions,
    folder: Path,
    settings: Settings,
    progress: Progress,
    workers: int | None = None,
    command: str = "",
    fits: Path | None = None,
) -> dict[str, Any]:
    """Train, prune and compare; write ``results.json``, ``results.md`` and ``rate-accuracy.svg`` into `folder`.

    Finished fits found in `fits` (by default ``fits/`` in `folder`) under the same key are not repeated; a killed run
    continues from its last epoch.

    Returns
    -------
    dict
        The document of ``results.json``.
    """
    dense = dense_for(FinalNetwork.of(options.network, options.budget, options.device), options.dynamic)
    entries = _entries(options, dense)
    rows = open_rows(options.data, settings, progress)
    fits = Path(folder) / FITS if fits is None else fits
    trainers = {name: ready(trainer, rows.data, fits) for name, trainer in entries.items()}
    results: dict[str, list[FitResult]] = {name: [] for name in trainers}
    # Dense networks first: every other fit of the same seed starts from one, and finds it then.
    for names in ([options.network], [name for name in trainers if name != options.network]):
        tasks = {
            f"{slug(name)}__seed{seed}": (name, FitTask(f"{slug(name)}__seed{seed}", rows.train, rows.test, seed))
            for name in names
            for seed in range(options.seeds)
        }
        found = fit_many(trainers, tasks, rows.data, fits, workers or cpu_count(), progress)
        for stem, (name, _) in tasks.items():
            results[name].append(found[stem])
    document = _document(options, trainers, results, rows, command)
    write_json(Path(folder) / RESULTS, document)
    with atomic_write(Path(folder) / FIGURE) as handle:
        handle.write(rate_accuracy_svg(document).encode())
    with atomic_write(Path(folder) / SUMMARY) as handle:
        handle.write(_markdown(document).encode())
    return document


def _entries(options: PruneOptions, dense: FinalNetwork) -> dict[str, Trainer]:
    entries: dict[str, Trainer] = {options.network: dense}
    for method in options.methods:
        if not options.dynamic:
            made: list[Any] = [PrunedNetwork.of(dense, method, s) for s in options.sparsities or SPARSITIES]
        elif options.masses:
            made = [DynamicNetwork.of(dense, method, r=r) for r in options.masses]
        else:
            made = [DynamicNetwork.of(dense, method, reduction=f) for f in options.reductions or REDUCTIONS]
        entries.update({trainer.name: trainer for trainer in made})
    return entries


def _document(
    options: PruneOptions,
    trainers: dict[str, Trainer],
    results: dict[str, list[FitResult]],
    rows: TestRows,
    command: str,
) -> dict[str, Any]:
    labels = rows.data.labels[rows.test]
    scores = {name: [accuracy(r.probabilities, labels) for r in found] for name, found in results.items()}
    table = [_row(name, results[name], scores[name], scores[options.network]) for name in results]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "network": options.network,
        "method": options.method,
        "dynamic": options.dynamic,
        "data": rows.source,
        "test_items": len(labels),
        "budget": options.budget,
        "reproduction": reproduction_label(options.budget),
        "seeds": options.seeds,
        "command": command,
        "machine": describe_machine(),
        "versions": package_versions(),
        "recipes": {name: trainer.recipe() for name, trainer in trainers.items()},
        "rows": table,
        "fits": {name: [r.details for r in found] for name, found in results.items()},
    }
    document["comparisons"] = compare(table, options.method)
    document["verdict"] = verdict(document["comparisons"], options.method)
    if options.dynamic:
        from auditor.lab.prune.ftwt.gathered import time_gathered

        document["gathered_execution"] = time_gathered()
    return document


def _row(name: str, results: Sequence[FitResult], scores: list[float], dense: list[float]) -> dict[str, Any]:
    details = results[0].details
    average = lambda key: float(np.mean([r.details[key] for r in results])) if key in details else None  # noqa: E731
    mean, low, high = mean_interval(scores)
    row = {
        "name": name,
        "method": details.get("method", "dense"),
        "level": name.rpartition("@")[2] if "@" in name else None,
        "accuracy": mean,
        "interval": [low, high],
        "accuracy_by_seed": scores,
        "against_dense": paired(scores, dense) if "method" in details else None,
        "sparsity": average("sparsity"),
        "macs_dense": average("macs_dense") or float(details["macs_per_image"]),
        "macs_masked": average("macs_masked"),
        "flops_paper": average("flops_paper"),
        "macs_executable": average("macs_executable") or float(details["macs_per_image"]),
        "seconds": float(np.mean([r.seconds for r in results])),
    }
    if "path" in details:
        row["additivity"] = [r.details["path"][-1]["additivity"]["ratio"] for r in results]
    if "estimated_before" in details:
        row["reduction_estimated"] = float(np.mean([r.details["estimated_before"]["reduction_paper"] for r in results]))
        row["reduction_achieved"] = float(np.mean([r.details["achieved"]["reduction_paper"] for r in results]))
        row["reduction_executable"] = float(np.mean([r.details["achieved"]["reduction_executable"] for r in results]))
        found = [r.details["mask_accuracy"] for r in results]
        row["mask_accuracy"] = None if found[0] is None else float(np.mean(found))
        row["varying_filters"] = float(np.mean([r.details["varying_filters"] for r in results]))
        row["r"] = average("r")
    return row


def _markdown(document: dict[str, Any]) -> str:
    """The table for people."""
    from auditor.lab.prune.markdown import results_markdown

    return results_markdown(document)
