"""`auditor prune`: a method beside its baselines or controls, several seeds, same budget of weights or MACs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from auditor.core.errors import UnknownNameError, UsageError, require
from auditor.lab.experiment.shell import Experiment, ExperimentOptions, Workplace
from auditor.lab.experiment.verdicts import accuracy_row, page, verdict
from auditor.lab.prune.dense import MadeNetwork, dense_for
from auditor.lab.prune.dynamic import FTWT_METHODS, DynamicNetwork, whole_network
from auditor.lab.prune.pruned import RD_METHODS, PrunedNetwork
from auditor.lab.prune.report import FIGURE, SUMMARY, rate_accuracy_svg
from auditor.lab.prune.settings import rd_settings
from auditor.stats.seeds import paired
from auditor.train.base import FitResult, Trainer
from auditor.train.budget import reproduction_label
from auditor.train.final import accuracy
from auditor.train.many import fit_entries, open_rows, ready
from auditor.train.published import final_network

#: Levels without options.
SPARSITIES, REDUCTIONS = (0.8, 0.9, 0.95), (0.4,)


@dataclass(frozen=True)
class PruneOptions(ExperimentOptions):
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
    alone : bool
        Only the method itself, without what it is compared with.
    worst_case_curve : bool, optional
        RD: curves of the worst calibration image (True) or of their mean; as the budget says by default.
    step : float, optional
        Weight pruning: share of the weights that an iteration removes; as the budget says by default.
    """

    network: str
    method: str
    sparsities: tuple[float, ...] = ()
    reductions: tuple[float, ...] = ()
    masses: tuple[float, ...] = ()
    alone: bool = False
    worst_case_curve: bool | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in (*RD_METHODS, *FTWT_METHODS):
            known = [*RD_METHODS, *FTWT_METHODS]
            raise UnknownNameError("pruning method", self.method, known, [n for n in known if n[:2] == self.method[:2]])
        if self.dynamic and self.sparsities:
            raise UsageError("--sparsity is for weight pruning.", "FTWT takes --flops or --mass.")
        if not self.dynamic and (self.reductions or self.masses):
            raise UsageError("--flops and --mass are for FTWT.", "Weight pruning takes --sparsity.")
        if self.dynamic and (self.step is not None or self.worst_case_curve is not None):
            raise UsageError("--step and --worst-case-curve are for weight pruning.", "FTWT removes nothing in steps.")
        rd_settings(self.budget, self.network, self.step)
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

    def entries(self) -> dict[str, Trainer]:
        """The dense network, and what every method makes of it at every level."""
        base = final_network(self.network, self.budget, self.device)
        made: list[PrunedNetwork] | list[DynamicNetwork]
        if not self.dynamic:
            levels = self.sparsities or SPARSITIES
            worst = self.worst_case_curve
            measure: Literal["mean", "worst"] | None = None if worst is None else "worst" if worst else "mean"
            made = [PrunedNetwork.of(base, method, s, self.step, measure) for method in self.methods for s in levels]
        else:
            key, levels = ("r", self.masses) if self.masses else ("reduction", self.reductions or REDUCTIONS)
            made = [DynamicNetwork.of(base, method, **{key: x}) for method in self.methods for x in levels]
        return {base.name: dense_for(base, self.dynamic), **{trainer.name: trainer for trainer in made}}


