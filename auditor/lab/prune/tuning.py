"""RD on networks with published weights: is it ahead of other ways to share a budget of weights among layers, and for
how much fine-tuning? Every cell is one network at one sparsity, after one number of steps, by one method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from auditor.core.errors import UnknownNameError, UsageError, require
from auditor.lab.experiment.shell import Experiment, ExperimentOptions, Workplace
from auditor.lab.experiment.verdicts import accuracy_row, page
from auditor.lab.prune.dense import dense_for
from auditor.lab.prune.pruned import PrunedNetwork
from auditor.report.charts import chart_svg, points
from auditor.stats.intervals import wilson
from auditor.stats.paired import paired_interval
from auditor.train.base import FitResult, Trainer
from auditor.train.many import fit_entries, open_rows, ready
from auditor.train.published import final_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE, SUMMARY = "lead.svg", "results.md"
#: Name in the report -> method, and what RD's curves are of.
METHODS: dict[str, tuple[str, Literal["mean", "worst"]]] = {
    "rd": ("rd", "mean"),
    "rd-worst": ("rd", "worst"),
    "lamp": ("lamp", "mean"),
    "erk": ("erk", "mean"),
    "global": ("global", "mean"),
    "uniform": ("uniform", "mean"),
}
#: What is expected where: sparsity, most steps that are little tuning, fewest that are long, points ahead after little
#: tuning and how far off they may be, and the points that count as equal.
AT, LITTLE, LONG, AHEAD, ABOUT, EQUAL = 0.95, 36, 360, 3.0, 1.5, 1.0
#: What the authors publish of ResNet-32 on CIFAR-10, per cent: sparsity, accuracy, its deviation, accuracy of the dense
#: network. Their network has 1x1 convolutions as shortcuts and is trained for 50,000 steps first.
PAPER = {
    "network": "resnet32",
    "source": "README of Akimoto-Cris/RD_PRUNE",
    "sparsity": 95.5,
    "accuracy": 90.83,
    "deviation": 0.24,
    "dense": 93.99,
    "steps": 80_000,
}


@dataclass(frozen=True)
class TuningOptions(ExperimentOptions):
    """What is asked for.

    Attributes
    ----------
    network : str
        With weights, ``NETWORK@FILE``, or one that is trained first.
    sparsities : tuple of float
    steps : tuple of int
        Of fine-tuning after each iteration; 0: none.
    methods : tuple of str
        Of `METHODS`, at least one of RD and one other.
    """

    network: str
    sparsities: tuple[float, ...] = (0.9, 0.95, 0.97, 0.98)
    steps: tuple[int, ...] = (0, 36, 117, 360)
    methods: tuple[str, ...] = tuple(METHODS)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.methods:
            if name not in METHODS:
                raise UnknownNameError("way to share a budget of weights", name, list(METHODS))
        if len({name.startswith("rd") for name in self.methods}) < 2:
            raise UsageError("RD is compared with other methods: name at least one of each.", f"{', '.join(METHODS)}.")
        for what, values in (("sparsity", self.sparsities), ("number of steps", self.steps)):
            if not values or len(set(values)) < len(values):
                raise UsageError(f"give at least one {what}, and none twice, not {list(values)}.")

    def entries(self) -> dict[str, Trainer]:
        """The dense network, then every cell: few steps first, and sparsities rising, because a higher one goes on from
        the iterations of a lower one."""
        base = final_network(self.network, self.budget, self.device)
        made = [
            PrunedNetwork.of(base, method, sparsity, 0.2, measure, steps)
            for steps in sorted(self.steps)
            for method, measure in (METHODS[name] for name in self.methods)
            for sparsity in sorted(self.sparsities)
        ]
        return {base.name: dense_for(base, False), **{trainer.name: trainer for trainer in made}}


class TuningExperiment(Experiment):
    """RD beside other methods at the same sparsity and after the same fine-tuning, from none to long."""

    schema = "auditor.prune-tuning/1"
    expectation = (
        f"After little fine-tuning (at most {LITTLE} steps an iteration) RD is ahead of the best of the others, by "
        f"about {AHEAD:g} points at {100 * AT:g} % sparsity; after long fine-tuning ({LONG} steps or more) it is equal "
        f"to it, within {EQUAL:g} point."
    )
    control = (
        "The best of LAMP, ERK, global magnitude and uniform rates on the same test items: the same network, weights "
        "left, steps, and images to learn from. That the best is chosen by its test accuracy favours them."
    )

    def __init__(self, options: TuningOptions) -> None:
        self.options: TuningOptions = options

    def measure(self, at: Workplace) -> dict[str, Any]:
        require("torch", "torch", "pruning a network")
        options, entries = self.options, self.options.entries()
        rows = open_rows(options.data, at.settings, at.progress)
        trainers = {name: ready(trainer, rows.data, at.fits) for name, trainer in entries.items()}
        results = fit_entries(trainers, options.seeds, rows, at.fits, at.processes, at.progress)
        labels = rows.data.labels[rows.test]
        right = {name: np.array([r.probabilities.argmax(1) == labels for r in f]) for name, f in results.items()}
        dense, *cells = [_row(name, trainers[name], fits, right[name]) for name, fits in results.items()]
        leads = compared(cells, right)
        return {
            "network": dense["name"],
            "data": rows.source,
            "test_items": len(labels),
            "train_items": dense["details"]["images"],
            "settings": next(t for t in trainers.values() if isinstance(t, PrunedNetwork)).settings.model_dump(),
            "recipes": {name: trainer.recipe() for name, trainer in trainers.items()},
            "dense": dense,
            "rows": cells,
            "comparisons": leads,
            "verdict": judged(leads),
            "paper": PAPER,
        }

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        return {FIGURE: lead_svg(document), SUMMARY: page("tuning", document)}


def cell(name: str, results: Sequence[FitResult], right: np.ndarray) -> dict[str, Any]:
    """What is said of the fits of one network. Of several the interval is over seeds, of a single one over test items.

    Parameters
    ----------
    name : str
    results : sequence of FitResult
        By seed.
    right : bool array (seeds, n)
        What they have right of the test items.
    """
    details = results[0].details
    row = {"name": name, **accuracy_row([float(r.mean()) for r in right]), "over": "seeds"}
    if len(results) == 1:
        interval = wilson(int(right.sum()), right.shape[1])
        row |= {"interval": [float(interval.low), float(interval.high)], "over": "test items"}
    return {
        **row,
        "test_looks": sum(r.details["test_looks"] for r in results),
        "seconds": float(np.mean([r.seconds for r in results])),
        "reproduction": details["reproduction"],
        "views": details["views"],
        "details": {key: value for key, value in details.items() if key not in ("path", "kept")},
    }


def _row(name: str, trainer: Trainer, results: Sequence[FitResult], right: np.ndarray) -> dict[str, Any]:
    row = cell(name, results, right)
    if not isinstance(trainer, PrunedNetwork):
        return row
    settings, names, details = trainer.settings, {value: key for key, value in METHODS.items()}, results[0].details
    return {
        **row,
        "method": names[(trainer.method, settings.measure)],
        "asked": trainer.sparsity,
        "steps": settings.steps,
        "iterations": len(details["path"]),
        "sparsity": float(np.mean([r.details["sparsity"] for r in results])),
        "macs_left": float(np.mean([r.details["macs_masked"] / r.details["macs_dense"] for r in results])),
        "additivity": [r.details["path"][-1]["additivity"]["ratio"] for r in results],
    }


def compared(cells: Sequence[Mapping[str, Any]], right: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Each RD less the best of the others at the same sparsity and steps; the interval is over test items and seeds.

    Parameters
    ----------
    cells : sequence of rows
    right : mapping of str to bool array (seeds, n)
        What the networks of a cell have right.
    """
    leads = []
    for cell in cells:
        if not cell["method"].startswith("rd"):
            continue
        at = {key: cell[key] for key in ("asked", "steps")}
        others = [c for c in cells if not c["method"].startswith("rd") and {k: c[k] for k in at} == at]
        best = max(others, key=lambda other: other["accuracy"])
        gap = paired_interval(right[cell["name"]], right[best["name"]])
        leads.append(
            {
                **at,
                "method": cell["method"],
                "other": best["method"],
                "other_accuracy": best["accuracy"],
                "difference": gap.value,
                "interval": [gap.low, gap.high],
                "seeds": len(right[cell["name"]]),
            }
        )
    return leads


