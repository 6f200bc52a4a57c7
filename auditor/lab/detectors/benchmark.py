"""Run the benchmark: every set and seed once, kept by the content of its inputs, then tables over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import atomic_write, load_npz, read_json, write_json
from auditor.core.hashing import hash_strings
from auditor.core.version import __version__
from auditor.lab.detectors.measure import figures, resampled
from auditor.lab.detectors.methods import run_methods
from auditor.lab.detectors.plots import plots
from auditor.lab.detectors.report import report_text
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, BenchmarkSet, Case, select_sets, slug
from auditor.lab.detectors.summary import Cell, summarise
from auditor.lab.experiment.shell import Experiment, Workplace
from auditor.runs.stages import Stages

REPORT, CELLS = "report.md", "cells"


class DetectionBenchmark(Experiment):
    """Every detector beside cleanlab and a vote of neighbours, on sets whose wrong labels are known.

    A (set, seed) whose inputs, code and number of draws equal those of a stored one is not measured again, so a
    killed benchmark continues where it was. Absent data is an outcome in the report.

    Parameters
    ----------
    options : BenchmarkOptions
    sets : sequence of str
        Names or first parts of names; empty: all.
    runs : sequence of Path
        Finished runs that serve for the sets whose labels they have.

    Raises
    ------
    UnknownNameError
        No such set.
    """

    schema = "auditor.detection-benchmark/1"
    expectation = "The default ranking and flags are ahead of cleanlab's default on every set, by the interval."
    fits = "work"
    control = "Every filter and score of cleanlab, and a vote of 50 neighbours, on the same evidence."

    def __init__(self, options: BenchmarkOptions, sets: Sequence[str] = (), runs: Sequence[Path] = ()) -> None:
        self.options: BenchmarkOptions = options
        self.sets, self.runs = select_sets(sets), tuple(runs)

    def measure(self, at: Workplace) -> dict[str, Any]:
        options, stages = self.options, Stages(at.folder)
        context = BenchmarkContext(at.settings, at.fits, options, self.runs, at.workers or 1, at.progress)
        cells: list[Cell] = []
        not_run: list[dict[str, str]] = []
        for each in self.sets:
            if why := each.absent(context):
                at.progress.stage(each.name, f"not run: {why}")
                not_run.append({"set": each.name, "reason": why})
                continue
            seeds = range(each.seeds(context, options.seeds))
            cells += [_cell(each, seed, context, at.folder, stages) for seed in seeds]
        return {
            "budget": options.audit_budget or "quick",
            "reproduction": "not a reproduction of any paper's networks",
            "options": vars(options),
            "seconds of all parts": round(sum(record.seconds for record in stages.done), 1),
            "about": {each.name: {"summary": each.summary, "limits": each.limits} for each in self.sets},
            "not run": not_run,
            **summarise(cells),
        }

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        return {**plots(document), REPORT: report_text(document)}


def _cell(benchmark_set: BenchmarkSet, seed: int, context: BenchmarkContext, out: Path, stages: Stages) -> Cell:
    """Figures of one set and seed, computed or read."""
    name = f"{slug(benchmark_set.name)}-{seed}"
    rows, drawn = f"{CELLS}/{name}.json", f"{CELLS}/{name}.npz"
    context.progress.stage(benchmark_set.name, f"seed {seed}")

    def produce() -> None:
        document, arrays = measure_case(benchmark_set.case(context, seed), context.options.draws)
        with atomic_write(out / drawn) as handle:
            np.savez(handle, **{key: value.astype(np.float32) for key, value in arrays.items()})  # type: ignore[arg-type]
        write_json(out / rows, {"set": benchmark_set.name, "seed": seed, **document})

    inputs = {
        "schema": DetectionBenchmark.schema,
        "version": __version__,
        "code": _code(),
        "set": benchmark_set.name,
        "draws": context.options.draws,
        "data": benchmark_set.inputs(context, seed),
    }
    stages.run(name, inputs, [rows, drawn], produce)
    return Cell(read_json(out / rows), load_npz(out / drawn))


@cache
def _code() -> str:
    """Hash of what decides the figures: the detectors and this room without its reports. Read once: the code
    that runs is the code at the start."""
    import auditor.detect
    import auditor.lab.detectors

    left_out = {"report.py", "plots.py", "summary.py", "benchmark.py"}
    folders = [Path(str(package.__file__)).parent for package in (auditor.detect, auditor.lab.detectors)]
    files = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.name not in left_out]
    return hash_strings(path.read_text(encoding="utf-8") for path in files)


def measure_case(case: Case, draws: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run all methods on the evidence of a case, then measure them against its truth.

    Returns
    -------
    document : dict
        ``n, errors, facts, methods, rows``.
    drawn : dict
        Resampled figures, arrays (methods that took part, draws).
    """
    results = run_methods(case.evidence)
    wrong, ids = case.wrong, case.evidence.ids
    taking_part = [result for result in results if not result.reason]
    top = case.evidence.mean_probabilities.argmax(axis=1)
    document = {
        "n": len(case.evidence),
        "errors": int(wrong.sum()),
        "facts": {
            **case.facts,
            "accuracy against given labels": round(float((top == case.evidence.labels).mean()), 4),
            "accuracy against truth": round(float((top == case.truth).mean()), 4),
        },
        "methods": [result.name for result in taking_part],
        "rows": [figures(result, wrong, ids, case.judged) for result in results],
    }
    return document, resampled(taking_part, wrong, ids, draws, case.judged)