class PruneExperiment(Experiment):
    """A dense network, and what methods make of it."""

    schema = "auditor.prune/1"
    expectation = "The method keeps more accuracy than the best of the others at the same level, by the interval."
    control = "Every baseline, or FTWT with static and with uniform masks, at the same budget of weights or MACs."

    def __init__(self, options: PruneOptions) -> None:
        self.options: PruneOptions = options

    def reproduction(self) -> str:
        """By the asked method's own networks; its baselines and controls have none of the paper's numbers."""
        own = [
            t for t in self.options.entries().values() if isinstance(t, MadeNetwork) and t.method == self.options.method
        ]
        return reproduction_label(all(trainer.papers for trainer in own))

    def measure(self, at: Workplace) -> dict[str, Any]:
        require("torch", "torch", "pruning a network")
        options, entries = self.options, self.options.entries()
        rows = open_rows(options.data, at.settings, at.progress)
        trainers = {name: ready(trainer, rows.data, at.fits) for name, trainer in entries.items()}
        results = fit_entries(trainers, options.seeds, rows, at.fits, at.processes, at.progress)
        labels = rows.data.labels[rows.test]
        scores = {name: [accuracy(r.probabilities, labels) for r in fits] for name, fits in results.items()}
        dense = next(iter(scores.values()))
        table = [_row(name, fits, scores[name], dense) for name, fits in results.items()]
        comparisons = compare(table, options.method)
        document: dict[str, Any] = {
            "network": options.network,
            "method": options.method,
            "dynamic": options.dynamic,
            "data": rows.source,
            "test_items": len(labels),
            "recipes": {name: trainer.recipe() for name, trainer in trainers.items()},
            "rows": table,
            "fits": {name: [r.details for r in fits] for name, fits in results.items()},
            "comparisons": comparisons,
            "verdict": verdicts(comparisons, options.method),
        }
        if options.dynamic:
            from auditor.lab.prune.ftwt.gathered import time_gathered

            document["gathered_execution"] = time_gathered()
        return document

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        return {FIGURE: rate_accuracy_svg(document), SUMMARY: page("prune", document)}


def _row(name: str, results: Sequence[FitResult], scores: list[float], dense: list[float]) -> dict[str, Any]:
    details = results[0].details

    def mean(*path: str) -> float | None:
        """Over the seeds, of a figure at `path` in the details; None where there is none."""
        values = []
        for result in results:
            value: Any = result.details
            for key in path:
                value = value.get(key) if value else None
            values.append(value)
        return None if values[0] is None else float(np.mean(values))

    row = {
        "name": name,
        "method": details.get("method", "dense"),
        "level": name.rpartition("@")[2] if "method" in details else None,
        **accuracy_row(scores),
        "views": details["views"],
        "reproduction": details["reproduction"],
        # One with published weights is the same for every seed.
        "against_dense": paired(scores, dense * len(scores) if len(dense) == 1 else dense)
        if "method" in details
        else None,
        "sparsity": mean("sparsity"),
        "macs_dense": mean("macs_dense") or mean("macs_per_image"),
        "macs_masked": mean("macs_masked"),
        "flops_paper": mean("flops_paper"),
        "macs_executable": mean("macs_executable") or mean("macs_per_image"),
        "image_ms": mean("image_ms"),
        "seconds": float(np.mean([r.seconds for r in results])),
    }
    if "path" in details:
        row["additivity"] = [r.details["path"][-1]["additivity"]["ratio"] for r in results]
    if "estimated_before" in details:
        row["reduction_estimated"] = mean("estimated_before", "reduction_paper")
        row["reduction_achieved"] = mean("achieved", "reduction_paper")
        row["reduction_executable"] = mean("achieved", "reduction_executable")
        row |= {key: mean(key) for key in ("mask_accuracy", "constant_mask_accuracy", "varying_filters", "r")}
        row["whole_network"] = whole_network([r.details for r in results])
    return row


def compare(rows: Sequence[Mapping[str, Any]], method: str) -> list[dict[str, Any]]:
    """The method less each other method at the same level, in shares of correct answers."""
    return [
        {
            "level": row["level"],
            "other": other["method"],
            **paired(row["accuracy_by_seed"], other["accuracy_by_seed"]),
            "other_accuracy": other["accuracy"],
        }
        for row in rows
        if row["method"] == method
        for other in rows
        if other["level"] == row["level"] and other["method"] not in (method, "dense")
    ]


def verdicts(comparisons: Sequence[Mapping[str, Any]], method: str) -> list[str]:
    """One sentence per level: the method beside the best of the others."""
    sentences = []
    for level in dict.fromkeys(row["level"] for row in comparisons):
        best = max((row for row in comparisons if row["level"] == level), key=lambda row: row["other_accuracy"])
        sentences.append(verdict(f"at {level}: {method}", f"the best of the others ({best['other']})", best))
    return sentences