def judged(leads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whether what was expected held, by the interval: per RD and expectation ``held``, ``did not hold``, ``cannot be
    told`` or ``not run``."""
    verdicts = []
    for method in dict.fromkeys(lead["method"] for lead in leads):
        here = [lead for lead in leads if lead["method"] == method and lead["asked"] == AT]
        little = _longest(lead for lead in here if 0 < lead["steps"] <= LITTLE)
        long = _longest(lead for lead in here if lead["steps"] >= LONG)
        for what, lead in (
            ("ahead after little fine-tuning", little),
            (f"by about {AHEAD:g} points", little),
            ("equal after long fine-tuning", long),
        ):
            outcome = "not run" if lead is None else _outcome(what, lead)
            verdicts.append({"method": method, "expected": what, "outcome": outcome, "lead": lead})
    return verdicts


def _longest(leads: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return max(leads, key=lambda lead: lead["steps"], default=None)


def _outcome(what: str, lead: Mapping[str, Any]) -> str:
    low, high = (100 * value for value in lead["interval"])
    if what.startswith("ahead"):
        return "held" if low > 0 else "did not hold" if high < 0 else "cannot be told"
    near, far = (AHEAD - ABOUT, AHEAD + ABOUT) if what.startswith("by") else (-EQUAL, EQUAL)
    if near <= low and high <= far:
        return "held"
    return "did not hold" if high < near or low > far else "cannot be told"


def lead_svg(document: Mapping[str, Any]) -> str:
    """Points that RD is ahead of the best other method, against the steps of fine-tuning, a line per sparsity."""
    leads = document["comparisons"]
    steps = sorted({lead["steps"] for lead in leads})

    def draw(axes: Axes) -> None:
        axes.axhline(0, color="grey", linewidth=1)
        groups = dict.fromkeys((lead["method"], lead["asked"]) for lead in leads)
        for position, (method, asked) in enumerate(groups):
            own = sorted((d for d in leads if (d["method"], d["asked"]) == (method, asked)), key=lambda d: d["steps"])
            x = [steps.index(lead["steps"]) + 0.04 * position for lead in own]
            limits = [(100 * lead["interval"][0], 100 * lead["interval"][1]) for lead in own]
            style = "--" if "worst" in method else "-"
            ahead = [100 * lead["difference"] for lead in own]
            points(axes, x, ahead, limits, linestyle=style, label=f"{method}, {100 * asked:g} %")
        axes.set_xticks(range(len(steps)), [str(n) for n in steps])
        axes.set_xlabel("steps of fine-tuning after each iteration (bars: 95 %, test items and seeds)")
        axes.set_ylabel("points ahead of the best of the others")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    return chart_svg(draw, f"{document['network']}, {document['data']}: {document['reproduction']}")
